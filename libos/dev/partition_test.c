/* Partition tables: what is in them is found, and what is damaged or lies is refused. */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>
#include <core/test.h>

#include "partition.h"
#include "ramdisk.h"

#define BLOCKS 2048u

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t crc(const uint8_t *bytes, size_t len)
{
	uint32_t c = UINT32_MAX;

	for (size_t i = 0; i < len * 8; i++) {
		if (i % 8 == 0)
			c ^= bytes[i / 8];
		c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
	}
	return ~c;
}

/* A disk's image in memory, written to a RAM disk as a whole. */
struct table {
	struct blkdev *d;
	uint8_t *bytes;
};

static struct table table_new(void)
{
	struct table t = { ramdisk_create(BLOCKS * 512),
			   page_alloc_exact(BLOCKS * 512, PAGE_KERNEL) };

	memset(t.bytes, 0, BLOCKS * 512);
	return t;
}

static int read_table(struct table *t, struct partition *out)
{
	int error = blkdev_write(t->d, 0, t->bytes, BLOCKS * 512, 0);

	return error ? error : partitions_read(t->d, out, PARTITIONS_MAX);
}

static void mbr_entry(uint8_t *e, uint8_t type, uint32_t first, uint32_t blocks)
{
	e[4] = type;
	put(e + 8, first, 4);
	put(e + 12, blocks, 4);
}

static void mbr_sign(uint8_t *block)
{
	block[510] = 0x55;
	block[511] = 0xaa;
}

static void gpt_header(uint8_t *block, uint64_t at, uint64_t other, uint64_t entries_at,
		       const uint8_t *entries)
{
	memset(block, 0, 512);
	memcpy(block, "EFI PART", 8);
	put(block + 8, 0x10000, 4);
	put(block + 12, 92, 4);
	put(block + 24, at, 8);
	put(block + 32, other, 8);
	put(block + 40, 34, 8);
	put(block + 48, BLOCKS - 34, 8);
	put(block + 72, entries_at, 8);
	put(block + 80, 128, 4);
	put(block + 84, 128, 4);
	put(block + 88, crc(entries, 128 * 128), 4);
	put(block + 16, crc(block, 92), 4);
}

static void gpt_partition(struct table *t, unsigned number, uint64_t first, uint64_t last)
{
	uint8_t *e = t->bytes + 1024 + 128 * number;

	memset(e, 0xab, 32);
	put(e + 32, first, 8);
	put(e + 40, last, 8);
	put(e + 56, 'o', 2);
	put(e + 58, 'k', 2);
}

static void gpt_seal(struct table *t)
{
	uint8_t *entries = t->bytes + 1024, *copy = t->bytes + (BLOCKS - 33) * 512;

	mbr_entry(t->bytes + 446, 0xee, 1, BLOCKS - 1);
	mbr_sign(t->bytes);
	memcpy(copy, entries, 128 * 128);
	gpt_header(t->bytes + 512, 1, BLOCKS - 1, 2, entries);
	gpt_header(t->bytes + (BLOCKS - 1) * 512, BLOCKS - 1, 1, BLOCKS - 33, entries);
}

static struct table gpt_sound(void)
{
	struct table t = table_new();

	gpt_partition(&t, 0, 40, 99);
	gpt_partition(&t, 4, 100, BLOCKS - 34);
	gpt_seal(&t);
	return t;
}

static struct partition found[PARTITIONS_MAX];

TEST(partitions_of_a_gpt_are_found)
{
	struct table t = gpt_sound();

	CHECK_EQ(read_table(&t, found), 2);
	CHECK(found[0].number == 1 && found[0].offset == 40 * 512 && found[0].bytes == 60 * 512);
	CHECK(found[1].number == 5 && found[1].offset == 100 * 512);
	CHECK(str_equal(found[0].name, "ok"));
}

TEST(partitions_of_the_second_copy_serve_when_the_first_is_damaged)
{
	struct table t = gpt_sound();

	t.bytes[512 + 40] ^= 1;
	CHECK_EQ(read_table(&t, found), 2);
	memset(t.bytes + 512, 0, 512);
	CHECK_EQ(read_table(&t, found), 2);
	t.bytes[(BLOCKS - 1) * 512 + 40] ^= 1;
	CHECK(read_table(&t, found) <= 0);
}

static int with_gpt_entry(uint64_t first, uint64_t last)
{
	struct table t = gpt_sound();

	gpt_partition(&t, 1, first, last);
	gpt_seal(&t);
	return read_table(&t, found);
}

TEST(partitions_that_cannot_be_are_refused)
{
	CHECK_EQ(with_gpt_entry(0, 10), -EINVAL);              /* over the tables */
	CHECK_EQ(with_gpt_entry(50, 60), -EINVAL);             /* over another */
	CHECK_EQ(with_gpt_entry(39, 38), -EINVAL);
	CHECK_EQ(with_gpt_entry(35, UINT64_MAX), -EINVAL);
	CHECK_EQ(with_gpt_entry(UINT64_MAX, UINT64_MAX), -EINVAL);
	CHECK_EQ(with_gpt_entry(35, 38), 3);
}

