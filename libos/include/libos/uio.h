/*
 * Copying between the kernel and its caller. In an appliance the caller's memory is ours and a copy
 * is memcpy() with fault fix-up: a bad pointer gives -EFAULT, not a panic. In the shell image the
 * same functions check that the pointer belongs to the process.
 *
 * struct uio describes one read or write in progress: a list of user buffers and how far it got.
 */
#ifndef LIBOS_UIO_H
#define LIBOS_UIO_H

#include <core/types.h>

struct uio_vec { void *base; size_t len; };      /* laid out as struct iovec */

/*
 * Of a write whose buffers are lent: who takes the bytes may keep them where they lie beyond the
 * call, by holding their owner, instead of copying them. They may change meanwhile, but not go
 * away.
 */
struct uio_lender {
	const struct uio_vec *first;     /* the list of buffers as it was in the beginning */
	void *const *owners;             /* one for each; NULL: these bytes are there for ever */
	void (*hold)(void *owner);
	void (*release)(void *owner);    /* threads and tasks, also under the network's lock */
};

struct uio {
	const struct uio_vec *vecs;  /* already copied from the user: kernel memory */
	size_t vec_count;
	size_t vec_done;             /* bytes done in vecs[0] */
	size_t left;                 /* bytes left in all */
	int64_t offset;              /* file position, or -1 for a stream */
	bool from_kernel;            /* buffers are the kernel's own: no fix-up, no check */
	/* or NULL; with from_kernel, since who has no use for it copies */
	const struct uio_lender *lender;
};

/* Copies and advances; returns bytes moved (may be short), or -EFAULT if nothing was. */
kssize_t uio_copy_out(struct uio *u, const void *src, size_t len);   /* kernel to user (read) */
kssize_t uio_copy_in(struct uio *u, void *dst, size_t len);          /* user to kernel (write) */
kssize_t uio_zero_out(struct uio *u, size_t len);
/*
 * Takes at most `max` bytes of the next buffer as they lie at *at, held: how many. They were lent:
 * u->lender.
 */
size_t uio_borrow(struct uio *u, size_t max, const void **at, void **owner);
static inline size_t uio_left(const struct uio *u) { return u->left; }

/*
 * What O_DIRECT asks for, as on Linux: place, length and memory of what is left are multiples of
 * `bytes`, a power of two.
 */
bool uio_is_aligned(const struct uio *u, uint32_t bytes);

/* Single objects: 0 or -EFAULT. */
int user_read(void *dst, const void *user_src, size_t len);
int user_write(void *user_dst, const void *src, size_t len);
/* A string of at most max-1 bytes: its length, -EFAULT, or -ENAMETOOLONG. */
kssize_t user_read_string(char *dst, const char *user_src, size_t max);

#endif
