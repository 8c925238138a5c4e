/*
 * Pipes with names: a special file whose opens meet in one pipe.
 *
 * The pipe is there while anybody has it open, in a list of few; bytes go with its last file. An
 * open() for one end waits until somebody opens the other, unless it must not wait: then a reader
 * goes on alone and a writer gets ENXIO. Who opens both ends waits for nobody. Rules: fifo(7),
 * POSIX open().
 *
 * Locks: fifo_lock orders opens and the last close; inside it the pipe's.
 */
#include <core/errno.h>
#include <libos/abi.h>
#include <libos/vfs.h>

#include "pipe.h"
#include "vfs.h"

static struct list fifos = LIST_INIT(fifos);             /* [fifo_lock] */
static struct mutex fifo_lock = MUTEX_INIT(fifo_lock);
static struct waitq opened = WAITQ_INIT(opened);

/* The inode's pipe, with the caller counted in: 0 or -ENOMEM. */
static int join(struct inode *inode, uint32_t flags, struct file **out)
{
	struct pipe *p;

	list_for_each(p, &fifos, link) {
		if (p->inode == inode) {
			*out = pipe_file(p, flags);
			return *out ? 0 : -ENOMEM;
		}
	}
	p = pipe_alloc();
	*out = p ? pipe_file(p, flags) : NULL;
	if (!*out) {
		if (p)
			pipe_free(p);
		return -ENOMEM;
	}
	p->inode = inode;
	list_push_back(&fifos, &p->link);
	return 0;
}

static bool has_reader(const struct inode *inode)
{
	struct pipe *p;

	list_for_each(p, &fifos, link) {
		if (p->inode == inode)
			return p->readers;
	}
	return false;
}

bool fifo_leave(struct pipe *p, const struct file *f)
{
	bool last;

	mutex_lock(&fifo_lock);
	last = pipe_leave(p, f);
	if (last)
		list_remove(&p->link);
	mutex_unlock(&fifo_lock);
	return last;
}

/* Until one comes after those that had come. */
static int wait_for_other(const uint32_t *came, uint32_t before)
{
	int error = waitq_wait(&opened, __atomic_load_n(came, __ATOMIC_ACQUIRE) != before,
			       DEADLINE_NEVER, true);

	return error == -EINTR ? -ERESTARTSYS : error;
}

int fifo_open(struct inode *inode, uint32_t flags, struct file **out)
{
	uint32_t mode = flags & O_ACCMODE, before = 0;
	const uint32_t *came = NULL;
	struct pipe *p;
	int error;

	mutex_lock(&fifo_lock);
	if (mode == O_WRONLY && flags & O_NONBLOCK && !has_reader(inode))
		error = -ENXIO;
	else
		error = join(inode, flags, out);
	if (!error) {
		p = (*out)->object;
		if (mode == O_RDONLY && !p->writers)
			came = &p->writers_came;
		else if (mode == O_WRONLY && !p->readers)
			came = &p->readers_came;
		before = came ? *came : 0;
	}
	mutex_unlock(&fifo_lock);
	waitq_wake_all(&opened);
	if (error || !came || flags & O_NONBLOCK)
		return error;
	error = wait_for_other(came, before);
	if (error)
		file_put(*out);
	return error;
}
