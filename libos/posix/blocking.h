/*
 * Waiting for files: the one place where an operation that answered -EAGAIN becomes a call that
 * waits.
 */
#ifndef POSIX_BLOCKING_H
#define POSIX_BLOCKING_H

#include <core/thread.h>
#include <libos/file.h>

/* A thread's registration with one poll queue. */
struct file_wait {
	struct poll_watch watch;
	struct thread *thread;
	uint32_t fired;          /* atomic: notified since it was last looked at */
};

void file_wait_begin(struct file_wait *w, struct poll_queue *q, uint32_t events);
/* 0 once notified, -ETIMEDOUT, or -EINTR. */
int file_wait_sleep(struct file_wait *w, uint64_t deadline_ns);
void file_wait_end(struct file_wait *w);

/*
 * Repeats `attempt` (an expression of a negative errno, 0 or a count) while it gives -EAGAIN,
 * waiting for `events_` of file f_ in between. Gives -EAGAIN if the file or `nonblock` says so, or
 * when the deadline passes; -ERESTARTSYS when a signal comes.
 */
#define file_block_on(f_, events_, nonblock, deadline_ns, attempt)                                 \
	({                                                                                         \
		kssize_t result_ = (attempt);                                                      \
		if (unlikely(result_ == -EAGAIN) && !((nonblock) || file_is_nonblocking(f_))) {    \
			struct file_wait wait_;                                                    \
			int slept_ = 0;                                                            \
			file_wait_begin(&wait_, (f_)->ops->poll_queue(f_), events_);               \
			while ((result_ = (attempt)) == -EAGAIN && slept_ == 0)                    \
				slept_ = file_wait_sleep(&wait_, deadline_ns);                     \
			file_wait_end(&wait_);                                                     \
			if (result_ == -EAGAIN && slept_ == -EINTR)                                \
				result_ = file_interrupted(deadline_ns);                           \
		}                                                                                  \
		result_;                                                                           \
	})

bool file_is_nonblocking(const struct file *f);
kssize_t file_interrupted(uint64_t deadline_ns);

kssize_t file_read_waiting(struct file *f, struct uio *u); /* for file_read() */
kssize_t file_write(struct file *f, struct uio *u);

static inline kssize_t file_read(struct file *f, struct uio *u)
{
	kssize_t n = f->ops->read(f, u);

	return likely(n != -EAGAIN) || file_is_nonblocking(f) ? n : file_read_waiting(f, u);
}

#endif
