/*
 * Virtio block devices [5.2]: commands of libos/dev's queue as chains of a ring.
 *
 * A chain is a header that the device reads, the data, and a status byte that it writes. Headers
 * and status bytes live in `slots`, one for each command of the queue, so that a command needs no
 * memory of its own. Nothing here waits: the queue never has more commands under way than a ring
 * holds, and an interrupt wakes a task that takes what is done.
 *
 * A device with several rings [5.2.5] is given one for each hart, as far as it has them: a command
 * goes into the ring of the hart that sends it, so that the device may work on them side by side.
 *
 * A device that breaks its contract is reset by the task. All commands under way then end with
 * -EIO, and so do flushes (libos/blkdev.h), since nobody knows what the device's cache still held;
 * later commands go to the device as before. One that does not come back with the same promises is
 * dead.
 *
 * Locks: the block device's lock, then v->lock, which guards the rings.
 */
#include "virtio_blk.h"

#include <core/arch.h>
#include <core/executor.h>
#include <core/hart.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/page.h>
#include <core/string.h>
#include <core/time.h>
#include <libos/blkdev.h>

#include "virtqueue.h"

#define WANTED_FEATURES                                                                     \
	(BLK_F_SIZE_MAX | BLK_F_SEG_MAX | BLK_F_RO | BLK_F_BLK_SIZE | BLK_F_FLUSH |         \
	 BLK_F_MQ | BLK_F_DISCARD | BLK_F_WRITE_ZEROES)

#define QUEUE_SIZE     256u                /* where each piece takes a descriptor of the ring */
#define QUEUES_MAX     8u
#define DEPTH_MAX      32u
#define VECS_MAX       64u
#define VECS_FEW       14u                 /* as above */
#define BYTES_MAX      MIB(1)
#define RANGE_MAX      GIB(1)              /* of one discard */
#define ID_TIMEOUT_NS  NSEC_PER_SEC
#define STATUS_UNSET   0xffu

/*
 * What the device reads and writes beside the data; each part in a cache line of the command's own.
 */
struct slot {
	struct virtio_blk_header header;
	struct virtio_blk_range range;
	uint8_t status;
	uint8_t pad[CACHE_LINE - 33];
};

/*  Locks:  I set in probe   v lock   t the task only */
struct virtio_blk {
	struct blkdev disk;            /* [I] to us */
	struct virtio_device *dev;     /* [I] */
	struct spinlock lock;
	struct virtqueue q[QUEUES_MAX];/* [v] */
	unsigned queues;               /* [I] */
	struct slot *slots;            /* [v] */
	struct virtq_seg segs[VECS_MAX + 2]; /* [v] of the chain being made: too much for a stack */
	struct list unsent;            /* [v] commands that met a broken device */
	bool resetting;                /* [v] the ring is not to be touched */
	struct task task;
	uint64_t features;             /* [I] as first negotiated */
};

/* ---- sending ---- */

static uint32_t type_of(enum blk_op op)
{
	static const uint8_t types[] = {
		[BLK_READ] = BLK_T_IN, [BLK_WRITE] = BLK_T_OUT, [BLK_FLUSH] = BLK_T_FLUSH,
		[BLK_DISCARD] = BLK_T_DISCARD, [BLK_WRITE_ZEROES] = BLK_T_WRITE_ZEROES,
	};

	return types[op];
}

static unsigned add_range(struct slot *s, const struct blk_command *c, struct virtq_seg *seg)
{
	s->range = (struct virtio_blk_range){
		c->offset / BLK_SECTOR, (uint32_t)(c->len / BLK_SECTOR),
		c->op == BLK_WRITE_ZEROES && c->flags & BLK_UNMAP,
	};
	*seg = (struct virtq_seg){ page_paddr(&s->range), sizeof(s->range) };
	return 1;
}

static unsigned add_data(const struct blk_command *c, struct virtq_seg *segs)
{
	for (size_t i = 0; i < c->vec_count; i++)
		segs[i] = (struct virtq_seg){ page_paddr(c->vecs[i].base),
					      (uint32_t)c->vecs[i].len };
	return (unsigned)c->vec_count;
}

