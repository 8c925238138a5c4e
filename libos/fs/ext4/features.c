/*
 * Features: what a disk uses that not every ext4 has (super.rst, s_feature_*). Unknown incompatible
 * ones refuse the mount; ones that only writers must know leave it read-only. Each is named in the
 * log.
 */
#include <core/errno.h>
#include <core/fmt.h>
#include <core/log.h>
#include <core/string.h>

#include "super.h"

#define INCOMPAT_WRITE                                                                             \
	(EXT4_INCOMPAT_FILETYPE | EXT4_INCOMPAT_RECOVER | EXT4_INCOMPAT_META_BG |                  \
	 EXT4_INCOMPAT_EXTENTS | EXT4_INCOMPAT_64BIT | EXT4_INCOMPAT_FLEX_BG |                     \
	 EXT4_INCOMPAT_CSUM_SEED | EXT4_INCOMPAT_LARGEDIR)
#define INCOMPAT_READ  (INCOMPAT_WRITE | EXT4_INCOMPAT_INLINE_DATA | EXT4_INCOMPAT_EA_INODE)
#define RO_WRITE                                                                                   \
	(EXT4_RO_SPARSE_SUPER | EXT4_RO_LARGE_FILE | EXT4_RO_HUGE_FILE | EXT4_RO_GDT_CSUM |        \
	 EXT4_RO_DIR_NLINK | EXT4_RO_EXTRA_ISIZE | EXT4_RO_METADATA_CSUM | EXT4_RO_ORPHAN_PRESENT)

struct name {
	uint32_t bit;
	const char *text;
};

/* whoever knows them not may ignore them */
static const struct name compat_names[] = { { 0, NULL } };

static const struct name incompat_names[] = {
	{ EXT4_INCOMPAT_COMPRESSION, "compression" }, { EXT4_INCOMPAT_MMP, "mmp" },
	{ EXT4_INCOMPAT_EA_INODE, "ea_inode" }, { EXT4_INCOMPAT_DIRDATA, "dirdata" },
	{ EXT4_INCOMPAT_LARGEDIR, "large_dir" }, { EXT4_INCOMPAT_INLINE_DATA, "inline_data" },
	{ EXT4_INCOMPAT_ENCRYPT, "encrypt" }, { EXT4_INCOMPAT_CASEFOLD, "casefold" },
	{ EXT4_INCOMPAT_META_BG, "meta_bg" }, { 0, NULL },
};

static const struct name ro_names[] = {
	{ EXT4_RO_BTREE_DIR, "btree_dir" }, { EXT4_RO_HAS_SNAPSHOT, "has_snapshot" },
	{ EXT4_RO_QUOTA, "quota" }, { EXT4_RO_BIGALLOC, "bigalloc" },
	{ EXT4_RO_REPLICA, "replica" }, { EXT4_RO_READONLY, "read-only" },
	{ EXT4_RO_PROJECT, "project" }, { EXT4_RO_SHARED_BLOCKS, "shared_blocks" },
	{ EXT4_RO_VERITY, "verity" }, { 0, NULL },
};

/* Adds the bits' names to what `buf` holds, a space between any two. */
static void name_features(char *buf, size_t size, uint32_t bits, const struct name *names,
			  const char *unknown)
{
	for (uint32_t bit = 1; bit; bit <<= 1) {
		size_t used = str_length(buf);
		const struct name *n = names;

		if (!(bits & bit))
			continue;
		while (n->text && n->bit != bit)
			n++;
		if (n->text)
			fmt_print(buf + used, size - used, "%s%s", used ? " " : "", n->text);
		else
			fmt_print(buf + used, size - used, "%s%s_%x", used ? " " : "", unknown,
				  bit);
	}
}

void ext4_features_name(char *buf, size_t size, uint32_t compat, uint32_t incompat,
			uint32_t ro_compat)
{
	buf[0] = '\0';
	name_features(buf, size, compat, compat_names, "compat");
	name_features(buf, size, incompat, incompat_names, "incompat");
	name_features(buf, size, ro_compat, ro_names, "ro_compat");
}

int ext4_features_check(const struct blkdev *dev, const struct ext4_disk_super *d, bool *read_only)
{
	uint32_t refused = d->feature_incompat & ~INCOMPAT_READ;
	uint32_t reading = d->feature_incompat & INCOMPAT_READ & ~INCOMPAT_WRITE;
	uint32_t foreign = d->feature_ro_compat & ~RO_WRITE;
	char text[200];

	if (refused) {
		ext4_features_name(text, sizeof(text), 0, refused, 0);
		log_error("ext4: %s uses what cannot be read here: %s", dev->name, text);
		return -EOPNOTSUPP;
	}
	if (!(d->feature_incompat & EXT4_INCOMPAT_EXTENTS) && !*read_only) {
		log_warn(
			"ext4: %s is only read, since its files have no extents (tune2fs -O extent gives new ones theirs)",
			dev->name);
		*read_only = true;
	}
	if (!reading && !foreign)
		return 0;
	if (!*read_only) {
		ext4_features_name(text, sizeof(text), 0, reading, foreign);
		log_warn("ext4: %s is only read, since it uses %s", dev->name, text);
	}
	*read_only = true;
	return 0;
}
