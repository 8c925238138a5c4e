/* Archives: what is in them is found, and what is damaged is refused without a bad read. */
#include <core/errno.h>
#include <core/fmt.h>
#include <core/kmem.h>
#include <core/string.h>
#include <core/test.h>

#include "cpio.h"

struct archive {
	uint8_t bytes[4096];
	size_t size;
};

static void pad(struct archive *a)
{
	while (a->size % 4)
		a->bytes[a->size++] = 0;
}

static void add(struct archive *a, const char *name, uint32_t mode, const char *data)
{
	size_t name_bytes = str_length(name) + 1, data_bytes = str_length(data);

	a->size += fmt_print((char *)a->bytes + a->size, 111,
			     "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", 1, mode,
			     0, 0, 1, 1234, (unsigned)data_bytes, 0, 0, 0, 0, (unsigned)name_bytes,
			     0);
	memcpy(a->bytes + a->size, name, name_bytes);
	a->size += name_bytes;
	pad(a);
	memcpy(a->bytes + a->size, data, data_bytes);
	a->size += data_bytes;
	pad(a);
}

static struct archive *make(void)
{
	static struct archive a;

	a.size = 0;
	add(&a, "etc", 040755, "");
	add(&a, "etc/motd", 0100644, "hello");
	add(&a, "link", 0120777, "etc/motd");
	add(&a, "TRAILER!!!", 0, "");
	return &a;
}

TEST(cpio_gives_members_in_order)
{
	struct archive *a = make();
	struct cpio_entry e;
	struct cpio c;

	cpio_open(&c, a->bytes, a->size);
	CHECK_EQ(cpio_next(&c, &e), 1);
	CHECK(str_equal(e.name, "etc") && e.mode == 040755 && e.size == 0);
	CHECK_EQ(cpio_next(&c, &e), 1);
	CHECK(str_equal(e.name, "etc/motd") && e.size == 5 && !memcmp(e.data, "hello", 5));
	CHECK_EQ(e.mtime, 1234);
	CHECK_EQ(cpio_next(&c, &e), 1);
	CHECK(str_equal(e.name, "link") && e.size == 8);
	CHECK_EQ(cpio_next(&c, &e), 0);
	CHECK_EQ(cpio_next(&c, &e), 0);
}

TEST(cpio_goes_on_with_a_second_archive_behind_zeroes)
{
	struct archive *a = make();
	struct cpio_entry e;
	struct cpio c;
	unsigned members = 0;

	a->size += 512;
	add(a, "more", 0100644, "bytes");
	cpio_open(&c, a->bytes, a->size);
	while (cpio_next(&c, &e) == 1)
		members++;
	CHECK_EQ(members, 4);
	CHECK(str_equal(e.name, "more"));
}

/*
 * Walks what may be damaged, in memory of exactly its size, so that a sanitizer sees each bad read.
 */
static void walk(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = kmalloc(MAX(size, 1u));
	volatile uint8_t sum = 0;
	struct cpio_entry e;
	struct cpio c;

	if (!copy)
		return;
	memcpy(copy, bytes, size);
	cpio_open(&c, copy, size);
	while (cpio_next(&c, &e) == 1) {
		CHECK(e.name + e.name_len < (char *)copy + size);
		CHECK(e.size <= size && e.data + e.size <= copy + size);
		for (size_t i = 0; i < e.size; i++)
			sum = (uint8_t)(sum + e.data[i]);
	}
	kfree(copy);
}

TEST(cpio_survives_archives_cut_anywhere)
{
	struct archive *a = make();

	for (size_t size = 0; size <= a->size; size++)
		walk(a->bytes, size);
}

TEST(cpio_survives_changed_bytes)
{
	for (int round = 0; round < 20000; round++) {
		struct archive *a = make();

		for (uint64_t n = test_random_below(4) + 1; n; n--)
			a->bytes[test_random_below(a->size)] =
			    (uint8_t)"0fF8\0\xff/T"[test_random_below(8)];
		walk(a->bytes, a->size);
	}
}

TEST(cpio_refuses_lengths_beyond_the_archive)
{
	static const struct { unsigned at; const char *digits; } lies[] = {
		{ 54, "FFFFFFFF" }, { 54, "00001000" }, { 94, "FFFFFFFF" }, { 94, "00000000" },
		{ 94, "00000FFF" }, { 94, "00000003" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		struct archive *a = make();
		struct cpio_entry e;
		struct cpio c;

		memcpy(a->bytes + lies[i].at, lies[i].digits, 8);
		cpio_open(&c, a->bytes, a->size);
		CHECK_EQ(cpio_next(&c, &e), -EINVAL);
	}
}