static int send_command(struct virtio_blk *v, struct blk_command *c)
{
	struct virtqueue *q = &v->q[hart_id() % v->queues];
	struct virtq_seg *segs = v->segs;
	struct slot *s = &v->slots[c->index];
	bool has_range = c->op == BLK_DISCARD || c->op == BLK_WRITE_ZEROES;
	unsigned data;

	s->header = (struct virtio_blk_header){
		type_of(c->op), 0,
		c->op == BLK_READ || c->op == BLK_WRITE ? c->offset / BLK_SECTOR : 0,
	};
	s->status = STATUS_UNSET;
	segs[0] = (struct virtq_seg){ page_paddr(&s->header), sizeof(s->header) };
	data = has_range ? add_range(s, c, &segs[1]) : add_data(c, &segs[1]);
	segs[data + 1] = (struct virtq_seg){ page_paddr(&s->status), 1 };
	return c->op == BLK_READ ? virtq_add(q, segs, 1, data + 1, c)
				 : virtq_add(q, segs, data + 1, 1, c);
}

static void blk_start(struct blkdev *d, struct blk_command *c)
{
	struct virtio_blk *v = d->driver;

	spin_lock(&v->lock);
	if (v->resetting || virtio_is_broken(v->dev) || send_command(v, c)) {
		list_push_back(&v->unsent, &c->link);
		task_wake(&v->task);
	}
	spin_unlock(&v->lock);
}

static void blk_kick(struct blkdev *d)
{
	struct virtio_blk *v = d->driver;

	spin_lock(&v->lock);
	for (unsigned i = 0; !v->resetting && i < v->queues; i++) {
		if (!virtq_interrupt_after(&v->q[i], 1))
			task_wake(&v->task);
		virtq_kick(&v->q[i]);
	}
	spin_unlock(&v->lock);
}

static const struct blkdev_ops blk_ops = { .start = blk_start, .kick = blk_kick };

/* ---- completions ---- */

static int command_error(const struct virtio_blk *v, const struct blk_command *c, uint32_t written)
{
	uint8_t status = *(const volatile uint8_t *)&v->slots[c->index].status;

	if (status == BLK_S_UNSUPP)
		return -EOPNOTSUPP;
	if (status != BLK_S_OK)
		return -EIO;
	/* Memory that a read has not filled must not pass for the disk's. */
	return !planted(BLK_SHORT_READ) && c->op == BLK_READ && written <= c->len ? -EIO : 0;
}

static struct blk_command *take_done(struct virtio_blk *v, int *error)
{
	struct blk_command *c = NULL;
	uint32_t written;

	spin_lock(&v->lock);
	for (unsigned i = 0; !c && i < v->queues && !virtio_is_broken(v->dev); i++)
		c = virtq_take(&v->q[i], &written);
	if (c)
		*error = command_error(v, c, written);
	spin_unlock(&v->lock);
	return c;
}

static bool interrupt_is_armed(struct virtio_blk *v)
{
	bool armed = true;

	spin_lock(&v->lock);
	for (unsigned i = 0; armed && i < v->queues && !virtio_is_broken(v->dev); i++)
		armed = virtq_interrupt_after(&v->q[i], 1);
	spin_unlock(&v->lock);
	return armed;
}

/* ---- resetting ---- */

static unsigned queues_wanted(struct virtio_device *d)
{
	unsigned offered = virtio_has(d, BLK_F_MQ) ? virtio_config_u16(d, BLK_CONFIG_NUM_QUEUES)
						   : 1;

	return CLAMP(MIN(offered, hart_count()), 1u, QUEUES_MAX);
}

static int rings_setup(struct virtio_blk *v)
{
	unsigned size = virtio_has(v->dev, VIRTIO_F_INDIRECT_DESC) ? DEPTH_MAX : QUEUE_SIZE;
	int error = 0;

	for (unsigned i = 0; !error && i < v->queues; i++)
		error = virtq_setup(&v->q[i], v->dev, i, size, v->disk.max_vecs + 2);
	return error;
}

static int blk_begin(struct virtio_blk *v, uint64_t wanted)
{
	struct virtio_device *d = v->dev;
	unsigned segments = VECS_FEW;
	int error = virtio_begin(d, wanted);

	if (error)
		return error;
	if (virtio_has(d, VIRTIO_F_INDIRECT_DESC))
		segments = VECS_MAX;
	if (virtio_has(d, BLK_F_SEG_MAX))
		segments = MIN(segments, virtio_config_u32(d, BLK_CONFIG_SEG_MAX));
	if (!v->disk.max_vecs)
		v->disk.max_vecs = MAX(segments, 1u);
	if (!v->queues)
		v->queues = queues_wanted(d);
	error = rings_setup(v);
	if (!error)
		virtio_ready(d);
	return error;
}

