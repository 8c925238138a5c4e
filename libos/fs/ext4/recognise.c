/*
 * What a disk is, before it is mounted: what an ext4 is called, and what a disk without one holds
 * instead, for the sentence that refuses it (magic numbers of other formats at their places).
 */
#include <core/kmem.h>
#include <core/string.h>

#include "super.h"

struct format {
	const char *name;
	uint32_t offset;
	const char *magic;
	uint32_t len;
};

/* In order: what shares its first sector with others comes last. */
static const struct format formats[] = {
	{ "XFS", 0, "XFSB", 4 },
	{ "Btrfs", 0x10040, "_BHRfS_M", 8 },
	{ "F2FS", 1024, "\x10\x20\xf5\xf2", 4 },
	{ "EROFS", 1024, "\xe2\xe1\xf5\xe0", 4 },
	{ "SquashFS", 0, "hsqs", 4 },
	{ "ISO 9660", 0x8001, "CD001", 5 },
	{ "NTFS", 3, "NTFS    ", 8 },
	{ "exFAT", 3, "EXFAT   ", 8 },
	{ "FAT", 54, "FAT", 3 },
	{ "FAT", 82, "FAT32", 5 },
	{ "swap space", 4086, "SWAPSPACE2", 10 },
	{ "LUKS (encrypted)", 0, "LUKS\xba\xbe", 6 },
	{ "LVM", 512, "LABELONE", 8 },
	{ "a cpio archive", 0, "07070", 5 },
	{ "gzip-compressed bytes", 0, "\x1f\x8b", 2 },
	{ "an ELF file", 0, "\x7f" "ELF", 4 },
	{ "a QEMU disk (qcow2)", 0, "QFI\xfb", 4 },
	{ "a partition table (GPT)", 512, "EFI PART", 8 },
	{ "a partition table (MBR)", 510, "\x55\xaa", 2 },
};

#define STEP 4096u

static bool holds(struct blkdev *d, const struct format *f, uint8_t *bytes)
{
	uint64_t at = ALIGN_DOWN(f->offset, STEP);

	if (at + STEP > d->bytes || blkdev_read(d, at, bytes, STEP))
		return false;
	return !memcmp(bytes + f->offset % STEP, f->magic, f->len);
}

const char *ext4_recognise(struct blkdev *d, uint8_t *bytes)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		if (holds(d, &formats[i], bytes))
			return formats[i].name;
	}
	return NULL;
}

bool ext4_identify(struct blkdev *d, struct fs_identity *out)
{
	uint8_t *bytes = d->bytes >= STEP ? kmalloc(STEP) : NULL;
	const struct ext4_disk_super *s;
	bool found = false;

	if (bytes && !blkdev_read(d, 0, bytes, STEP)) {
		s = (const void *)(bytes + EXT4_SUPER_OFFSET);
		found = s->magic == EXT4_MAGIC;
		memcpy(out->uuid, s->uuid, sizeof(out->uuid));
		memcpy(out->label, s->volume_name, sizeof(s->volume_name));
		out->label[sizeof(s->volume_name)] = '\0';
	}
	kfree(bytes);
	return found;
}
