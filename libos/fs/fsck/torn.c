/*
 * A superblock that a cut has torn. It is written past the journal when a disk is mounted and
 * unmounted, and a disk that loses power may keep one 512-byte half of that write: every field is
 * an old or a new one, and only the checksum is wrong.
 *
 * So when all that never changes is as a copy of the superblock has it, the checksum is computed
 * anew. What else the superblock says is told by the journal, or found out by the check. Anything
 * else is damage, and stays as it is.
 */
#include <core/crc.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>

#include "fsck.h"

#define FIRST_BYTES 4096u

/* Fields that are written once, when the file system is made; by their places in the superblock. */
static const struct {
	uint16_t from, bytes;
} lasting[] = {
	{ 0x00, 8 },    /* inodes, blocks */
	{ 0x14, 24 },   /* from the first data block to the inodes of a group */
	{ 0x38, 2 },    /* magic */
	{ 0x4c, 4 },    /* revision */
	{ 0x54, 6 },    /* first inode, size of inodes */
	{ 0x68, 16 },   /* UUID */
	{ 0xce, 2 },    /* reserved descriptor blocks */
	{ 0xe0, 8 },    /* journal */
	{ 0xec, 20 },   /* hashes, size of descriptors */
	{ 0x104, 4 },   /* first_meta_bg */
	{ 0x150, 4 },   /* blocks, upper half */
	{ 0x174, 2 },   /* flex_bg, kind of checksum */
	{ 0x24c, 8 },   /* backup_bgs */
	{ 0x270, 4 },   /* seed of checksums */
	{ 0x280, 4 },   /* file of orphans */
};

static bool is_the_same(const struct ext4_disk_super *a, const struct ext4_disk_super *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(lasting); i++) {
		if (memcmp((const uint8_t *)a + lasting[i].from,
			   (const uint8_t *)b + lasting[i].from, lasting[i].bytes) != 0)
			return false;
	}
	return a->feature_compat == b->feature_compat &&
	       !((a->feature_incompat ^ b->feature_incompat) & ~EXT4_INCOMPAT_RECOVER) &&
	       !((a->feature_ro_compat ^ b->feature_ro_compat) & ~EXT4_RO_ORPHAN_PRESENT);
}

/*
 * `bytes`: the first of the disk, which are written back with the right checksum, if that is all.
 */
static int mend(struct fsck *f, struct blkdev *d, uint8_t *bytes, struct ext4_disk_super *copy)
{
	struct ext4_disk_super *super = (struct ext4_disk_super *)(void *)(bytes +
									   EXT4_SUPER_OFFSET);
	int error = blkdev_read(d, 0, bytes, FIRST_BYTES);

	if (error || !(super->feature_ro_compat & EXT4_RO_METADATA_CSUM))
		return error;
	if (!super_read_copy(d, copy) || !is_the_same(super, copy))
		return 0;
	super->checksum = crc32c(~0u, super, offsetof(struct ext4_disk_super, checksum));
	if (ext4_super_check(d, super))
		return 0;
	error = blkdev_write(d, 0, bytes, FIRST_BYTES, BLK_FUA);
	if (error)
		return error;
	say(f,
	    "The superblock was torn by a cut while it was written; its checksum is right again.");
	f->result->recovered = true;
	return 0;
}

int mend_torn_super(struct fsck *f, struct blkdev *d)
{
	uint8_t *bytes = kmalloc(FIRST_BYTES);
	struct ext4_disk_super *copy = kmalloc(sizeof(*copy));
	int error = bytes && copy ? mend(f, d, bytes, copy) : -ENOMEM;

	kfree(bytes);
	kfree(copy);
	return error;
}