/* What the device had, and what could not be sent, in one list. */
static void take_back(struct virtio_blk *v, struct list *back, bool all)
{
	struct blk_command *c;

	spin_lock(&v->lock);
	for (unsigned i = 0; all && i < v->queues; i++) {
		while ((c = virtq_reclaim(&v->q[i])))
			list_push_back(back, &c->link);
	}
	list_splice_back(back, &v->unsent);
	spin_unlock(&v->lock);
}

static void end_all(struct virtio_blk *v, struct list *commands)
{
	struct list *link;

	while ((link = list_pop_front(commands)))
		blk_command_done(&v->disk, list_entry(link, struct blk_command, link), -EIO);
}

static void set_resetting(struct virtio_blk *v, bool on)
{
	spin_lock(&v->lock);
	v->resetting = on;
	spin_unlock(&v->lock);
}

static void blk_restart(struct virtio_blk *v)
{
	struct list back = LIST_INIT(back);
	bool stuck, dead;

	set_resetting(v, true);
	stuck = virtio_reset(v->dev) != 0;
	take_back(v, &back, true);
	dead = stuck || blk_begin(v, v->features) || v->dev->features != v->features;
	if (dead)
		virtio_fail(v->dev);
	blkdev_was_reset(&v->disk, dead);
	if (!dead)
		set_resetting(v, false);
	end_all(v, &back);
}

static void blk_task(struct task *t)
{
	struct virtio_blk *v = container_of(t, struct virtio_blk, task);
	struct list back = LIST_INIT(back);
	struct blk_command *c;
	int error = 0;

	if (v->disk.dead)
		goto kick;
	do {
		while ((c = take_done(v, &error)))
			blk_command_done(&v->disk, c, error);
	} while (!interrupt_is_armed(v));
	if (virtio_is_broken(v->dev))
		blk_restart(v);
kick:
	take_back(v, &back, false);
	end_all(v, &back);
	blkdev_kick(&v->disk);
}

static void blk_interrupt(struct virtio_device *d, uint32_t causes)
{
	struct virtio_blk *v = d->driver_data;

	if (!v)
		return;
	if (causes & VIRTIO_INTERRUPT_CONFIG && d->transport->status(d) & VIRTIO_STATUS_NEEDS_RESET)
		virtio_break(d, "it asks for a reset");
	task_wake(&v->task);
}

/* ---- probing ---- */

/* The serial, asked before the queue exists, and waited for. */
static int read_serial(struct virtio_blk *v)
{
	uint64_t deadline = clock_ns() + ID_TIMEOUT_NS;
	struct slot *s = &v->slots[0];
	char *id = (char *)&v->slots[1];
	struct virtq_seg segs[] = {
		{ page_paddr(&s->header), sizeof(s->header) },
		{ page_paddr(id), BLK_ID_BYTES },
		{ page_paddr(&s->status), 1 },
	};
	uint32_t written;

	s->header = (struct virtio_blk_header){ BLK_T_GET_ID, 0, 0 };
	s->status = STATUS_UNSET;
	memset(id, 0, BLK_ID_BYTES);
	if (virtq_add(&v->q[0], segs, 1, 2, v))
		return -EIO;
	virtq_kick(&v->q[0]);
	while (!virtq_take(&v->q[0], &written)) {
		if (virtio_is_broken(v->dev) || clock_ns() > deadline)
			return -EIO;
		arch_relax();
	}
	if (s->status != BLK_S_OK)
		return 0;
	/* It becomes part of a path and of the log: plain characters only. */
	for (unsigned i = 0; i < BLK_ID_BYTES && id[i] > ' ' && id[i] < 0x7f && id[i] != '/'; i++)
		v->disk.serial[i] = id[i];
	return 0;
}

/* In whole blocks, or a range that goes in pieces would ask for parts of them. */
static uint32_t range_limit(struct virtio_device *d, uint64_t feature, unsigned offset,
			    uint32_t block_bytes)
{
	uint64_t sectors = virtio_has(d, feature) ? virtio_config_u32(d, offset) : 0;

	return ALIGN_DOWN((uint32_t)MIN(sectors * BLK_SECTOR, RANGE_MAX), block_bytes);
}

