/* Vectors of user buffers, copied in: for readv, sendmsg and their like. */
#ifndef POSIX_IO_H
#define POSIX_IO_H

#include <libos/file.h>
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

/* Was it opened for that? */
bool file_may(const struct file *f, bool reading);
/*
 * As read() and write() do it: waits, moves the position unless u->offset is one, raises SIGPIPE.
 */
kssize_t file_transfer(struct file *f, struct uio *u, bool reading);

/* ioctl FITRIM, where there are file systems (mount_calls.c). */
long file_trim(struct file *f, void *range);
/* ioctl FIONREAD of a regular file: how much lies behind its position (attribute_calls.c). */
long file_bytes_left(struct file *f, int *user_left);

#endif
