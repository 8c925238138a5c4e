/*
 * Split virtqueues; virtqueue.h tells the story.
 *
 * Order of memory accesses. Descriptors and the ring entry are written before avail->idx (release);
 * used->idx is read before the entries it covers (acquire). Two places need a store to be seen
 * before a later load and so a full fence: publishing avail->idx before reading avail_event, and
 * writing used_event before re-reading used->idx. Without them both sides may fall asleep. The full
 * fence is dear on emulators (arch_device_fence()), so kicks of frames do without and look once
 * more before the stack rests.
 */
#include "virtqueue.h"

#include <core/arch.h>
#include <core/assert.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>


/* Alignment of the used ring; the legacy layout lets the driver choose it [2.7.2, 4.2.4]. */
#define RING_ALIGN VIRTIO_LEGACY_ALIGN

#define read_once(x) (*(const volatile __typeof__(x) *)&(x))
#define write_once(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

static size_t avail_offset(unsigned size)
{
	return size * sizeof(struct virtq_desc);
}

static size_t used_offset(unsigned size)
{
	size_t avail_bytes =
		sizeof(struct virtq_avail) + size * sizeof(uint16_t) + sizeof(uint16_t);

	return ALIGN_UP(avail_offset(size) + avail_bytes, RING_ALIGN);
}

static size_t ring_bytes(unsigned size)
{
	return used_offset(size) + sizeof(struct virtq_used) +
	       size * sizeof(struct virtq_used_elem) + sizeof(uint16_t);
}

/*
 * Legacy devices are told a page number; others take any aligned place, so small rings share pages.
 */
static bool ring_shares_page(const struct virtqueue *q)
{
	return !q->dev->legacy && q->ring_bytes <= PAGE_SIZE / 4;
}

static void *ring_alloc(const struct virtqueue *q)
{
	if (ring_shares_page(q))
		return kmalloc(q->ring_bytes);
	return page_alloc_exact(q->ring_bytes, PAGE_NET);
}

static void ring_free(struct virtqueue *q)
{
	if (ring_shares_page(q))
		kfree(q->desc);
	else if (q->desc)
		page_free_exact(q->desc, q->ring_bytes);
}

static int allocate(struct virtqueue *q, unsigned size, unsigned indirect_max)
{
	q->size = (uint16_t)size;
	q->mask = (uint16_t)(size - 1);
	q->indirect_max = (uint16_t)indirect_max;
	q->ring_bytes = ring_bytes(size);
	q->indirect_bytes = size * indirect_max * sizeof(struct virtq_desc);
	q->desc = ring_alloc(q);
	q->chains = kzalloc(size * sizeof(*q->chains));
	q->indirect = indirect_max ? page_alloc_exact(q->indirect_bytes, PAGE_NET) : NULL;
	if (!q->desc || !q->chains || (indirect_max && !q->indirect)) {
		virtq_release(q);
		return -ENOMEM;
	}
	q->avail = (struct virtq_avail *)((char *)q->desc + avail_offset(size));
	q->used = (struct virtq_used *)((char *)q->desc + used_offset(size));
	q->used_event = &q->avail->ring[size];
	q->avail_event = (uint16_t *)&q->used->ring[size];
	return 0;
}

/* Empty rings and every descriptor free. */
static void clear(struct virtqueue *q)
{
	memset(q->desc, 0, q->ring_bytes);
	for (unsigned i = 0; i < q->size; i++)
		q->chains[i] = (struct virtq_chain){ .next = (uint16_t)(i + 1) };
	q->free_head = 0;
	q->free_count = q->size;
	q->avail_next = q->avail_published = q->kick_from = 0;
	q->used_next = q->used_seen = 0;
}

unsigned virtq_size_for(unsigned n)
{
	unsigned p = 1;

	while (p * 2 <= n)
		p *= 2;
	return p;
}

