/*
 * Network devices: frames in, frames out, and what the hardware can do on the way.
 *
 * A driver fills a struct netdev and registers it; the stack (libos/net/netif.c) attaches. Frames
 * travel as struct netbuf: one Ethernet frame in up to NETBUF_FRAGS pieces, with offload requests
 * (transmit) or results (receive) beside it. With TSO a frame may hold up to 64 KiB of TCP payload.
 *
 * Transmit: the stack calls transmit() any number of times and then kick() once per batch. The
 * pieces stay with the driver until it calls done(netbuf), after the device has let go of them; a
 * short frame may be copied, and is then done before transmit() returns. Pieces may lie anywhere in
 * kernel memory, page boundaries included. After a kick(), done() comes in bounded time for every
 * frame: the driver asks for an interrupt (so wake() comes) when a frame with pieces is outstanding
 * and the stack is not polling anyway. A frame that is `patient` needs no such interrupt. A driver
 * whose own header fits into `headroom` can put it there and send a frame of one piece as it is.
 * Receive: the stack is told by wake() and then calls poll() until it returns 0, at whatever pace
 * it likes. poll() calls input() for each frame. A received frame of one piece may itself be
 * transmitted, as another one written into its `room`; whoever does so puts frags[0].base and done
 * back before it calls the driver's done(). Before it rests, the stack calls look(): only then is
 * the arrival of the next frame told.
 *
 * All downcalls are made by threads (or executor tasks) that hold the stack lock. Every upcall but
 * wake() is made from inside poll(), and done() from inside transmit(), kick(), poll() or stop(),
 * so under the stack lock too. netbuf_done() of a received frame may come from any thread.
 *
 * Receive interrupts are switched by load: an interrupt masks itself and calls wake(); the look()
 * that finds nothing unmasks. A device that breaks its contract is reset inside poll(): frames in
 * flight are dropped (done() comes for each), link_changed(false) and then (true) are called.
 */
#ifndef LIBOS_NETDEV_H
#define LIBOS_NETDEV_H

#include <core/list.h>
#include <core/types.h>

struct netdev;

#define NETBUF_FRAGS 20
#define NETBUF_STACK_WORDS 8
#define NETDEV_SHORT_MAX 224u   /* bytes of a frame that a driver copies rather than names */

enum netdev_feature {
	/* fills in a TCP or UDP checksum (pseudo-header already summed in) */
	NETDEV_TX_CSUM   = 1 << 0,
	NETDEV_TSO4      = 1 << 1,
	NETDEV_TSO6      = 1 << 2,
	NETDEV_RX_CSUM   = 1 << 3, /* marks frames whose checksum is known to be good */
	NETDEV_LRO       = 1 << 4, /* may deliver merged TCP segments */
};

struct netbuf {
	struct list link;
	void (*done)(struct netbuf *b);   /* [owner] the device no longer names any piece */
	uint16_t frag_count;
	/* with needs_csum: sum from here, counted from the frame's start... */
	uint16_t csum_start;
	/* ...and store the sum here, also counted from the frame's start */
	uint16_t csum_offset;
	uint16_t gso_size;                /* payload bytes per segment; 0: an ordinary frame */
	uint16_t header_len;              /* with gso_size: Ethernet+IP+TCP headers */
	bool needs_csum;
	bool gso_ipv6;
	bool csum_good;                   /* receive */
	/* transmit: bytes before frags[0].base that are the driver's until done() */
	uint8_t headroom;
	/* transmit: nobody waits for done(), it may come with a later poll() */
	bool patient;
	/* receive: bytes from frags[0].base on that are the stack's until done() */
	uint16_t room;
	size_t len;                       /* whole frame */
	/*
	 * Whoever makes netbufs of few pieces may leave out what follows the last of them: nobody
	 * looks at it.
	 */
	struct { const void *base; size_t len; } frags[NETBUF_FRAGS];
	/* receive: the stack's own from input() to done() */
	uint64_t stack_room[NETBUF_STACK_WORDS];
};

struct netdev_ops {
	int (*start)(struct netdev *d);   /* frames may flow; 0 or negative errno */
	void (*stop)(struct netdev *d);
	/*
	 * 0: taken. -EAGAIN: ring full, tx_ready() will be called. -EINVAL: never sendable (logged,
	 * counted).
	 */
	int (*transmit)(struct netdev *d, struct netbuf *b);
	/*
	 * The short way for a frame of at most NETDEV_SHORT_MAX bytes, which nothing is lent for.
	 * send_room() says where to write it; NULL: not now, or not by this device, so transmit()
	 * has to be tried. The next call is send_written(), and the frame leaves with the kick(). A
	 * checksum is asked for as in a netbuf; csum_offset 0: none. NULL: not offered.
	 */
	void *(*send_room)(struct netdev *d, size_t len);
	void (*send_written)(struct netdev *d, size_t len, uint16_t csum_start,
			     uint16_t csum_offset);
	void (*kick)(struct netdev *d);
	/*
	 * Takes frames that have arrived, at most `budget`, calling d->upper->input for each;
	 * returns how many. Also reaps completed transmissions. Cheap enough to be called without
	 * having been woken.
	 */
	unsigned (*poll)(struct netdev *d, unsigned budget);
	/*
	 * True when there is something for poll(). False: there is not, and from now on what comes
	 * leads to wake(). Any thread, with the stack lock or without. With interrupts off
	 * (thread_block_looking()) a pending interrupt that told of it is acknowledged and will not
	 * be taken.
	 */
	bool (*look)(struct netdev *d);
};

struct netdev_upper {  /* the stack */
	/*
	 * One received frame. The pieces stay valid until netbuf_done(b), which the stack may call
	 * much later (bytes are lent to TCP in place) from any thread.
	 */
	void (*input)(struct netdev *d, struct netbuf *b);
	void (*tx_ready)(struct netdev *d);     /* room again after -EAGAIN */
	void (*link_changed)(struct netdev *d, bool up);
	/* frames wait; whoever runs the stack should poll. Any context */
	void (*wake)(struct netdev *d);
};

struct netdev {
	struct list link;                /* registry */
	char name[8];                    /* "eth0" */
	uint8_t mac[6];
	uint16_t mtu;                    /* IP bytes, 1500 */
	uint32_t features;               /* enum netdev_feature, as negotiated */
	bool link_up;
	const struct netdev_ops *ops;
	const struct netdev_upper *upper;/* set by netdev_attach() */
	void *driver, *stack;            /* theirs */
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes, rx_dropped, tx_dropped, kicks, irqs,
		polls, resets;
};

static inline void netbuf_done(struct netbuf *b) { b->done(b); }

int netdev_register(struct netdev *d);                   /* names it eth0, eth1, ...; threads */
struct netdev *netdev_next(struct netdev *after);        /* NULL: the first */
void netdev_attach(struct netdev *d, const struct netdev_upper *upper, void *stack);

#endif
