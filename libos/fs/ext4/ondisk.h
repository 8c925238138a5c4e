/*
 * ext4 as it lies on the disk (Linux, Documentation/filesystems/ext4: super.rst, group_descr.rst,
 * inodes.rst, ifork.rst, directory.rst, attributes.rst, orphan.rst, checksums.rst). Offsets of
 * fields stand where a section of the documentation gives them.
 *
 * Everything is little endian, as are our machine and the hosts we build on, so fields are read as
 * they lie. Every structure is aligned naturally where it lies: blocks are, in buffers, superblock
 * and inodes by their place in them. Directory entries and attributes lie at multiples of four,
 * once their lengths have been checked; nothing in them is wider.
 */
#ifndef EXT4_ONDISK_H
#define EXT4_ONDISK_H

#include <core/types.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "ext4's fields are read as they lie");

/* ---- superblock (super.rst) ---- */

#define EXT4_SUPER_OFFSET 1024u  /* bytes from the beginning of the disk */
#define EXT4_SUPER_BYTES  1024u
#define EXT4_MAGIC        0xef53u

#define EXT4_STATE_CLEAN   1u    /* unmounted cleanly, or in the journal's care */
#define EXT4_STATE_ERRORS  2u    /* damage was found */
#define EXT4_STATE_ORPHANS 4u

#define EXT4_ERRORS_CONTINUE 1u
#define EXT4_ERRORS_RO       2u
#define EXT4_ERRORS_PANIC    3u

#define EXT4_FLAG_SIGNED_HASH   1u
#define EXT4_FLAG_UNSIGNED_HASH 2u

#define EXT4_ROOT_INO    2u
#define EXT4_RESIZE_INO  7u
#define EXT4_JOURNAL_INO 8u
#define EXT4_FIRST_INO_OLD 11u   /* of revision 0 */

#define EXT4_COMPAT_DIR_PREALLOC  0x0001u
#define EXT4_COMPAT_HAS_JOURNAL   0x0004u
#define EXT4_COMPAT_EXT_ATTR      0x0008u
#define EXT4_COMPAT_RESIZE_INODE  0x0010u
#define EXT4_COMPAT_DIR_INDEX     0x0020u
#define EXT4_COMPAT_SPARSE_SUPER2 0x0200u
#define EXT4_COMPAT_FAST_COMMIT   0x0400u
#define EXT4_COMPAT_STABLE_INODES 0x0800u
#define EXT4_COMPAT_ORPHAN_FILE   0x1000u

#define EXT4_INCOMPAT_COMPRESSION 0x00001u
#define EXT4_INCOMPAT_FILETYPE    0x00002u
#define EXT4_INCOMPAT_RECOVER     0x00004u
#define EXT4_INCOMPAT_JOURNAL_DEV 0x00008u
#define EXT4_INCOMPAT_META_BG     0x00010u
#define EXT4_INCOMPAT_EXTENTS     0x00040u
#define EXT4_INCOMPAT_64BIT       0x00080u
#define EXT4_INCOMPAT_MMP         0x00100u
#define EXT4_INCOMPAT_FLEX_BG     0x00200u
#define EXT4_INCOMPAT_EA_INODE    0x00400u
#define EXT4_INCOMPAT_DIRDATA     0x01000u
#define EXT4_INCOMPAT_CSUM_SEED   0x02000u
#define EXT4_INCOMPAT_LARGEDIR    0x04000u
#define EXT4_INCOMPAT_INLINE_DATA 0x08000u
#define EXT4_INCOMPAT_ENCRYPT     0x10000u
#define EXT4_INCOMPAT_CASEFOLD    0x20000u

#define EXT4_RO_SPARSE_SUPER   0x00001u
#define EXT4_RO_LARGE_FILE     0x00002u
#define EXT4_RO_BTREE_DIR      0x00004u
#define EXT4_RO_HUGE_FILE      0x00008u
#define EXT4_RO_GDT_CSUM       0x00010u
#define EXT4_RO_DIR_NLINK      0x00020u
#define EXT4_RO_EXTRA_ISIZE    0x00040u
#define EXT4_RO_HAS_SNAPSHOT   0x00080u
#define EXT4_RO_QUOTA          0x00100u
#define EXT4_RO_BIGALLOC       0x00200u
#define EXT4_RO_METADATA_CSUM  0x00400u
#define EXT4_RO_REPLICA        0x00800u
#define EXT4_RO_READONLY       0x01000u
#define EXT4_RO_PROJECT        0x02000u
#define EXT4_RO_SHARED_BLOCKS  0x04000u
#define EXT4_RO_VERITY         0x08000u
#define EXT4_RO_ORPHAN_PRESENT 0x10000u