int virtq_setup(struct virtqueue *q, struct virtio_device *d, unsigned index, unsigned size_wanted,
		unsigned indirect_max)
{
	unsigned offered = d->transport->queue_size_max(d, index);
	struct virtio_queue_place place;
	int error = 0;

	if (!offered)
		return -ENOENT;
	if (offered > VIRTQ_SIZE_MAX || (q->desc && offered < q->size))
		return -EPROTO;
	q->dev = d;
	q->index = (uint16_t)index;
	q->event_idx = virtio_has(d, VIRTIO_F_EVENT_IDX);
	if (!virtio_has(d, VIRTIO_F_INDIRECT_DESC))
		indirect_max = 0;
	if (!q->desc)
		error = allocate(q, virtq_size_for(MIN(offered, size_wanted)), indirect_max);
	if (error)
		return error;
	/* Tables allocated earlier serve again only if the device still understands them. */
	q->indirect_max = MIN(q->indirect_max, (uint16_t)indirect_max);
	clear(q);
	place = (struct virtio_queue_place){
		.size = q->size,
		.desc = arch_direct_unmap(q->desc),
		.avail = arch_direct_unmap(q->desc) + avail_offset(q->size),
		.used = arch_direct_unmap(q->desc) + used_offset(q->size),
	};
	d->transport->queue_enable(d, index, &place);
	virtq_interrupt_off(q);
	return 0;
}

void virtq_release(struct virtqueue *q)
{
	if (!q->dev)
		return;
	ring_free(q);
	if (q->indirect)
		page_free_exact(q->indirect, q->indirect_bytes);
	kfree(q->chains);
	q->desc = q->indirect = NULL;
	q->chains = NULL;
}

static inline uint16_t seg_flags(unsigned i, unsigned out, unsigned n)
{
	return (uint16_t)((i >= out ? VIRTQ_DESC_F_WRITE : 0) |
			  (i + 1 < n ? VIRTQ_DESC_F_NEXT : 0));
}

/* One descriptor that names a table of segments; returns the bytes the device may write. */
static uint32_t fill_indirect(struct virtqueue *q, uint16_t head, const struct virtq_seg *segs,
			      unsigned out, unsigned n)
{
	struct virtq_desc *table = &q->indirect[(size_t)head * q->indirect_max];
	uint32_t room = 0;

	for (unsigned i = 0; i < n; i++) {
		table[i] = (struct virtq_desc){ segs[i].addr, segs[i].len, seg_flags(i, out, n),
						(uint16_t)(i + 1) };
		room += i >= out ? segs[i].len : 0;
	}
	q->desc[head] =
		(struct virtq_desc){ arch_direct_unmap(table), (uint32_t)(n * sizeof(*table)),
				     VIRTQ_DESC_F_INDIRECT, 0 };
	q->free_head = q->chains[head].next;
	q->free_count--;
	q->chains[head].count = 1;
	return room;
}

/* One descriptor for each segment, linked as the free list links them. */
static uint32_t fill_direct(struct virtqueue *q, uint16_t head, const struct virtq_seg *segs,
			    unsigned out, unsigned n)
{
	uint16_t at = head;
	uint32_t room = 0;

	for (unsigned i = 0; i < n; i++) {
		uint16_t next = q->chains[at].next;

		q->desc[at] = (struct virtq_desc){ segs[i].addr, segs[i].len, seg_flags(i, out, n),
						   next };
		room += i >= out ? segs[i].len : 0;
		at = next;
	}
	q->free_head = at;
	q->free_count = (uint16_t)(q->free_count - n);
	q->chains[head].count = (uint16_t)n;
	return room;
}

int virtq_add(struct virtqueue *q, const struct virtq_seg *segs, unsigned out, unsigned in,
	      void *cookie)
{
	unsigned n = out + in;
	bool indirect = n > 1 && n <= q->indirect_max;
	uint16_t head = q->free_head;
	uint32_t room;

	assert(cookie && n);
	if (unlikely(n > q->size && !indirect))
		return -EINVAL;
	if (unlikely(q->free_count < (indirect ? 1 : n)))
		return -EAGAIN;
	room = indirect ? fill_indirect(q, head, segs, out, n) : fill_direct(q, head, segs, out, n);
	q->chains[head].cookie = cookie;
	q->chains[head].room = room;
	q->avail->ring[q->avail_next & q->mask] = head;
	q->avail_next++;
	return 0;
}

