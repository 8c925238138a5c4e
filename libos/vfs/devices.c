/* The simple devices, by path: /dev/null, zero, full, random, urandom, tty and console. */
#include <core/errno.h>
#include <core/string.h>
#include <libos/abi.h>
#include <libos/rng.h>

#include "vfs.h"

static kssize_t null_read(struct file *f, struct uio *u)
{
	(void)f, (void)u;
	return 0;
}

static kssize_t null_write(struct file *f, struct uio *u)
{
	size_t n = u->left;

	(void)f;
	u->left = 0;
	return (kssize_t)n;
}

static kssize_t full_write(struct file *f, struct uio *u)
{
	(void)f;
	return u->left ? -ENOSPC : 0;
}

static kssize_t zero_read(struct file *f, struct uio *u)
{
	(void)f;
	return uio_zero_out(u, u->left);
}

static kssize_t random_read(struct file *f, struct uio *u)
{
	uint8_t block[256];
	size_t done = 0;

	(void)f;
	while (u->left) {
		size_t len = MIN(sizeof(block), u->left);
		kssize_t n;

		random_bytes(block, len);
		n = uio_copy_out(u, block, len);
		if (n <= 0)
			return done ? (kssize_t)done : n;
		done += (size_t)n;
	}
	return (kssize_t)done;
}

static int64_t device_seek(struct file *f, int64_t offset, int whence)
{
	(void)f, (void)offset, (void)whence;
	return 0;
}

static uint32_t always_ready(struct file *f)
{
	(void)f;
	return POLL_IN | POLL_OUT;
}

static int device_stat(struct file *f, struct kstat *st)
{
	(void)f;
	st->mode = S_IFCHR | 0666;
	st->rdev = 1 << 8;
	return 0;
}

#define DEVICE(name_, read_, write_)                                                       \
	{ .kind = name_, .read = read_, .write = write_, .poll = always_ready,             \
	  .seek = device_seek, .stat = device_stat }

static const struct file_ops devices[] = {
	DEVICE("null", null_read, null_write),
	DEVICE("zero", zero_read, null_write),
	DEVICE("full", zero_read, full_write),
	DEVICE("random", random_read, null_write),
	DEVICE("urandom", random_read, null_write),
};

int device_open(const char *path, uint32_t flags, struct file **out)
{
	const char *name = path + 5;

	if (!str_starts_with(path, "/dev/"))
		return -ENOENT;
	if (str_equal(name, "tty") || str_equal(name, "console")) {
		*out = console_open();
		return *out ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		if (!str_equal(name, devices[i].kind))
			continue;
		*out = file_create(&devices[i], NULL, flags);
		return *out ? 0 : -ENOMEM;
	}
	return -ENOENT;
}