struct ext4_disk_super {
	uint32_t inodes_count;
	uint32_t blocks_count_lo;
	uint32_t reserved_blocks_lo;
	uint32_t free_blocks_lo;
	uint32_t free_inodes;            /* 0x10 */
	uint32_t first_data_block;       /* 1 with blocks of 1 KiB, else 0 */
	uint32_t log_block_size;         /* bytes: 2 ^ (10 + it) */
	uint32_t log_cluster_size;
	uint32_t blocks_per_group;       /* 0x20 */
	uint32_t clusters_per_group;
	uint32_t inodes_per_group;
	uint32_t mtime;
	uint32_t wtime;                  /* 0x30 */
	uint16_t mnt_count;
	uint16_t max_mnt_count;
	uint16_t magic;
	uint16_t state;
	uint16_t errors;
	uint16_t minor_rev_level;
	uint32_t lastcheck;              /* 0x40 */
	uint32_t checkinterval;
	uint32_t creator_os;
	uint32_t rev_level;
	uint16_t def_resuid;             /* 0x50 */
	uint16_t def_resgid;
	uint32_t first_ino;
	uint16_t inode_size;
	uint16_t block_group_nr;
	uint32_t feature_compat;
	uint32_t feature_incompat;       /* 0x60 */
	uint32_t feature_ro_compat;
	uint8_t uuid[16];
	char volume_name[16];            /* 0x78 */
	char last_mounted[64];
	uint32_t algorithm_usage_bitmap; /* 0xc8 */
	uint8_t prealloc_blocks;
	uint8_t prealloc_dir_blocks;
	uint16_t reserved_gdt_blocks;
	uint8_t journal_uuid[16];        /* 0xd0 */
	uint32_t journal_inum;           /* 0xe0 */
	uint32_t journal_dev;
	uint32_t last_orphan;
	uint32_t hash_seed[4];
	uint8_t def_hash_version;        /* 0xfc */
	uint8_t jnl_backup_type;
	uint16_t desc_size;
	uint32_t default_mount_opts;     /* 0x100 */
	uint32_t first_meta_bg;
	uint32_t mkfs_time;
	uint32_t jnl_blocks[17];
	uint32_t blocks_count_hi;        /* 0x150 */
	uint32_t reserved_blocks_hi;
	uint32_t free_blocks_hi;
	uint16_t min_extra_isize;
	uint16_t want_extra_isize;
	uint32_t flags;                  /* 0x160 */
	uint16_t raid_stride;
	uint16_t mmp_interval;
	uint64_t mmp_block;
	uint32_t raid_stripe_width;      /* 0x170 */
	uint8_t log_groups_per_flex;
	uint8_t checksum_type;           /* 1: CRC-32C */
	uint16_t reserved_pad;
	uint64_t kbytes_written;
	uint32_t snapshot_inum;          /* 0x180 */
	uint32_t snapshot_id;
	uint64_t snapshot_reserved_blocks;
	uint32_t snapshot_list;          /* 0x190 */
	uint32_t error_count;
	uint32_t first_error_time;
	uint32_t first_error_ino;
	uint64_t first_error_block;      /* 0x1a0 */
	char first_error_func[32];
	uint32_t first_error_line;       /* 0x1c8 */
	uint32_t last_error_time;
	uint32_t last_error_ino;
	uint32_t last_error_line;
	uint64_t last_error_block;       /* 0x1d8 */
	char last_error_func[32];
	char mount_opts[64];             /* 0x200 */
	uint32_t usr_quota_inum;         /* 0x240 */
	uint32_t grp_quota_inum;
	uint32_t overhead_clusters;
	uint32_t backup_bgs[2];
	uint8_t encrypt_algos[4];
	uint8_t encrypt_pw_salt[16];
	uint32_t lpf_ino;                /* 0x268 */
	uint32_t prj_quota_inum;
	uint32_t checksum_seed;          /* 0x270: with the feature metadata_csum_seed */
	uint8_t wtime_hi, mtime_hi, mkfs_time_hi, lastcheck_hi;
	uint8_t first_error_time_hi, last_error_time_hi, first_error_code, last_error_code;
	uint16_t encoding;
	uint16_t encoding_flags;
	uint32_t orphan_file_inum;       /* 0x280 */
	uint32_t reserved[94];
	uint32_t checksum;               /* 0x3fc: CRC-32C of all before it */
};
_Static_assert(sizeof(struct ext4_disk_super) == EXT4_SUPER_BYTES, "a superblock has 1024 bytes");
_Static_assert(offsetof(struct ext4_disk_super, last_error_block) == 0x1d8, "as super.rst has it");

