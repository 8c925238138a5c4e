/* Paths as system calls have them: a descriptor of a directory and text in the caller's memory. */
#ifndef POSIX_WHERE_H
#define POSIX_WHERE_H

#include <libos/vfs.h>

struct where {
	struct file *dir;        /* NULL: the working directory */
	const struct path *base; /* of dir */
	char *text;              /* a copy */
};

/* 0, -EFAULT, -ENAMETOOLONG, -EBADF, -ENOTDIR, -ENOMEM. After 0, where_end(). */
int where_begin(struct where *w, int dirfd, const char *user_path);
void where_end(struct where *w);

/*
 * What a call's path, or with AT_EMPTY_PATH and no text its descriptor, names: 0 and *out, to be
 * put. at_flags: AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH; others are -EINVAL.
 */
int where_find(int dirfd, const char *user_path, int at_flags, struct path *out);
int where_of(int fd, struct path *out);     /* of an open file: -EBADF, -EINVAL without a place */
int where_of_any(int fd, struct path *out); /* of one opened with O_PATH as well */

#endif
