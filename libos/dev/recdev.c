/*
 * The recording disk: see recdev.h. Commands are performed in a task, as a driver's interrupts
 * would have them end. A write is written down before its bytes reach the disk and again when it
 * has ended, and a flush with the place in the history where it began: what had ended by then is
 * what it promises.
 */
#include "recdev.h"

#include <core/assert.h>
#include <core/errno.h>
#include <core/fmt.h>
#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>

/* ---- the history ---- */

static void history_grow(struct recdev *r)
{
	size_t capacity = r->capacity ? 2 * r->capacity : 256;
	struct rec_event *events = page_alloc_exact(capacity * sizeof(*events), PAGE_KERNEL);

	assert(events);
	if (r->count)
		memcpy(events, r->events, r->count * sizeof(*events));
	if (r->capacity)
		page_free_exact(r->events, r->capacity * sizeof(*events));
	r->events = events;
	r->capacity = capacity;
}

/* The number of the event. */
static uint64_t note(struct recdev *r, struct rec_event e)
{
	uint64_t at;

	spin_lock(&r->lock);
	if (r->count == r->capacity)
		history_grow(r);
	at = r->count++;
	r->events[at] = e;
	spin_unlock(&r->lock);
	return at;
}

static void history_clear(struct recdev *r)
{
	while (r->count) {
		struct rec_event *e = &r->events[--r->count];

		if (e->kind == REC_WRITE)
			page_free_exact(e->bytes, (size_t)e->len);
	}
}

void recdev_mark(struct recdev *r, uint64_t value)
{
	if (r->recording)
		note(r, (struct rec_event){ .kind = REC_MARK, .of = value });
}

void recdev_record(struct recdev *r, bool on)
{
	if (on)
		history_clear(r);
	r->recording = on;
}

/* ---- commands ---- */

static bool is_struck(const struct recdev *r, uint64_t number, uint64_t fault)
{
	return fault && (number == fault || (r->faults.for_ever && number > fault));
}

static void copy(struct recdev *r, const struct blk_command *c, bool to_disk)
{
	uint8_t *at = r->bytes + c->offset;

	for (size_t i = 0; i < c->vec_count; at += c->vecs[i++].len) {
		if (to_disk)
			memcpy(at, c->vecs[i].base, c->vecs[i].len);
		else
			memcpy(c->vecs[i].base, at, c->vecs[i].len);
	}
}

static int perform_read(struct recdev *r, const struct blk_command *c)
{
	if (is_struck(r, ++r->reads, r->faults.read))
		return -EIO;
	copy(r, c, false);
	return 0;
}

/* A write of zeroes and a discard are writes too. A failed one has not reached the disk. */
static int perform_write(struct recdev *r, const struct blk_command *c)
{
	uint64_t number = 0;
	uint8_t *bytes = NULL;

	if (is_struck(r, ++r->writes, r->faults.write))
		return -EIO;
	if (c->op == BLK_WRITE)
		copy(r, c, true);
	else
		memset(r->bytes + c->offset, 0, c->len);
	if (!r->recording)
		return 0;
	bytes = page_alloc_exact((size_t)c->len, PAGE_KERNEL);
	assert(bytes);
	memcpy(bytes, r->bytes + c->offset, c->len);
	number = note(r, (struct rec_event){ REC_WRITE, c->flags & BLK_FUA, 0, c->offset, c->len,
					     bytes });
	note(r, (struct rec_event){ .kind = REC_ENDED, .of = number });
	return 0;
}

/* Commands end one by one, so what ended before this moment ended before the flush began. */
static int perform_flush(struct recdev *r)
{
	if (is_struck(r, ++r->flushes, r->faults.flush))
		return -EIO;
	if (r->recording)
		note(r, (struct rec_event){ .kind = REC_FLUSH, .of = r->count });
	return 0;
}

static int perform(struct recdev *r, const struct blk_command *c)
{
	switch (c->op) {
	case BLK_READ:
		return perform_read(r, c);
	case BLK_FLUSH:
		return perform_flush(r);
	default:
		return perform_write(r, c);
	}
}

