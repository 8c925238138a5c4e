/*
 * The registry of block devices, and requests that are waited for. Devices come at boot and stay;
 * the list is only ever extended, under a lock, so that readers walk it without one.
 */
#include <core/arch.h>
#include <core/assert.h>
#include <core/errno.h>
#include <core/fmt.h>
#include <core/kmem.h>
#include <core/string.h>
#include <libos/blkdev.h>

#include "blk_queue.h"

static struct list devices = LIST_INIT(devices);
static struct spinlock devices_lock = SPINLOCK_INIT;
static unsigned letter_count, ram_count, other_count;
static void (*listener)(struct blkdev *d); /* atomic */

#define MAJOR_RAM   1u
#define MAJOR_DISK  254u
#define MAJOR_OTHER 259u /* whose minors say nothing */
#define PARTS       16u  /* minors of one disk */

static bool limits_make_sense(const struct blkdev *d)
{
	return d->block_bytes >= 512 && d->block_bytes <= PAGE_SIZE &&
	       !(d->block_bytes & (d->block_bytes - 1)) &&
	       IS_ALIGNED(d->bytes, (uint64_t)d->block_bytes) && d->bytes <= BLKDEV_BYTES_MAX &&
	       d->depth && d->max_vecs && d->max_vec_bytes >= d->block_bytes &&
	       d->max_bytes >= d->block_bytes;
}

static int commands_create(struct blkdev *d)
{
	list_init(&d->free);
	d->commands = kzalloc(d->depth * sizeof(*d->commands));
	d->vecs = kzalloc((size_t)d->depth * d->max_vecs * sizeof(*d->vecs));
	if (!d->commands || !d->vecs) {
		kfree(d->commands);
		kfree(d->vecs);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < d->depth; i++) {
		struct blk_command *c = &d->commands[i];

		c->index = i;
		c->vecs = d->vecs + (size_t)i * d->max_vecs;
		list_init(&c->requests);
		list_push_back(&d->free, &c->link);
	}
	return 0;
}

static void number_locked(struct blkdev *d)
{
	const struct blkdev *w = d->whole;

	d->major = MAJOR_DISK;
	if (w && w->major == MAJOR_DISK && d->part && d->part < PARTS) {
		d->minor = w->minor + d->part;
	} else if (w) {
		d->major = MAJOR_OTHER;
		d->minor = other_count++;
	} else if (str_starts_with(d->name, "ram")) {
		d->major = MAJOR_RAM;
		d->minor = ram_count++;
	} else {
		d->minor = PARTS * letter_count;
	}
}

static void list_add(struct blkdev *d)
{
	void (*appeared)(struct blkdev *d);

	spin_lock(&devices_lock);
	number_locked(d);
	if (!d->name[0] && letter_count < 26)
		fmt_print(d->name, sizeof(d->name), "vd%c", 'a' + letter_count++);
	else if (!d->name[0])
		fmt_print(d->name, sizeof(d->name), "vd%u", letter_count++);
	list_push_back(&devices, &d->link);
	spin_unlock(&devices_lock);
	appeared = __atomic_load_n(&listener, __ATOMIC_ACQUIRE);
	if (appeared)
		appeared(d);
}

void blkdev_set_listener(void (*appeared)(struct blkdev *d))
{
	__atomic_store_n(&listener, appeared, __ATOMIC_RELEASE);
}

int blkdev_register(struct blkdev *d)
{
	int error;

	if (!limits_make_sense(d))
		return -EINVAL;
	spin_init(&d->lock);
	list_init(&d->waiting[0]);
	list_init(&d->waiting[1]);
	d->max_vec_bytes = ALIGN_DOWN(d->max_vec_bytes, d->block_bytes);
	error = blk_queue_init() ? -ENOMEM : commands_create(d);
	if (error)
		return error;
	list_add(d);
	return 0;
}

int blkdev_register_part(struct blkdev *d)
{
	const struct blkdev *w = d->whole;

	if (d->start > w->bytes || d->bytes > w->bytes - d->start ||
	    (d->start | d->bytes) & (w->block_bytes - 1))
		return -EINVAL;
	d->block_bytes = w->block_bytes;
	d->read_only = w->read_only;
	d->write_cache = w->write_cache;
	d->max_discard_bytes = w->max_discard_bytes;
	list_add(d);
	return 0;
}

struct blkdev *blkdev_next(struct blkdev *after)
{
	struct list *next = after ? after->link.next : devices.next;

