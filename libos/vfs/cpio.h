/*
 * Archives of files in cpio's "newc" form: a header of 110 characters with eight-digit hexadecimal
 * fields, the name, the bytes, each part padded to four bytes; the name "TRAILER!!!" ends it.
 * Source: cpio(5) of the BSDs, "New ASCII Format"; Linux's "initramfs buffer format".
 *
 * The archive comes from outside: every length is checked against what is left of it. Pure
 * functions; build on the host.
 */
#ifndef VFS_CPIO_H
#define VFS_CPIO_H

#include <core/types.h>

#define CPIO_NAME_MAX 4096u

struct cpio {
	const uint8_t *bytes;
	size_t size, at;
};

/* A member; its name and bytes lie in the archive. */
struct cpio_entry {
	const char *name; /* terminated; as it stands: leading "./" and "/" are the reader's */
	size_t name_len;
	const uint8_t *data;     /* a symbolic link's target, a file's bytes */
	size_t size;
	uint32_t ino, mode, uid, gid, nlink, mtime, major, minor, rmajor, rminor;
};

static inline void cpio_open(struct cpio *a, const void *bytes, size_t size)
{
	*a = (struct cpio){ bytes, size, 0 };
}

/* 1 and the next member; 0 at the end; -EINVAL where the archive does not hold together. */
int cpio_next(struct cpio *a, struct cpio_entry *e);

/*
 * The archive that this boot has: passed by the loader, else linked into the image. *size 0: none.
 */
const void *initrd_archive(size_t *size);

#endif
