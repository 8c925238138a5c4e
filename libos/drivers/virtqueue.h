/*
 * Split virtqueues [2.7]: a table of descriptors, a ring of chains offered to the device, and a
 * ring of chains it has used.
 *
 * The driver offers chains with virtq_add(), publishes all of them with one virtq_kick(), and
 * collects them with virtq_take(). A chain is named by the driver's cookie. Any number of chains is
 * outstanding at once, and they come back in any order; a block request is one chain whose last
 * segment is the status byte.
 *
 * What the device can write is never believed. The links of free and outstanding chains live in
 * `chains`, which it is not told of, so that a table it scribbles over (loops included) is without
 * effect; a used entry counts only if it names an outstanding chain, no more bytes than that chain
 * has room for, and an index that is not ahead of what was offered. Anything else breaks the
 * device.
 *
 * A chain of several segments takes one descriptor when the queue has indirect tables [2.7.5.3].
 *
 * Interrupts and notifications go by event index when negotiated [2.7.7, 2.7.10], else by flags.
 *
 * Not locked: the driver serialises calls on one queue. Any context.
 */
#ifndef VIRTQUEUE_H
#define VIRTQUEUE_H

#include <core/arch.h>
#include <core/errno.h>

#include "virtio.h"

#define VIRTQ_DESC_F_NEXT     1u
#define VIRTQ_DESC_F_WRITE    2u
#define VIRTQ_DESC_F_INDIRECT 4u

#define VIRTQ_AVAIL_F_NO_INTERRUPT 1u
#define VIRTQ_USED_F_NO_NOTIFY     1u

#define VIRTQ_SIZE_MAX 32768u

/* The layout that driver and device share; little endian [2.7.5, 2.7.6, 2.7.8]. */
struct virtq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct virtq_avail {
	uint16_t flags, idx;
	uint16_t ring[];         /* [size], then used_event */
};

struct virtq_used_elem {
	uint32_t id, len;
};

struct virtq_used {
	uint16_t flags, idx;
	struct virtq_used_elem ring[]; /* [size], then avail_event */
};

/* A physically contiguous piece of memory. */
struct virtq_seg {
	paddr_t addr;
	uint32_t len;
};

/* What the driver remembers of a descriptor, out of the device's reach. */
struct virtq_chain {
	void *cookie;
	uint32_t room;   /* bytes that the device may write */
	uint16_t next;   /* the chain's next descriptor, or the next free one */
	uint16_t count;  /* at the head of an outstanding chain: its descriptors; else 0 */
};

struct virtqueue {
	struct virtio_device *dev;
	uint16_t index, size, mask; /* mask: size - 1 */
	uint16_t free_head, free_count;
	/* where the next chain goes; runs ahead of avail->idx until the kick */
	uint16_t avail_next;
	uint16_t avail_published;
	/* chains from here on may have been published without the device's knowing */
	uint16_t kick_from;
	uint16_t used_next;        /* the next entry to take */
	uint16_t used_seen;        /* the device's index when last looked at */
	uint16_t indirect_max;     /* segments of one indirect table; 0: no tables */
	bool event_idx;
	struct virtq_desc *desc;
	struct virtq_avail *avail;
	struct virtq_used *used;
	uint16_t *used_event, *avail_event;
	struct virtq_chain *chains;
	struct virtq_desc *indirect;      /* [size][indirect_max] */
	size_t ring_bytes, indirect_bytes;
};

/*
 * Gives the device queue `index`, with at most `size_wanted` descriptors (the device may have
 * fewer; rounded to a power of two) and indirect tables of `indirect_max` segments when negotiated.
 * The same structure may be set up again after a reset: its memory is kept. 0, -ENOENT when the
 * device has no such queue, -EPROTO when its size is nonsense, -ENOMEM.
 */
int virtq_setup(struct virtqueue *q, struct virtio_device *d, unsigned index, unsigned size_wanted,
		unsigned indirect_max);
/* The largest size of a queue, a power of two, that is at most `n`; 1 for 0. */
unsigned virtq_size_for(unsigned n);
/* After a successful reset only. */
void virtq_release(struct virtqueue *q);

/*
 * Offers a chain: `out` segments that the device reads, then `in` segments that it writes. 0;
 * -EAGAIN without room; -EINVAL for a chain that this queue can never hold. `cookie` is not NULL.
 */
int virtq_add(struct virtqueue *q, const struct virtq_seg *segs, unsigned out, unsigned in,
	      void *cookie);

/* The same for one piece (`flags` VIRTQ_DESC_F_WRITE or 0), made for the paths of frames. */
static inline int virtq_add_one(struct virtqueue *q, paddr_t addr, uint32_t len, uint16_t flags,
				void *cookie)
{
	uint16_t head = q->free_head;
	struct virtq_chain *c = &q->chains[head];

	if (unlikely(!q->free_count))
		return -EAGAIN;
	q->free_count--;
	q->free_head = c->next;
	q->desc[head] = (struct virtq_desc){ addr, len, flags, 0 };
	c->cookie = cookie;
	c->room = flags ? len : 0;
	c->count = 1;
	q->avail->ring[q->avail_next++ & q->mask] = head;
	return 0;
}

/*
 * A queue whose descriptors name one piece each for good, made for receive buffers: they are filled
 * once after virtq_setup(), and from then on only offered and taken, which touches the ring and
 * nothing else. Such a queue uses neither virtq_add() nor virtq_take(). `id` is below q->size.
 */
static inline void virtq_prepare(struct virtqueue *q, uint16_t id, paddr_t addr, uint32_t len,
				 uint16_t flags, void *cookie)
{
	q->desc[id] = (struct virtq_desc){ addr, len, flags, 0 };
	q->chains[id] = (struct virtq_chain){ .cookie = cookie, .room = flags ? len : 0 };
}