TEST(partitions_of_an_mbr_are_found_with_the_logical_ones)
{
	struct table t = table_new();

	mbr_entry(t.bytes + 446, 0x83, 63, 100);
	mbr_entry(t.bytes + 462, 0x05, 200, 1000);
	mbr_sign(t.bytes);
	mbr_entry(t.bytes + 200 * 512 + 446, 0x83, 10, 50);
	mbr_entry(t.bytes + 200 * 512 + 462, 0x05, 100, 100);
	mbr_sign(t.bytes + 200 * 512);
	mbr_entry(t.bytes + 300 * 512 + 446, 0x83, 1, 7);
	mbr_sign(t.bytes + 300 * 512);
	CHECK_EQ(read_table(&t, found), 3);
	CHECK(found[0].number == 1 && found[0].offset == 63 * 512);
	CHECK(found[1].number == 5 && found[1].offset == 210 * 512 && found[1].bytes == 50 * 512);
	CHECK(found[2].number == 6 && found[2].offset == 301 * 512);
	mbr_entry(t.bytes + 300 * 512 + 462, 0x05, 0, 100); /* a chain without end */
	CHECK_EQ(read_table(&t, found), -EINVAL);
	memset(t.bytes + 300 * 512 + 462, 0, 16);
	mbr_entry(t.bytes + 446, 0x83, 2000, 100);          /* beyond the disk */
	CHECK_EQ(read_table(&t, found), -EINVAL);
}

TEST(partitions_of_disks_without_a_table_are_none)
{
	struct table t = table_new();

	CHECK_EQ(read_table(&t, found), 0);
	mbr_sign(t.bytes);
	CHECK_EQ(read_table(&t, found), 0);
	t.bytes[446] = 0x17; /* code where the table would be */
	CHECK_EQ(read_table(&t, found), 0);
}

TEST(partitions_survive_damaged_tables)
{
	struct table sound = gpt_sound(), t = table_new();

	for (int round = 0; round < 400; round++) {
		memcpy(t.bytes, sound.bytes, BLOCKS * 512);
		for (int i = 0; i < 3; i++)
			t.bytes[test_random_below(40) * 16 + test_random_below(900)] =
				(uint8_t)test_random();
		put(t.bytes + 512 + 16, 0, 4);
		if (round % 2) /* whoever lies can reckon, too */
			put(t.bytes + 512 + 16, crc(t.bytes + 512, 92), 4);
		int count = read_table(&t, found);

		CHECK(count >= -EINVAL && count <= (int)PARTITIONS_MAX);
		for (int i = 0; i < count; i++)
			CHECK(found[i].offset + found[i].bytes <= BLOCKS * 512 && found[i].bytes);
	}
}

TEST(partition_is_a_device_that_ends_where_it_ends)
{
	struct table t = gpt_sound();
	uint8_t *buf = page_alloc(0, PAGE_KERNEL);
	char name[16];
	struct blkdev *p;

	CHECK_EQ(read_table(&t, found), 2);
	CHECK_EQ(partitions_add(t.d), 2);
	str_copy(name, sizeof(name), t.d->name);
	size_t len = str_length(name);
	name[len] = 'p', name[len + 1] = '1', name[len + 2] = 0;
	p = blkdev_find(name);
	CHECK(p && p->bytes == 60 * 512);
	memset(buf, 0x5a, PAGE_SIZE);
	CHECK_EQ(blkdev_write(p, 59 * 512, buf, 512, BLK_FUA), 0);
	CHECK_EQ(blkdev_write(p, 60 * 512, buf, 512, 0), -EIO);
	CHECK_EQ(blkdev_write(p, 59 * 512, buf, 1024, 0), -EIO);
	CHECK_EQ(blkdev_flush(p), 0);
	memset(buf, 0, PAGE_SIZE);
	CHECK_EQ(blkdev_read(t.d, 99 * 512, buf, 1024), 0);
	CHECK(buf[0] == 0x5a && buf[511] == 0x5a && buf[512] == 0);
	page_free(buf, 0);
}

TEST(ramdisk_gives_discarded_pages_back)
{
	struct blkdev *d = ramdisk_create(MIB(1));
	uint8_t *buf = page_alloc_exact(MIB(1), PAGE_KERNEL);
	struct page_stats before, after;
	struct blkreq r = { .op = BLK_DISCARD, .offset = 0, .len = MIB(1) };

	CHECK(d && buf);
	memset(buf, 7, MIB(1));
	page_stats(&before);
	CHECK_EQ(blkdev_write(d, 0, buf, MIB(1), 0), 0);
	CHECK_EQ(blkdev_wait(d, &r), 0);
	page_stats(&after);
	CHECK(after.free_pages + 16 > before.free_pages);
	CHECK_EQ(blkdev_read(d, 0, buf, MIB(1)), 0);
	for (size_t i = 0; i < MIB(1); i++)
		CHECK_EQ(buf[i], 0);
	page_free_exact(buf, MIB(1));
}
