/*
 * A virtio network device of software with a stack on top that watches every move of the driver.
 *
 * The stack checks what no frame may violate: its pieces lie inside receive buffers of the driver
 * (or copies), no buffer is lent twice, and every netbuf sent is done exactly once.
 */
#ifndef NET_RIG_H
#define NET_RIG_H

#include "model.h"
#include "virtio_net.h"

#define RIG_HELD_MAX 1024u
#define RIG_SENT_MAX 256u
#define RIG_FRAME    1514u

enum { RIG_RX = 0, RIG_TX = 1 };

struct rig_sent {
	struct netbuf netbuf;
	struct rig *rig;
	bool busy;
};

struct rig {
	struct model model;
	struct virtio_net *net;
	struct netdev *dev;
	bool hold;                         /* keep received frames */
	struct netbuf *held[RIG_HELD_MAX];
	unsigned held_count;
	unsigned inputs, wakes, tx_readies, downs, ups, dones;
	struct rig_sent sent[RIG_SENT_MAX];
	uint8_t *payload;                  /* 64 KiB to send from */
	uint8_t last[4096];                /* the start of the last frame received */
	size_t last_len;
	bool last_csum_good;
	unsigned last_frags;
	const char *complaint;
	struct model_chain rx_chain;       /* scratch */
};

/*
 * A started device with these features; the rig of earlier tests again if they were the same. NULL:
 * failed.
 */
struct rig *rig_start(uint64_t features);
struct rig *rig_new(uint64_t features); /* one of its own; may be NULL */

/* The device receives a frame whose bytes count up from `first`. False: it has no buffer. */
bool rig_deliver(struct rig *r, uint8_t first, size_t len);
/* The same, with a header of the caller's and the frame spread over `buffers` buffers. */
bool rig_deliver_as(struct rig *r, struct virtio_net_hdr h, uint8_t first, size_t len,
		    unsigned buffers);

/* until poll() says 0 and look() false; at most 10,000 rounds */
unsigned rig_poll_all(struct rig *r);
int rig_send(struct rig *r, size_t len);    /* one frame of `len` bytes: transmit(), no kick */
void rig_sent_done(struct netbuf *b);        /* done() of the netbufs in `sent` */
int rig_send_gso(struct rig *r, size_t len);
unsigned rig_busy(const struct rig *r);     /* frames sent and not done */
unsigned rig_device_sends(struct rig *r);   /* the device takes and finishes all that was offered */
void rig_release_all(struct rig *r);

bool rig_is_well(struct rig *r);            /* nobody complained, and frames flow both ways */

#endif