/* ---- group descriptors (group_descr.rst) ---- */

#define EXT4_GROUP_INODE_UNINIT 1u   /* inode bitmap and table mean nothing yet */
#define EXT4_GROUP_BLOCK_UNINIT 2u   /* the block bitmap is to be computed */
#define EXT4_GROUP_ITABLE_ZEROED 4u

#define EXT4_GROUP_BYTES_MIN 32u

/* The upper half is there with the feature 64bit, when desc_size says so. */
struct ext4_disk_group {
	uint32_t block_bitmap_lo;
	uint32_t inode_bitmap_lo;
	uint32_t inode_table_lo;
	uint16_t free_blocks_lo;
	uint16_t free_inodes_lo;
	uint16_t used_dirs_lo;           /* 0x10 */
	uint16_t flags;
	uint32_t exclude_bitmap_lo;
	uint16_t block_bitmap_csum_lo;
	uint16_t inode_bitmap_csum_lo;
	uint16_t itable_unused_lo;
	uint16_t checksum;
	uint32_t block_bitmap_hi;        /* 0x20 */
	uint32_t inode_bitmap_hi;
	uint32_t inode_table_hi;
	uint16_t free_blocks_hi;
	uint16_t free_inodes_hi;
	uint16_t used_dirs_hi;           /* 0x30 */
	uint16_t itable_unused_hi;
	uint32_t exclude_bitmap_hi;
	uint16_t block_bitmap_csum_hi;
	uint16_t inode_bitmap_csum_hi;
	uint32_t reserved;
};
_Static_assert(sizeof(struct ext4_disk_group) == 64, "a wide descriptor has 64 bytes");

/* ---- inodes (inodes.rst) ---- */

#define EXT4_INODE_BYTES_OLD 128u
#define EXT4_INODE_BLOCK_BYTES 60u

#define EXT4_FL_SYNC         0x00000008u
#define EXT4_FL_IMMUTABLE    0x00000010u
#define EXT4_FL_APPEND       0x00000020u
#define EXT4_FL_NODUMP       0x00000040u
#define EXT4_FL_NOATIME      0x00000080u
#define EXT4_FL_ENCRYPT      0x00000800u
#define EXT4_FL_INDEX        0x00001000u
#define EXT4_FL_JOURNAL_DATA 0x00004000u
#define EXT4_FL_DIRSYNC      0x00010000u
#define EXT4_FL_TOPDIR       0x00020000u
#define EXT4_FL_HUGE_FILE    0x00040000u  /* `blocks` counts blocks of the file system */
#define EXT4_FL_EXTENTS      0x00080000u
#define EXT4_FL_VERITY       0x00100000u
#define EXT4_FL_EA_INODE     0x00200000u
#define EXT4_FL_INLINE_DATA  0x10000000u
#define EXT4_FL_PROJINHERIT  0x20000000u
#define EXT4_FL_CASEFOLD     0x40000000u

struct ext4_disk_inode {
	uint16_t mode;
	uint16_t uid_lo;
	uint32_t size_lo;
	uint32_t atime;
	uint32_t ctime;
	uint32_t mtime;                  /* 0x10 */
	uint32_t dtime;                  /* of deletion; on the orphan list: the next inode of it */
	uint16_t gid_lo;
	uint16_t links_count;
	uint32_t blocks_lo;
	uint32_t flags;                  /* 0x20 */
	uint32_t version_lo;
	/* block map, root of the extent tree, text of a link, inline data, device */
	uint32_t block[15];
	uint32_t generation;             /* 0x64 */
	uint32_t file_acl_lo;            /* block of extended attributes */
	uint32_t size_hi;
	uint32_t obsolete_faddr;         /* 0x70 */
	uint16_t blocks_hi;
	uint16_t file_acl_hi;
	uint16_t uid_hi;
	uint16_t gid_hi;
	uint16_t checksum_lo;
	uint16_t reserved;
	/* Beyond the first 128 bytes: as far as extra_isize goes. */
	uint16_t extra_isize;            /* 0x80 */
	uint16_t checksum_hi;
	uint32_t ctime_extra;            /* nanoseconds << 2 | two more bits of the seconds */
	uint32_t mtime_extra;
	uint32_t atime_extra;
	uint32_t crtime;                 /* 0x90 */
	uint32_t crtime_extra;
	uint32_t version_hi;
	uint32_t projid;
};
_Static_assert(sizeof(struct ext4_disk_inode) == 160, "an inode has 160 bytes of fields");

