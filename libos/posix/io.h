/* Vectors of user buffers, copied in: for readv, sendmsg and their like. */
#ifndef POSIX_IO_H
#define POSIX_IO_H

#include <libos/uio.h>

#define VECTORS_MAX 1024

struct vectors {
	struct uio uio;
	struct uio_vec *list;
	struct uio_vec few[8];
};

/* 0, -EFAULT, -EINVAL (too many, or a length below 0), -ENOMEM. After 0, vectors_free(). */
int vectors_read(struct vectors *v, const void *user, size_t count);
void vectors_free(struct vectors *v);

#endif
