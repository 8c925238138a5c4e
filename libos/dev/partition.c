/*
 * Partitions: GPT (UEFI Specification 2.10, chapter 5) and MBR, logical partitions included.
 *
 * The tables come from outside. A GPT counts only if the CRCs of its header and entries hold and
 * every partition lies within the disk and what the header calls usable; if the first copy does
 * not, the one in the last block is tried. An MBR counts if its partitions lie within the disk; one
 * that only protects a GPT (type 0xee) is none by itself. Overlaps are refused in both.
 *
 * A partition is a block device whose requests are moved by its beginning and go into the disk's
 * queue.
 */
#include "partition.h"

#include <core/assert.h>
#include <core/errno.h>
#include <core/fmt.h>
#include <core/init.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/page.h>
#include <core/string.h>

#define MBR_ENTRIES   446u
#define MBR_SIGNATURE 510u
#define MBR_PROTECTS  0xeeu
#define LOGICAL_MAX   60u

#define GPT_HEADER_BYTES 92u
#define GPT_ENTRY_BYTES  128u
#define GPT_ENTRIES_MAX  128u

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const uint8_t *p)
{
	return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static uint32_t crc32(const uint8_t *bytes, size_t len)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

struct reading {
	struct blkdev *d;
	struct partition *out;
	unsigned max, count;
	uint8_t *block;          /* a page */
};

/* Adds [first, first + blocks), in blocks of the disk. False: outside, or over another one. */
static bool add(struct reading *r, unsigned number, uint64_t first, uint64_t blocks)
{
	uint64_t all = r->d->bytes / r->d->block_bytes;
	struct partition *p = &r->out[r->count];

	if (!blocks || (!planted(PARTITION_END) && (first >= all || blocks > all - first)))
		return false;
	if (r->count == r->max)
		return false;
	*p = (struct partition){ number, first * r->d->block_bytes, blocks * r->d->block_bytes, "",
				 "" };
	for (unsigned i = 0; i < r->count; i++) {
		if (p->offset < r->out[i].offset + r->out[i].bytes &&
		    r->out[i].offset < p->offset + p->bytes)
			return false;
	}
	r->count++;
	return true;
}

static int read_block(struct reading *r, uint64_t number)
{
	if (number >= r->d->bytes / r->d->block_bytes)
		return -EINVAL;
	return blkdev_read(r->d, number * r->d->block_bytes, r->block, r->d->block_bytes);
}

/* ---- GPT ---- */

struct gpt {
	uint64_t first_usable, last_usable, entries_at;
	uint32_t entries, entries_crc;
};

/* The header in block `at`: 0, -ENOENT without a signature, -EINVAL. */
static int gpt_header(struct reading *r, uint64_t at, struct gpt *g)
{
	uint8_t *h = r->block;
	uint32_t size, crc;
	int error = read_block(r, at);

	if (error)
		return error;
	if (memcmp(h, "EFI PART", 8))
		return -ENOENT;
	size = get32(h + 12);
	crc = get32(h + 16);
	if (size < GPT_HEADER_BYTES || size > r->d->block_bytes)
		return -EINVAL;
	memset(h + 16, 0, 4);
	if ((!planted(PARTITION_CRC) && crc32(h, size) != crc) || get64(h + 24) != at ||
	    get32(h + 84) != GPT_ENTRY_BYTES || get32(h + 80) > GPT_ENTRIES_MAX)
		return -EINVAL;
	*g = (struct gpt){ get64(h + 40), get64(h + 48), get64(h + 72), get32(h + 80),
			   get32(h + 88) };
	return 0;
}

static void copy_name(struct partition *p, const uint8_t *utf16)
{
	for (unsigned i = 0;
	     i < 36 && utf16[2 * i] >= ' ' && utf16[2 * i] < 0x7f && !utf16[2 * i + 1]; i++)
		p->name[i] = (char)utf16[2 * i];
}

/* The first three groups are little-endian numbers (5.3.3, and RFC 4122 for the text). */
static void copy_uuid(struct partition *p, const uint8_t *u)
{
	fmt_print(p->uuid, sizeof(p->uuid),
		  "%08x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", get32(u), u[5], u[4],
		  u[7], u[6], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
}

static int gpt_entry(struct reading *r, const struct gpt *g, unsigned number, const uint8_t *e)
{
	static const uint8_t unused[16];
	uint64_t first = get64(e + 32), last = get64(e + 40);

	if (!memcmp(e, unused, 16))
		return 0;
	if (first < g->first_usable || last > g->last_usable || last < first ||
	    !add(r, number, first, last - first + 1))
		return -EINVAL;
	copy_name(&r->out[r->count - 1], e + 56);
	copy_uuid(&r->out[r->count - 1], e + 16);
	return 0;
}

static int gpt_entries(struct reading *r, const struct gpt *g)
{
	size_t bytes = (size_t)g->entries * GPT_ENTRY_BYTES;
	size_t span = ALIGN_UP(MAX(bytes, 1u), (size_t)r->d->block_bytes);
	uint64_t blocks = r->d->bytes / r->d->block_bytes;
	uint8_t *entries;
	int error;

	if (g->entries_at >= blocks || span / r->d->block_bytes > blocks - g->entries_at)
		return -EINVAL;
	entries = page_alloc_exact(span, PAGE_CACHE);
	if (!entries)
		return -ENOMEM;
	error = blkdev_read(r->d, g->entries_at * r->d->block_bytes, entries, span);
	if (!error && crc32(entries, bytes) != g->entries_crc)
		error = -EINVAL;
	for (unsigned i = 0; !error && i < g->entries; i++)
		error = gpt_entry(r, g, i + 1, entries + i * GPT_ENTRY_BYTES);
	page_free_exact(entries, span);
	return error;
}

static int gpt_read(struct reading *r, uint64_t at)
{
	struct gpt g;
	int error = gpt_header(r, at, &g);

	r->count = 0;
	return error ? error : gpt_entries(r, &g);
}

/* ---- MBR ---- */

static bool type_is_extended(uint8_t type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

/* MBR counts in sectors of 512 bytes, or whatever the disk has. */
static int mbr_logical(struct reading *r, uint64_t extended)
{
	uint64_t at = extended;
	unsigned number = 5;

	for (unsigned i = 0; i < LOGICAL_MAX; i++) {
		const uint8_t *e = r->block + MBR_ENTRIES;
		int error = read_block(r, at);

		if (error)
			return error;
		if (r->block[MBR_SIGNATURE] != 0x55 || r->block[MBR_SIGNATURE + 1] != 0xaa)
			return -EINVAL;
		if (e[4] && !add(r, number++, at + get32(e + 8), get32(e + 12)))
			return -EINVAL;
		if (!type_is_extended(e[16 + 4]))
			return 0;
		at = extended + get32(e + 16 + 8);
	}
	return -EINVAL; /* a chain without end */
}

static int mbr_read(struct reading *r)
{
	uint8_t table[64];
	uint64_t extended = 0;
	int error = read_block(r, 0);

	if (error)
		return error;
	if (r->block[MBR_SIGNATURE] != 0x55 || r->block[MBR_SIGNATURE + 1] != 0xaa)
		return -ENOENT;
	memcpy(table, r->block + MBR_ENTRIES, sizeof(table));
	for (unsigned i = 0; i < 4; i++) {
		const uint8_t *e = table + 16 * i;

		/*
		 * A boot flag that is neither on nor off: this is a boot sector of something else.
		 */
		if ((e[0] & 0x7f) || e[4] == MBR_PROTECTS)
			return e[4] == MBR_PROTECTS ? -EINVAL : -ENOENT;
		if (type_is_extended(e[4]))
			extended = get32(e + 8);
		else if (e[4] && !add(r, i + 1, get32(e + 8), get32(e + 12)))
			return -EINVAL;
	}
	return extended ? mbr_logical(r, extended) : 0;
}

int partitions_read(struct blkdev *d, struct partition *out, unsigned max)
{
	struct reading r = { .d = d, .out = out, .max = max, .block = page_alloc(0, PAGE_CACHE) };
	uint64_t blocks = d->bytes / d->block_bytes;
	int error;

	if (!r.block)
		return -ENOMEM;
	error = blocks < 3 ? -ENOENT : gpt_read(&r, 1);
	if (error && blocks >= 3)
		error = gpt_read(&r, blocks - 1) == 0 ? 0 : error;
	if (error == -ENOENT && blocks >= 3) {
		r.count = 0;
		error = mbr_read(&r);
	}
	page_free(r.block, 0);
	if (error == -ENOENT)
		return 0;
	return error ? error : (int)r.count;
}

/* ---- partitions as devices ---- */

static int add_device(struct blkdev *d, const struct partition *p)
{
	struct blkdev *part = kzalloc(sizeof(*part));
	bool digit = d->name[0] && d->name[str_length(d->name) - 1] <= '9';
	int error;

	if (!part)
		return -ENOMEM;
	part->whole = d;
	part->start = p->offset;
	part->bytes = p->bytes;
	part->part = p->number;
	str_copy(part->part_uuid, sizeof(part->part_uuid), p->uuid);
	str_copy(part->part_label, sizeof(part->part_label), p->name);
	fmt_print(part->name, sizeof(part->name), "%s%s%u", d->name, digit ? "p" : "", p->number);
	error = blkdev_register_part(part);
	if (error)
		kfree(part);
	else
		log_info("%s: partition of %lu KiB%s%s", part->name,
			 (unsigned long)(part->bytes >> 10), p->name[0] ? ", " : "", p->name);
	return error;
}

int partitions_add(struct blkdev *d)
{
	struct partition *found = kmalloc(PARTITIONS_MAX * sizeof(*found));
	int count = found ? partitions_read(d, found, PARTITIONS_MAX) : -ENOMEM;
	int added = 0;

	if (count == -EINVAL)
		log_warn("%s: its partition table does not hold together; there are no partitions",
			 d->name);
	for (int i = 0; i < count; i++)
		added += add_device(d, &found[i]) == 0;
	kfree(found);
	return count < 0 ? count : added;
}

/* The disks that there are now. */
static int partitions_init(void)
{
	struct blkdev *last = NULL, *d;

	for (d = blkdev_next(NULL); d; d = blkdev_next(d))
		last = d;
	for (d = blkdev_next(NULL); d; d = blkdev_next(d)) {
		if (!d->whole)
			partitions_add(d);
		if (d == last)
			break;
	}
	return 0;
}
INIT(INIT_SERVICES, partitions_init);