/* So many commands fit into any of the rings; 0: none does. */
static unsigned rings_hold(const struct virtio_blk *v)
{
	unsigned least = DEPTH_MAX;

	for (unsigned i = 0; i < v->queues; i++) {
		const struct virtqueue *q = &v->q[i];

		least = MIN(least, q->indirect_max ? q->size : q->size / (v->disk.max_vecs + 2u));
	}
	return least;
}

static int read_limits(struct virtio_blk *v)
{
	struct virtio_device *dev = v->dev;
	struct blkdev *d = &v->disk;
	uint64_t sectors = virtio_config_u64(dev, BLK_CONFIG_CAPACITY);

	d->block_bytes = virtio_has(dev, BLK_F_BLK_SIZE)
				 ? virtio_config_u32(dev, BLK_CONFIG_BLK_SIZE)
				 : BLK_SECTOR;
	if (d->block_bytes < BLK_SECTOR || d->block_bytes > PAGE_SIZE ||
	    d->block_bytes & (d->block_bytes - 1))
		return -EPROTO;
	if (!planted(BLK_CAPACITY) && sectors > BLKDEV_BYTES_MAX / BLK_SECTOR)
		return -EPROTO;
	d->bytes = ALIGN_DOWN(sectors * BLK_SECTOR, (uint64_t)d->block_bytes);
	d->max_vec_bytes = virtio_has(dev, BLK_F_SIZE_MAX)
				   ? virtio_config_u32(dev, BLK_CONFIG_SIZE_MAX)
				   : BYTES_MAX;
	if (d->max_vec_bytes < d->block_bytes)
		return -EPROTO;
	d->max_vec_bytes = MIN(d->max_vec_bytes, BYTES_MAX);
	d->max_bytes = BYTES_MAX;
	d->read_only = virtio_has(dev, BLK_F_RO);
	d->write_cache = virtio_has(dev, BLK_F_FLUSH);
	d->max_discard_bytes = range_limit(dev, BLK_F_DISCARD, BLK_CONFIG_MAX_DISCARD,
					   d->block_bytes);
	d->max_zeroes_bytes = range_limit(dev, BLK_F_WRITE_ZEROES, BLK_CONFIG_MAX_ZEROES,
					  d->block_bytes);
	d->depth = rings_hold(v);
	return d->depth ? 0 : -EPROTO;
}

static int blk_open(struct virtio_blk *v)
{
	int error = blk_begin(v, WANTED_FEATURES);

	if (error)
		return error;
	v->features = v->dev->features;
	v->slots = page_alloc_exact(DEPTH_MAX * sizeof(struct slot), PAGE_CACHE);
	if (!v->slots)
		return -ENOMEM;
	error = read_limits(v);
	return error ? error : read_serial(v);
}

/* Of its own, so that the arguments do not lie on the stack of what blk_probe() calls. */
static __attribute__((noinline)) void announce(const struct virtio_device *dev,
					       const struct blkdev *d)
{
	log_info("%s: virtio-blk %s, %lu KiB%s%s%s%s", dev->name, d->name,
		 (unsigned long)(d->bytes >> 10), d->read_only ? ", read-only" : "",
		 d->write_cache ? ", write cache" : "", d->serial[0] ? ", serial " : "", d->serial);
}

static int blk_probe(struct virtio_device *dev)
{
	struct virtio_blk *v = kzalloc(sizeof(*v));
	int error;

	if (!v)
		return -ENOMEM;
	v->dev = dev;
	v->disk.ops = &blk_ops;
	v->disk.driver = v;
	spin_init(&v->lock);
	list_init(&v->unsent);
	task_init(&v->task, "virtio-blk", blk_task);
	error = blk_open(v);
	/* before anybody knows the disk: its interrupts count from the first request on */
	dev->driver_data = v;
	if (!error)
		error = blkdev_register(&v->disk);
	if (error) {
		dev->driver_data = NULL;
		/* A device that does not let go of its memory keeps it. */
		if (virtio_reset(dev) == 0) {
			for (unsigned i = 0; i < v->queues; i++)
				virtq_release(&v->q[i]);
			if (v->slots)
				page_free_exact(v->slots, DEPTH_MAX * sizeof(struct slot));
			kfree(v);
		}
		return error;
	}
	announce(dev, &v->disk);
	return 0;
}

static const struct virtio_driver virtio_blk_driver = {
	.name = "virtio-blk",
	.id = VIRTIO_ID_BLOCK,
	.probe = blk_probe,
	.interrupt = blk_interrupt,
};
VIRTIO_DRIVER(virtio_blk_driver);