	return next == &devices ? NULL : list_entry(next, struct blkdev, link);
}

struct blkdev *blkdev_find(const char *name)
{
	struct blkdev *d = NULL;

	while ((d = blkdev_next(d)) && !str_equal(d->name, name))
		;
	return d;
}

struct blkdev *blkdev_find_serial(const char *serial)
{
	struct blkdev *d = NULL;

	if (!*serial)
		return NULL;
	while ((d = blkdev_next(d)) && !str_equal(d->serial, serial))
		;
	return d;
}

/* ---- who has a disk ---- */

/* Do they share bytes? Partitions of one disk do not. */
static bool overlap(const struct blkdev *a, const struct blkdev *b)
{
	return a == b || a->whole == b || b->whole == a;
}

static bool is_claimed_locked(const struct blkdev *d)
{
	const struct blkdev *o;

	list_for_each(o, &devices, link) {
		if (overlap(d, o) && o->claims & 1)
			return true;
	}
	return false;
}

bool blkdev_is_claimed(const struct blkdev *d)
{
	bool claimed;

	spin_lock(&devices_lock);
	claimed = is_claimed_locked(d);
	spin_unlock(&devices_lock);
	return claimed;
}

static bool has_writers_locked(const struct blkdev *d)
{
	const struct blkdev *o;

	list_for_each(o, &devices, link) {
		if (overlap(d, o) && o->writers)
			return true;
	}
	return false;
}

int blkdev_claim(struct blkdev *d)
{
	bool free;

	spin_lock(&devices_lock);
	free = !is_claimed_locked(d) && !has_writers_locked(d);
	d->claims += free;
	spin_unlock(&devices_lock);
	return free ? 0 : -EBUSY;
}

/* Who had to be told of lost writes has gone. */
static void forget_losses(struct blkdev *d)
{
	spin_lock(&d->lock);
	d->lost_writes &= blkdev_is_claimed(d);
	spin_unlock(&d->lock);
}

void blkdev_release(struct blkdev *d)
{
	spin_lock(&devices_lock);
	assert(d->claims & 1);
	d->claims++;
	spin_unlock(&devices_lock);
	forget_losses(d->whole ? d->whole : d);
}

int blkdev_open_writer(struct blkdev *d)
{
	bool free;

	if (d->read_only)
		return -EROFS;
	spin_lock(&devices_lock);
	free = !is_claimed_locked(d);
	d->writers += free;
	spin_unlock(&devices_lock);
	return free ? 0 : -EBUSY;
}

void blkdev_close_writer(struct blkdev *d)
{
	spin_lock(&devices_lock);
	assert(d->writers);
	d->writers--;
	spin_unlock(&devices_lock);
}

/* ---- waiting ---- */

/* On the waiter's stack: who sets it is out of it again before the waiter goes on (lock). */
struct waited {
	struct spinlock lock;
	struct event event;
	int error;
};

static void waited_done(struct blkreq *r, int error)
{
	struct waited *w = r->user;

	spin_lock(&w->lock);
	w->error = error;
	event_set(&w->event);
	spin_unlock(&w->lock);
}

int blkdev_wait(struct blkdev *d, struct blkreq *r)
{
	struct waited w;

	spin_init(&w.lock);
	event_init(&w.event);
	r->done = waited_done;
	r->user = &w;
	blkdev_submit(d, r);
	blkdev_kick(d);
	event_wait(&w.event, DEADLINE_NEVER);
	spin_lock(&w.lock);
	spin_unlock(&w.lock);
	return w.error;
}

static int wait_for(struct blkdev *d, enum blk_op op, uint64_t offset, void *buf, size_t len,
		    uint32_t flags)
{
	struct blk_vec vec = { buf, len };
	struct blkreq r = { .op = op, .flags = flags, .offset = offset, .len = len,
			    .vecs = &vec, .vec_count = len > 0 };

	return blkdev_wait(d, &r);
}

int blkdev_read(struct blkdev *d, uint64_t offset, void *buf, size_t len)
{
	return wait_for(d, BLK_READ, offset, buf, len, 0);
}

int blkdev_write(struct blkdev *d, uint64_t offset, const void *buf, size_t len, uint32_t flags)
{
	return wait_for(d, BLK_WRITE, offset, (void *)buf, len, flags);
}

int blkdev_flush(struct blkdev *d)
{
	return wait_for(d, BLK_FLUSH, 0, NULL, 0, 0);
}
