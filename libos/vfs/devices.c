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

/* What each is as a special file; the last two are the console. */
static const struct { const char *name; uint16_t number, mode; } names[] = {
	{ "null", 1 << 8 | 3, 0666 }, { "zero", 1 << 8 | 5, 0666 }, { "full", 1 << 8 | 7, 0666 },
	{ "random", 1 << 8 | 8, 0666 }, { "urandom", 1 << 8 | 9, 0666 }, { "tty", 5 << 8, 0666 },
	{ "console", 5 << 8 | 1, 0600 },
};

const char *device_name(unsigned i)
{
	return i < ARRAY_SIZE(names) ? names[i].name : NULL;
}

uint64_t device_number(unsigned i)
{
	return names[i].number;
}

uint32_t device_mode(unsigned i)
{
	return names[i].mode;
}

static int open_nth(size_t i, uint32_t flags, struct file **out)
{
	*out = i < ARRAY_SIZE(devices) ? file_create(&devices[i], NULL, flags) : console_open();
	return *out ? 0 : -ENOMEM;
}

int device_open_number(uint64_t rdev, uint32_t flags, struct file **out)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].number == rdev)
			return open_nth(i, flags, out);
	}
	return -ENXIO;
}

int device_open(const char *path, uint32_t flags, struct file **out)
{
	for (size_t i = 0; str_starts_with(path, "/dev/") && i < ARRAY_SIZE(names); i++) {
		if (str_equal(path + 5, names[i].name))
			return open_nth(i, flags, out);
	}
	return -ENOENT;
}