/* ---- extents (ifork.rst) ---- */

#define EXT4_EXTENT_MAGIC     0xf30au
#define EXT4_EXTENT_DEPTH_MAX 5u
/* of a written one; a length above is an unwritten one's, plus this */
#define EXT4_EXTENT_LEN_MAX   32768u

struct ext4_disk_extent_header {
	uint16_t magic;
	uint16_t entries;
	uint16_t max;
	uint16_t depth;
	uint32_t generation;
};

struct ext4_disk_extent_index {
	uint32_t block;
	uint32_t leaf_lo;
	uint16_t leaf_hi;
	uint16_t unused;
};

struct ext4_disk_extent {
	uint32_t block;
	uint16_t len;
	uint16_t start_hi;
	uint32_t start_lo;
};

struct ext4_disk_extent_tail {
	uint32_t checksum;               /* behind entry number `max` */
};

/* ---- directories (directory.rst) ---- */

#define EXT4_NAME_MAX 255u
#define EXT4_DIRENT_BYTES 8u         /* before the name */

/* What an entry says of its inode's type, with the feature filetype. */
enum ext4_ft {
	EXT4_FT_UNKNOWN, EXT4_FT_REG, EXT4_FT_DIR, EXT4_FT_CHR, EXT4_FT_BLK, EXT4_FT_FIFO,
	EXT4_FT_SOCK, EXT4_FT_LNK, EXT4_FT_COUNT, EXT4_FT_TAIL = 0xde,
};

struct ext4_disk_dirent {
	uint32_t inode;                  /* 0: unused */
	uint16_t rec_len;                /* to the next entry; 0 and 0xffff stand for 64 KiB */
	uint8_t name_len;
	uint8_t file_type;
	char name[];
};

/* The last 12 bytes of a leaf, with metadata_csum: they look like an unused entry. */
struct ext4_disk_dir_tail {
	uint32_t zero1;
	uint16_t rec_len;                /* 12 */
	uint8_t zero2;
	uint8_t file_type;               /* EXT4_FT_TAIL */
	uint32_t checksum;
};

enum ext4_hash_version {
	EXT4_HASH_LEGACY, EXT4_HASH_HALF_MD4, EXT4_HASH_TEA, EXT4_HASH_LEGACY_UNSIGNED,
	EXT4_HASH_HALF_MD4_UNSIGNED, EXT4_HASH_TEA_UNSIGNED, EXT4_HASH_SIPHASH,
};

/* The first block of a hashed directory: "." and "..", whose record hides this, then entries. */
#define EXT4_DX_ROOT_INFO 24u        /* offset of the info */

struct ext4_disk_dx_info {
	uint32_t zero;
	uint8_t hash_version;
	uint8_t info_length;             /* 8 */
	uint8_t levels;                  /* of index nodes below the root */
	uint8_t flags;
};

/* offset of the entries of other index blocks, behind an unused entry */
#define EXT4_DX_NODE_ENTRIES 8u

struct ext4_disk_dx_entry {
	uint32_t hash;                   /* of the first entry: limit | count << 16 */
	uint32_t block;                  /* of the directory */
};

struct ext4_disk_dx_tail {               /* behind `limit` entries, with metadata_csum */
	uint32_t reserved;
	uint32_t checksum;
};

/* ---- extended attributes (attributes.rst) ---- */

#define EXT4_XATTR_MAGIC 0xea020000u
#define EXT4_XATTR_REFS_MAX 1024u    /* inodes that share a block */

struct ext4_disk_xattr_header {      /* of a block; in an inode only the magic */
	uint32_t magic;
	uint32_t refcount;
	uint32_t blocks;                 /* 1 */
	uint32_t hash;
	uint32_t checksum;
	uint32_t reserved[3];
};

struct ext4_disk_xattr {
	uint8_t name_len;
	uint8_t name_index;              /* which prefix the name has */
	/* in a block from its beginning, in an inode from the first entry */
	uint16_t value_offset;
	uint32_t value_inum;
	uint32_t value_size;
	uint32_t hash;
	char name[];
};

/* ---- orphans (orphan.rst) ---- */

#define EXT4_ORPHAN_MAGIC 0x0b10ca04u

struct ext4_disk_orphan_tail {       /* at the end of each block of the orphan file */
	uint32_t magic;
	uint32_t checksum;
};

#endif
