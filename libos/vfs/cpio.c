/* Reading cpio archives. See cpio.h. */
#include <core/errno.h>
#include <core/string.h>

#include "cpio.h"

#define HEADER_BYTES 110u
#define FIELDS       13u

/* In the order of the header, behind the magic. */
enum field {
	F_INO, F_MODE, F_UID, F_GID, F_NLINK, F_MTIME, F_SIZE, F_MAJOR, F_MINOR, F_RMAJOR, F_RMINOR,
	F_NAME_SIZE, F_CHECK
};

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_fields(const uint8_t *header, uint32_t *fields)
{
	const uint8_t *at = header + 6;

	for (unsigned i = 0; i < FIELDS; i++) {
		fields[i] = 0;
		for (unsigned j = 0; j < 8; j++) {
			int digit = hex_digit(*at++);

			if (digit < 0)
				return false;
			fields[i] = fields[i] << 4 | (uint32_t)digit;
		}
	}
	return true;
}

/* 070701, or 070702 with checksums (of no use against anyone who can write the archive). */
static bool magic_is_known(const uint8_t *header)
{
	return !memcmp(header, "07070", 5) && (header[5] == '1' || header[5] == '2');
}

/* Bytes of the archive from `at`, past padding; 0 where it ends. */
static size_t bytes_left(const struct cpio *a, size_t at)
{
	return at < a->size ? a->size - at : 0;
}

/* Archives may follow one another, zeroes in between. */
static void skip_zeroes(struct cpio *a)
{
	while (a->at < a->size && !a->bytes[a->at])
		a->at++;
}

static int read_entry(struct cpio *a, struct cpio_entry *e)
{
	const uint8_t *header = a->bytes + a->at;
	uint32_t f[FIELDS];
	size_t name_at = a->at + HEADER_BYTES, data_at;

	if (bytes_left(a, a->at) < HEADER_BYTES || !magic_is_known(header) ||
	    !read_fields(header, f))
		return -EINVAL;
	if (!f[F_NAME_SIZE] || f[F_NAME_SIZE] > CPIO_NAME_MAX)
		return -EINVAL;
	if (!planted(CPIO_NAME) && f[F_NAME_SIZE] > bytes_left(a, name_at))
		return -EINVAL;
	if (!planted(CPIO_TERMINATOR) && a->bytes[name_at + f[F_NAME_SIZE] - 1])
		return -EINVAL;
	data_at = ALIGN_UP(name_at + f[F_NAME_SIZE], (size_t)4);
	if (!planted(CPIO_DATA) && f[F_SIZE] > bytes_left(a, data_at))
		return -EINVAL;
	*e = (struct cpio_entry){
		.name = (const char *)a->bytes + name_at, .data = a->bytes + MIN(data_at, a->size),
		.size = f[F_SIZE], .ino = f[F_INO], .mode = f[F_MODE], .uid = f[F_UID],
		.gid = f[F_GID], .nlink = f[F_NLINK], .mtime = f[F_MTIME], .major = f[F_MAJOR],
		.minor = f[F_MINOR], .rmajor = f[F_RMAJOR], .rminor = f[F_RMINOR],
	};
	e->name_len = str_length(e->name);
	a->at = MIN(ALIGN_UP(data_at + f[F_SIZE], (size_t)4), a->size);
	return 1;
}

int cpio_next(struct cpio *a, struct cpio_entry *e)
{
	int ret = 1;

	do {
		skip_zeroes(a);
		if (a->at == a->size)
			return 0;
		ret = read_entry(a, e);
	} while (ret == 1 && str_equal(e->name, "TRAILER!!!"));
	return ret;
}
