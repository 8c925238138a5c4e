/*
 * Pipes: a ring of bytes with a reading and a writing end.
 *
 * Life: created with both ends, or by the first open of a name (fifo.c); each end counts its files,
 * and the last file of all frees the pipe. A file may be both ends. A write of at most PIPE_ATOMIC
 * bytes happens as a whole or not at all. The ring has Linux's size, which programs count on.
 *
 * Locks: pipe->lock, a mutex, since bytes are copied under it and copies may fault.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/page.h>
#include <libos/abi.h>

#include "pipe.h"
#include "vfs.h"

#define PIPE_BYTES  KIB(64)
#define PIPE_ATOMIC KIB(4)

static size_t pipe_filled(const struct pipe *p)
{
	return (size_t)(p->written_at - p->read_at);
}

/* Bytes from ring position `at` to the ring's end or `len`. */
static size_t pipe_run(uint64_t at, size_t len)
{
	return MIN(len, PIPE_BYTES - (size_t)(at % PIPE_BYTES));
}

static kssize_t pipe_read_locked(struct pipe *p, struct uio *u)
{
	size_t done = 0;

	while (u->left && pipe_filled(p)) {
		size_t len = pipe_run(p->read_at, MIN(u->left, pipe_filled(p)));
		kssize_t n = uio_copy_out(u, p->ring + p->read_at % PIPE_BYTES, len);

		if (n < 0)
			return done ? (kssize_t)done : n;
		if (n == 0)
			break;
		p->read_at += (uint64_t)n;
		done += (size_t)n;
	}
	if (done || !u->left)
		return (kssize_t)done;
	return p->writers ? -EAGAIN : 0;
}

static kssize_t pipe_read(struct file *f, struct uio *u)
{
	struct pipe *p = f->object;
	kssize_t n;

	mutex_lock(&p->lock);
	n = pipe_read_locked(p, u);
	mutex_unlock(&p->lock);
	if (n > 0)
		poll_notify(&p->queue, POLL_OUT);
	return n;
}

static kssize_t pipe_write_locked(struct pipe *p, struct uio *u)
{
	size_t room = PIPE_BYTES - pipe_filled(p), done = 0;

	if (!p->readers)
		return -EPIPE;
	if (u->left && (!room || (u->left <= PIPE_ATOMIC && room < u->left)))
		return -EAGAIN;
	while (u->left && done < room) {
		size_t len = pipe_run(p->written_at, MIN(u->left, room - done));
		kssize_t n = uio_copy_in(u, p->ring + p->written_at % PIPE_BYTES, len);

		if (n < 0)
			return done ? (kssize_t)done : n;
		if (n == 0)
			break;
		p->written_at += (uint64_t)n;
		done += (size_t)n;
	}
	return (kssize_t)done;
}

static kssize_t pipe_write(struct file *f, struct uio *u)
{
	struct pipe *p = f->object;
	kssize_t n;

	mutex_lock(&p->lock);
	n = pipe_write_locked(p, u);
	mutex_unlock(&p->lock);
	if (n > 0)
		poll_notify(&p->queue, POLL_IN);
	return n;
}

static bool is_reader(const struct file *f)
{
	return (f->flags & O_ACCMODE) != O_WRONLY;
}

static bool is_writer(const struct file *f)
{
	return (f->flags & O_ACCMODE) != O_RDONLY;
}

/* A reader hears of the last writer's end, but not before one has come. */
static uint32_t pipe_poll(struct file *f)
{
	struct pipe *p = f->object;
	uint32_t events = 0;

	if (is_reader(f)) {
		events |= pipe_filled(p) ? POLL_IN : 0;
		events |= !p->writers && p->writers_came != (uint32_t)f->position ? POLL_HUP : 0;
	}
	if (is_writer(f)) {
		events |= PIPE_BYTES - pipe_filled(p) >= PIPE_ATOMIC ? POLL_OUT : 0;
		events |= p->readers ? 0 : POLL_ERR;
	}
	return events;
}

static struct poll_queue *pipe_poll_queue(struct file *f)
{
	return &((struct pipe *)f->object)->queue;
}

static int pipe_ioctl(struct file *f, unsigned long request, uintptr_t arg)
{
	struct pipe *p = f->object;

	if (request != FIONREAD)
		return -ENOTTY;
	return user_write((void *)arg, &(int){ (int)pipe_filled(p) }, sizeof(int));
}

static int pipe_stat(struct file *f, struct kstat *st)
{
	(void)f;
	st->mode = S_IFIFO | 0600;
	return 0;
}

bool pipe_leave(struct pipe *p, const struct file *f)
{
	bool last;

	mutex_lock(&p->lock);
	p->readers -= is_reader(f);
	p->writers -= is_writer(f);
	last = !p->readers && !p->writers;
	if (!p->readers)
		poll_notify(&p->queue, POLL_OUT | POLL_ERR);
	if (!p->writers)
		poll_notify(&p->queue, POLL_IN | POLL_HUP);
	mutex_unlock(&p->lock);
	return last;
}

/* fifo.c, where there are names. */
__attribute__((weak)) bool fifo_leave(struct pipe *p, const struct file *f)
{
	return pipe_leave(p, f);
}

static void pipe_release(struct file *f)
{
	struct pipe *p = f->object;

	if (p->inode ? fifo_leave(p, f) : pipe_leave(p, f))
		pipe_free(p);
	kfree(f);
}

#define PIPE_OPS(...)                                                                        \
	{ .kind = "pipe", .poll = pipe_poll, .poll_queue = pipe_poll_queue, .ioctl = pipe_ioctl, \
	  .stat = pipe_stat, .release = pipe_release, __VA_ARGS__ }

/* By access mode. */
static const struct file_ops pipe_ops[] = {
	[O_RDONLY] = PIPE_OPS(.read = pipe_read),
	[O_WRONLY] = PIPE_OPS(.write = pipe_write),
	[O_RDWR] = PIPE_OPS(.read = pipe_read, .write = pipe_write),
};

struct pipe *pipe_alloc(void)
{
	struct pipe *p = kzalloc(sizeof(*p));

	if (!p)
		return NULL;
	p->ring = page_alloc_exact(PIPE_BYTES, PAGE_KERNEL);
	if (!p->ring) {
		kfree(p);
		return NULL;
	}
	mutex_init(&p->lock);
	poll_queue_init(&p->queue);
	list_init(&p->link);
	return p;
}

void pipe_free(struct pipe *p)
{
	poll_queue_destroy(&p->queue);
	page_free_exact(p->ring, PIPE_BYTES);
	kfree(p);
}

struct file *pipe_file(struct pipe *p, uint32_t flags)
{
	struct file *f = file_create(&pipe_ops[MIN(flags & O_ACCMODE, (uint32_t)O_RDWR)], p, flags);

	if (!f)
		return NULL;
	mutex_lock(&p->lock);
	f->position = (int64_t)p->writers_came - (p->writers > 0); /* see pipe_poll() */
	p->readers += is_reader(f);
	p->writers += is_writer(f);
	p->readers_came += is_reader(f);
	p->writers_came += is_writer(f);
	mutex_unlock(&p->lock);
	return f;
}

int pipe_create(uint32_t flags, struct file *ends[2])
{
	struct pipe *p = pipe_alloc();

	if (!p)
		return -ENOMEM;
	ends[0] = pipe_file(p, flags | O_RDONLY);
	ends[1] = ends[0] ? pipe_file(p, flags | O_WRONLY) : NULL;
	if (ends[1])
		return 0;
	if (ends[0])
		file_put(ends[0]);
	else
		pipe_free(p);
	return -ENOMEM;
}
