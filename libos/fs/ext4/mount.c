/*
 * Mounting.
 *
 * It reads and checks the superblock, replays the journal, then reads the group descriptors, since
 * both of them may have changed by that; then come the root and the orphans. What goes wrong is
 * undone in reverse.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/string.h>
#include <core/time.h>

#include "group.h"
#include "super.h"

static void default_options(struct ext4_options *o, const struct ext4_disk_super *d)
{
	static const enum ext4_data_mode modes[4] = {
		EXT4_DATA_ORDERED, EXT4_DATA_JOURNAL, EXT4_DATA_ORDERED, EXT4_DATA_WRITEBACK,
	};

	o->panic = d->errors == EXT4_ERRORS_PANIC;
	o->data = modes[d->default_mount_opts >> 5 & 3];
	o->no_barrier = d->default_mount_opts & 0x100;
}

static int read_options(struct ext4_super *s, const struct ext4_disk_super *d, const char *text)
{
	int error;

	s->options.read_only = s->vfs->flags & MS_RDONLY;
	default_options(&s->options, d);
	error = ext4_options_parse(&s->options, text);
	if (!error)
		error = ext4_features_check(s->dev, d, &s->options.read_only);
	if (!error && s->dev->read_only && !s->options.read_only) {
		log_warn("ext4: %s cannot be written to, and is mounted read-only", s->dev->name);
		s->options.read_only = true;
	}
	if (s->options.discard && !s->dev->max_discard_bytes) {
		log_warn("ext4: %s takes no discards: the option does nothing", s->dev->name);
		s->options.discard = false;
	}
	if (s->options.noload)
		s->options.read_only = true;
	if (s->options.read_only)
		s->vfs->flags |= MS_RDONLY;
	return error;
}

/* The superblock's buffer, which must hold what was checked. */
static int hold_super(struct ext4_super *s, const struct ext4_disk_super *d)
{
	int error = buffer_read(&s->buffers, EXT4_SUPER_OFFSET >> s->block_shift, &s->super_buffer);

	if (error)
		return error;
	s->disk = (struct ext4_disk_super *)(void *)(s->super_buffer->data +
						     EXT4_SUPER_OFFSET % s->block_bytes);
	return memcmp(s->disk, d, sizeof(*d)) ? -EIO : 0;
}

static void locks_init(struct ext4_super *s)
{
	mutex_init(&s->super_lock);
	mutex_init(&s->sharing_lock);
	mutex_init(&s->handles_lock);
	mutex_init(&s->write_lock);
	waitq_init(&s->handles_wait);
	waitq_init(&s->discards_wait);
	ext4_icache_init(s);
	s->next_generation = (uint32_t)(clock_wall_ns() >> 10);
}

static int read_root(struct ext4_super *s)
{
	struct ext4_inode *root;
	int error = ext4_iget(s, EXT4_ROOT_INO, 0, &root);

	if (error)
		return error;
	if (!inode_is_dir(&root->inode)) {
		inode_put(&root->inode);
		return ext4_damaged(s, "root", EXT4_ROOT_INO, 0, "it is no directory");
	}
	s->vfs->root = &root->inode;
	return 0;
}

/* Blocks that never hold a file's bytes: mke2fs counted them, or else we do. */
static uint64_t overhead_of(const struct ext4_super *s)
{
	uint64_t tables = s->inodes_per_group / s->inodes_per_block + 2;
	uint64_t sum = s->first_data_block + tables * s->groups;

	if (s->disk->overhead_clusters)
		return s->disk->overhead_clusters;
	for (uint32_t g = 0; g < s->groups; g++)
		sum += group_base_blocks(s, g);
	return sum;
}

/* With the superblock's buffer: journal, groups, root, orphans. */
static int open_contents(struct ext4_super *s)
{
	int error = ext4_journal_open(s);

	if (error)
		return error;
	error = ext4_groups_open(s);
	if (error)
		goto no_groups;
	s->overhead = overhead_of(s);
	if (!s->options.read_only)
		error = ext4_super_write_mounted(s);
	if (!error)
		error = read_root(s);
	if (error)
		goto no_root;
	error = s->options.read_only ? 0 : ext4_orphans_open(s);
	if (!error)
		return 0;
	inode_put(s->vfs->root);
	s->vfs->root = NULL;
no_root:
	ext4_groups_close(s);
no_groups:
	if (s->journal)
		ext4_journal_close(s);
	return error;
}

static int open_super(struct ext4_super *s, const char *options)
{
	struct ext4_disk_super *d = kmalloc(sizeof(*d));
	int error = d ? ext4_super_read(s->dev, d, &s->torn) : -ENOMEM;

	if (!error)
		error = read_options(s, d, options);
	if (!error) {
		ext4_geometry_set(s, d);
		error = buffers_init(&s->buffers, s->dev, s->block_bytes, s->blocks);
	}
	if (error) {
		kfree(d);
		return error;
	}
	error = hold_super(s, d);
	kfree(d);
	if (!error)
		error = open_contents(s);
	if (error) {
		buffer_put(s->super_buffer);
		buffers_destroy(&s->buffers);
	}
	return error;
}

static void log_mounted(const struct ext4_super *s)
{
	static const char *const modes[] = { "ordered", "writeback", "journaled" };

	log_info("ext4: %s: %llu blocks of %u bytes, %s, data %s", s->dev->name,
		 (unsigned long long)s->blocks, s->block_bytes,
		 s->options.read_only ? "read-only"
		 : s->journal         ? "with a journal"
				      : "without a journal",
		 modes[s->options.data]);
	if (s->disk->state & EXT4_STATE_ERRORS)
		log_warn("ext4: %s is marked as damaged: e2fsck should look at it", s->dev->name);
}

static int ext4_mount(struct super *vfs, const char *source, const char *options)
{
	struct blkdev *dev = vfs_disk(source);
	struct ext4_super *s;
	int error;

	if (!dev) {
		log_error("ext4: there is no disk %s", source);
		return -ENODEV;
	}
	s = kzalloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->vfs = vfs;
	s->dev = dev;
	vfs->own = s;
	vfs->ops = &ext4_super_ops;
	locks_init(s);
	error = blkdev_claim(dev);
	if (error) {
		log_error("ext4: %s is in use", dev->name);
		kfree(s);
		return error;
	}
	error = open_super(s, options);
	if (error) {
		blkdev_release(dev);
		kfree(s);
		return error;
	}
	log_mounted(s);
	return 0;
}

const struct fs_type ext4_type = {
	.name = "ext4", .on_disk = true, .identify = ext4_identify, .mount = ext4_mount
};
FS_TYPE(ext4_type);