static inline void virtq_offer(struct virtqueue *q, uint16_t id)
{
	q->chains[id].count = 1;
	q->avail->ring[q->avail_next++ & q->mask] = id;
}

/* Publishes what was added since the last kick; true if the device had to be notified. */
bool virtq_kick(struct virtqueue *q);
/*
 * The same for paths that kick often: cheaper, but it may take the device for awake when that has
 * just gone to sleep. The next kick notices, and so does virtq_settle(), which the caller owes
 * before it rests, behind a virtq_full_fence().
 */
bool virtq_kick_early(struct virtqueue *q);
void virtq_settle(struct virtqueue *q);
/* It has something to do. */
static inline bool virtq_is_unsettled(const struct virtqueue *q)
{
	return q->kick_from != q->avail_published;
}

/*
 * The next used chain's cookie and how many bytes the device says it wrote; NULL when there is
 * none, or when the device is broken.
 */
void *virtq_take(struct virtqueue *q, uint32_t *written);

struct virtq_done {
	void *cookie;      /* NULL: nothing */
	uint32_t written;
};

/* The parts of virtq_take() that the paths of frames do not run through. */
bool virtq_look_closer(struct virtqueue *q, uint16_t seen);
struct virtq_done virtq_take_closer(struct virtqueue *q, uint32_t id, uint32_t len);

/*
 * virtq_take(), made for the paths of frames: chains of one descriptor are checked and freed in
 * line.
 */
static inline struct virtq_done virtq_take_fast(struct virtqueue *q)
{
	const volatile struct virtq_used_elem *e;
	struct virtq_chain *c;
	uint16_t seen;
	size_t id;
	uint32_t len;

	if (q->used_next == q->used_seen) {
		seen = __atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE);
		if (seen == q->used_next || !virtq_look_closer(q, seen))
			return (struct virtq_done){ NULL, 0 };
	}
	e = &q->used->ring[q->used_next & q->mask];
	id = e->id;
	len = e->len;
	c = &q->chains[id];
	if (unlikely(id >= q->size || c->count != 1 || len > c->room))
		return virtq_take_closer(q, (uint32_t)id, len);
	q->used_next++;
	q->free_count++;
	c->count = 0;
	c->next = q->free_head;
	q->free_head = (uint16_t)id;
	return (struct virtq_done){ c->cookie, len };
}

/* True if there are used entries that virtq_take_prepared() has not taken: up to q->used_seen. */
static inline bool virtq_look(struct virtqueue *q)
{
	uint16_t seen = __atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE);

	return seen != q->used_next && virtq_look_closer(q, seen);
}

/* The next entry of a queue of prepared descriptors. */
static inline struct virtq_done virtq_take_prepared(struct virtqueue *q)
{
	const volatile struct virtq_used_elem *e = &q->used->ring[q->used_next & q->mask];
	struct virtq_chain *c;
	size_t id;
	uint32_t len;

	if (unlikely(q->used_next == q->used_seen) && !virtq_look(q))
		return (struct virtq_done){ NULL, 0 };
	id = e->id;
	len = e->len;
	c = &q->chains[id];
	if (unlikely(id >= q->size || c->count != 1 || len > c->room))
		return virtq_take_closer(q, (uint32_t)id, len);
	q->used_next++;
	c->count = 0;
	return (struct virtq_done){ c->cookie, len };
}

/*
 * A cheap look for callers that mostly find nothing: false means that virtq_take() would give NULL.
 */
static inline bool virtq_has_used(const struct virtqueue *q)
{
	return q->used_next != __atomic_load_n(&q->used->idx, __ATOMIC_RELAXED);
}

/* A store that the device must see before we read what it stored: see the head of virtqueue.c. */
static inline void virtq_full_fence(void)
{
	arch_device_fence();
}

/* Outstanding chains. */
static inline unsigned virtq_outstanding(const struct virtqueue *q)
{
	return (uint16_t)(q->avail_next - q->used_next);
}

/*
 * Asks for an interrupt once `ahead` more chains are used (1: the next one). False: they have been
 * already, no interrupt will come, and the caller must take them.
 */
static inline bool virtq_interrupt_after(struct virtqueue *q, unsigned ahead)
{
	uint16_t passed;

	if (likely(q->event_idx))
		*(volatile uint16_t *)q->used_event = (uint16_t)(q->used_next + ahead - 1);
	else
		*(volatile uint16_t *)&q->avail->flags = 0;
	virtq_full_fence();
	passed = (uint16_t)(*(volatile uint16_t *)&q->used->idx - q->used_next);
	return passed < ahead || virtio_is_broken(q->dev);
}

void virtq_interrupt_off(struct virtqueue *q);

/* After a reset: the cookies of chains still outstanding, one a call, then NULL. */
void *virtq_reclaim(struct virtqueue *q);

/*
 * The physical pieces of [base, base+len), appended to segs[count..max). Returns the new count,
 * -E2BIG when they do not fit, -EFAULT when a part is not mapped.
 */
int virtq_pieces(const void *base, size_t len, struct virtq_seg *segs, unsigned count,
		 unsigned max);
/* True for an address in the direct map, where every range is one piece. */
static inline bool virtq_is_direct(const void *p)
{
	extern paddr_t virtq_ram_start, virtq_ram_bytes;

	return arch_direct_unmap(p) - virtq_ram_start < virtq_ram_bytes;
}
/* Boot: where RAM lies, so that direct-map addresses are recognised. */
void virtq_set_ram(paddr_t start, paddr_t end);

#endif
