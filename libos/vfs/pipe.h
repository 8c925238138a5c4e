/* Pipes from the inside, for pipe.c and fifo.c. */
#ifndef VFS_PIPE_H
#define VFS_PIPE_H

#include <core/list.h>
#include <core/sync.h>
#include <libos/poll.h>

struct file;
struct inode;

/*  Locks:  l lock   f fifo_lock (fifo.c)   I set once */
struct pipe {
	struct mutex lock;
	/* [l] count bytes from the beginning; the ring index is modulo PIPE_BYTES */
	uint64_t read_at, written_at;
	unsigned readers, writers;          /* [l, and f for a pipe with a name] open files */
	uint32_t readers_came, writers_came;/* [l] how many have been opened so far */
	struct poll_queue queue;            /* of both ends */
	uint8_t *ring;                      /* [I] */
	struct inode *inode;                /* [I] whose pipe it is, or NULL */
	struct list link;                   /* [f] among the pipes with names that are open */
};

struct pipe *pipe_alloc(void);      /* nobody has it open; NULL: no memory */
void pipe_free(struct pipe *p);
/* A file of the pipe, whose ends it counts: the access mode is in `flags`. NULL: no memory. */
struct file *pipe_file(struct pipe *p, uint32_t flags);
/*
 * A file of the pipe ends. True: it was the last, and the caller frees the pipe. With a name:
 * fifo_leave().
 */
bool pipe_leave(struct pipe *p, const struct file *f);
bool fifo_leave(struct pipe *p, const struct file *f);

#endif
