/*
 * Pipes: a ring of bytes with a reading and a writing end.
 *
 * Life: created with both ends; an end's last file_put() closes it; the last of both frees the
 * pipe. A write of at most PIPE_ATOMIC bytes happens as a whole or not at all. The ring has Linux's
 * size, which programs count on.
 *
 * Locks: pipe->lock, a mutex, since bytes are copied under it and copies may fault.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/page.h>
#include <libos/abi.h>

#include "vfs.h"

#define PIPE_BYTES  KIB(64)
#define PIPE_ATOMIC KIB(4)

struct pipe {
	struct mutex lock;
	uint64_t read_at, written_at; /* [lock] count bytes from the beginning; the ring index is
					 modulo PIPE_BYTES */
	bool reader_closed, writer_closed; /* [lock] */
	struct poll_queue readers, writers;
	uint8_t *ring;
};

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
	return p->writer_closed ? 0 : -EAGAIN;
}

static kssize_t pipe_read(struct file *f, struct uio *u)
{
	struct pipe *p = f->object;
	kssize_t n;

	mutex_lock(&p->lock);
	n = pipe_read_locked(p, u);
	mutex_unlock(&p->lock);
	if (n > 0)
		poll_notify(&p->writers, POLL_OUT);
	return n;
}

static kssize_t pipe_write_locked(struct pipe *p, struct uio *u)
{
	size_t room = PIPE_BYTES - pipe_filled(p), done = 0;

	if (p->reader_closed)
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
		poll_notify(&p->readers, POLL_IN);
	return n;
}

static uint32_t pipe_poll_reader(struct file *f)
{
	struct pipe *p = f->object;

	return (pipe_filled(p) ? POLL_IN : 0) | (p->writer_closed ? POLL_HUP : 0);
}

static uint32_t pipe_poll_writer(struct file *f)
{
	struct pipe *p = f->object;

	return (PIPE_BYTES - pipe_filled(p) >= PIPE_ATOMIC ? POLL_OUT : 0) |
	       (p->reader_closed ? POLL_ERR : 0);
}

static struct poll_queue *pipe_reader_queue(struct file *f)
{
	return &((struct pipe *)f->object)->readers;
}

static struct poll_queue *pipe_writer_queue(struct file *f)
{
	return &((struct pipe *)f->object)->writers;
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

/* Marks one end closed; frees the pipe with the second. */
static void pipe_close_end(struct file *f, bool reader)
{
	struct pipe *p = f->object;
	bool last;

	poll_queue_destroy(reader ? &p->readers : &p->writers);
	mutex_lock(&p->lock);
	if (reader)
		p->reader_closed = true;
	else
		p->writer_closed = true;
	last = p->reader_closed && p->writer_closed;
	if (!last && reader)
		poll_notify(&p->writers, POLL_OUT | POLL_ERR);
	else if (!last)
		poll_notify(&p->readers, POLL_IN | POLL_HUP);
	mutex_unlock(&p->lock);
	kfree(f);
	if (!last)
		return;
	page_free_exact(p->ring, PIPE_BYTES);
	kfree(p);
}

static void pipe_release_reader(struct file *f)
{
	pipe_close_end(f, true);
}

static void pipe_release_writer(struct file *f)
{
	pipe_close_end(f, false);
}

static const struct file_ops pipe_reader_ops = {
    .kind = "pipe",
    .read = pipe_read,
    .poll = pipe_poll_reader,
    .poll_queue = pipe_reader_queue,
    .ioctl = pipe_ioctl,
    .stat = pipe_stat,
    .release = pipe_release_reader,
};

static const struct file_ops pipe_writer_ops = {
    .kind = "pipe",
    .write = pipe_write,
    .poll = pipe_poll_writer,
    .poll_queue = pipe_writer_queue,
    .ioctl = pipe_ioctl,
    .stat = pipe_stat,
    .release = pipe_release_writer,
};

static struct pipe *pipe_alloc(void)
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
	poll_queue_init(&p->readers);
	poll_queue_init(&p->writers);
	return p;
}

int pipe_create(uint32_t flags, struct file *ends[2])
{
	struct pipe *p = pipe_alloc();

	if (!p)
		return -ENOMEM;
	ends[0] = file_create(&pipe_reader_ops, p, flags | O_RDONLY);
	ends[1] = file_create(&pipe_writer_ops, p, flags | O_WRONLY);
	if (ends[0] && ends[1])
		return 0;
	kfree(ends[0]);
	kfree(ends[1]);
	page_free_exact(p->ring, PIPE_BYTES);
	kfree(p);
	return -ENOMEM;
}