/* Does the device want to hear of the chains from kick_from to the last? Notifies it then. */
static inline bool notify_if_wanted(struct virtqueue *q)
{
	uint16_t now = q->avail_published, news = (uint16_t)(now - q->kick_from);
	bool wanted;

	if (q->event_idx) /* [2.7.10.1] did the index pass the event? */
		wanted = (uint16_t)(now - read_once(*q->avail_event) - 1) < news;
	else
		wanted = !(read_once(q->used->flags) & VIRTQ_USED_F_NO_NOTIFY);
	if (wanted)
		q->dev->transport->notify(q->dev, q->index);
	return wanted;
}

/* False: there is nothing to publish. */
static inline bool publish(struct virtqueue *q)
{
	if (q->avail_published == q->avail_next || virtio_is_broken(q->dev))
		return false;
	__atomic_store_n(&q->avail->idx, q->avail_next, __ATOMIC_RELEASE);
	q->avail_published = q->avail_next;
	return true;
}

bool virtq_kick(struct virtqueue *q)
{
	bool notified;

	if (!publish(q))
		return false;
	virtq_full_fence();
	notified = notify_if_wanted(q);
	q->kick_from = q->avail_published;
	return notified;
}

/* What was published now is looked at once more by the next kick; by then it has long been seen. */
bool virtq_kick_early(struct virtqueue *q)
{
	uint16_t before = q->avail_published;
	bool notified;

	if (!publish(q))
		return false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	notified = notify_if_wanted(q);
	q->kick_from = notified ? q->avail_published : before;
	return notified;
}

void virtq_settle(struct virtqueue *q)
{
	if (likely(!virtq_is_unsettled(q)) || virtio_is_broken(q->dev))
		return;
	notify_if_wanted(q);
	q->kick_from = q->avail_published;
}

static struct virtq_done lie(struct virtqueue *q, const char *what)
{
	q->used_seen = q->used_next;
	virtio_break(q->dev, what);
	return (struct virtq_done){ NULL, 0 };
}

/* The device's index has moved: is it believable? */
bool virtq_look_closer(struct virtqueue *q, uint16_t seen)
{
	uint16_t new = (uint16_t)(seen - q->used_next);

	if (virtio_is_broken(q->dev))
		return false;
	if (unlikely(new > (uint16_t)(q->avail_published - q->used_next)) &&
	    !planted(VIRTQ_INDEX)) {
		lie(q, "used index is ahead of what was offered");
		return false;
	}
	q->used_seen = seen;
	return true;
}

static void free_chain(struct virtqueue *q, uint16_t head)
{
	struct virtq_chain *c = &q->chains[head];
	uint16_t tail = head;

	for (unsigned left = c->count; left > 1; left--)
		tail = q->chains[tail].next;
	q->chains[tail].next = q->free_head;
	q->free_head = head;
	q->free_count = (uint16_t)(q->free_count + c->count);
	c->count = 0;
}

void *virtq_take(struct virtqueue *q, uint32_t *written)
{
	struct virtq_done done = virtq_take_fast(q);

	*written = done.written;
	return done.cookie;
}

struct virtq_done virtq_take_closer(struct virtqueue *q, uint32_t id, uint32_t len)
{
	struct virtq_chain *c;

	if (unlikely(id >= q->size) && !planted(VIRTQ_ID))
		return lie(q, "used entry names no descriptor");
	c = &q->chains[id];
	if (unlikely(!c->count) && !planted(VIRTQ_OUTSTANDING))
		return lie(q, "used entry names a chain that is not outstanding");
	/*
	 * Nothing writable was offered: devices of old report nonsense here, and nobody looks
	 * [2.7.8].
	 */
	if (unlikely(len > c->room) && c->room && !planted(VIRTQ_LENGTH))
		return lie(q, "used entry is longer than its buffers");
	q->used_next++;
	free_chain(q, (uint16_t)id);
	return (struct virtq_done){ c->cookie, len };
}

void virtq_interrupt_off(struct virtqueue *q)
{
	if (q->event_idx) /* just behind: 65,535 entries away */
		write_once(*q->used_event, (uint16_t)(q->used_next - 1));
	else
		write_once(q->avail->flags, VIRTQ_AVAIL_F_NO_INTERRUPT);
}

void *virtq_reclaim(struct virtqueue *q)
{
	for (unsigned i = 0; q->chains && i < q->size; i++) {
		if (q->chains[i].count) {
			free_chain(q, (uint16_t)i);
			return q->chains[i].cookie;
		}
	}
	return NULL;
}