/* xorshift64* (Vigna, 2016), of its own: the test's sequence stays the test's. */
static uint64_t shuffle_next(struct recdev *r)
{
	r->shuffle ^= r->shuffle >> 12;
	r->shuffle ^= r->shuffle << 25;
	r->shuffle ^= r->shuffle >> 27;
	return r->shuffle * 0x2545f4914f6cdd1dull >> 32;
}

static struct blk_command *command_next(struct recdev *r)
{
	struct list *link = NULL;
	size_t n = 0;

	spin_lock(&r->lock);
	if (!r->held && !list_is_empty(&r->started)) {
		for (link = r->started.next; r->shuffle && link != &r->started; link = link->next)
			n++;
		link = r->started.next;
		for (n = n ? shuffle_next(r) % n : 0; n; n--)
			link = link->next;
		list_remove(link);
	}
	spin_unlock(&r->lock);
	return link ? list_entry(link, struct blk_command, link) : NULL;
}

static void recdev_task(struct task *t)
{
	struct recdev *r = container_of(t, struct recdev, task);
	struct blk_command *c;

	while ((c = command_next(r)))
		blk_command_done(&r->dev, c, perform(r, c));
	blkdev_kick(&r->dev);
}

static void recdev_start(struct blkdev *d, struct blk_command *c)
{
	struct recdev *r = d->driver;

	spin_lock(&r->lock);
	list_push_back(&r->started, &c->link);
	spin_unlock(&r->lock);
}

static void recdev_kick(struct blkdev *d)
{
	task_wake(&((struct recdev *)d->driver)->task);
}

void recdev_hold(struct recdev *r, bool on)
{
	spin_lock(&r->lock);
	r->held = on;
	spin_unlock(&r->lock);
	if (!on)
		task_wake(&r->task);
}

/* ---- life ---- */

static const struct blkdev_ops recdev_ops = { .start = recdev_start, .kick = recdev_kick };

struct recdev *recdev_create(uint64_t bytes)
{
	static uint32_t count;
	struct recdev *r = kzalloc(sizeof(*r));

	if (!r)
		return NULL;
	r->bytes = page_alloc_exact((size_t)bytes, PAGE_KERNEL);
	spin_init(&r->lock);
	list_init(&r->started);
	task_init(&r->task, "recdev", recdev_task);
	r->dev = (struct blkdev){
		.bytes = bytes, .block_bytes = 512, .write_cache = true, .has_fua = true,
		.max_vecs = 64, .max_vec_bytes = MIB(1), .max_bytes = KIB(128),
		.max_discard_bytes = GIB(1), .max_zeroes_bytes = GIB(1), .depth = 16,
		.ops = &recdev_ops, .driver = r,
	};
	fmt_print(r->dev.name, sizeof(r->dev.name), "rec%u", count++);
	if (!r->bytes || blkdev_register(&r->dev) != 0) {
		if (r->bytes)
			page_free_exact(r->bytes, (size_t)bytes);
		kfree(r);
		return NULL;
	}
	recdev_load(r, NULL);
	return r;
}

bool recdev_resize(struct recdev *r, uint64_t bytes)
{
	uint8_t *fresh = page_alloc_exact((size_t)bytes, PAGE_KERNEL);

	if (!fresh)
		return false;
	page_free_exact(r->bytes, (size_t)r->dev.bytes);
	r->bytes = fresh;
	r->dev.bytes = bytes;
	recdev_load(r, NULL);
	return true;
}

void recdev_load(struct recdev *r, const void *image)
{
	assert(list_is_empty(&r->started));
	recdev_record(r, false);
	history_clear(r);
	r->held = false;
	r->shuffle = r->reads = r->writes = r->flushes = 0;
	r->faults = (struct rec_faults){ 0 };
	r->dev.lost_writes = false;
	if (image)
		memcpy(r->bytes, image, r->dev.bytes);
	else
		memset(r->bytes, 0, r->dev.bytes);
}
