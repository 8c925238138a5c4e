/*
 * Fuzzing damaged disks (clang's libFuzzer): mounting, names, reading, writing, deleting.
 *
 * An input chooses a disk that mke2fs made (ext4_fuzz_disks.h), damages it, and tells what is then
 * done to it. Damage is aimed: it lands in the lines of the disk that are not zero, which are few
 * and nearly all metadata, and the disks but one have no checksums, so that it is looked at. Some
 * inputs are plain instead: their bytes overwrite the disk from some line on. Whatever is done
 * afterwards may fail, but must end, stay within what it has, and give back what it took; a mount
 * that fails, too.
 */
#include <stdio.h>
#include <stdlib.h>

#include <core/errno.h>
#include <core/string.h>

#include "ext4.h"
#include "world_fuzz.h"

#define LINE       16u
#define LINES_MAX  (WORLD_BYTES / LINE)
#define DAMAGE_MAX 24u
#define STEPS_MAX  40u
#define DEPTH_MAX  4u

extern const char *const ext4_fuzz_disks[];
extern const unsigned ext4_fuzz_disk_count;

/* ---- disks ---- */

struct image {
	uint8_t *bytes;
	uint32_t *lines, line_count; /* those that hold something */
};

static struct image images[16];

static void find_lines(struct image *m)
{
	static const uint8_t zeroes[LINE];

	m->lines = malloc(LINES_MAX * sizeof(*m->lines));
	for (uint32_t n = 0; n < LINES_MAX; n++) {
		if (memcmp(m->bytes + n * LINE, zeroes, LINE))
			m->lines[m->line_count++] = n;
	}
}

static const struct image *image_of(unsigned n)
{
	struct image *m = &images[n % ext4_fuzz_disk_count];
	FILE *f;

	if (m->bytes)
		return m;
	f = fopen(ext4_fuzz_disks[n % ext4_fuzz_disk_count], "rb");
	m->bytes = malloc(WORLD_BYTES);
	if (!f || fread(m->bytes, 1, WORLD_BYTES, f) != WORLD_BYTES)
		exit(2);
	fclose(f);
	find_lines(m);
	return m;
}

/* ---- inputs ---- */

struct input {
	const uint8_t *at, *end;
};

static uint32_t take(struct input *in, unsigned bytes)
{
	uint32_t value = 0;

	while (bytes-- && in->at < in->end)
		value = value << 8 | *in->at++;
	return value;
}

/* One, two or four bytes become another number, near what was there or any. */
static void damage(struct input *in, const struct image *m)
{
	uint32_t line = m->lines[take(in, 2) % m->line_count], kind = take(in, 1),
		 value = take(in, 4), was = 0;
	unsigned bytes = 1u << kind % 3;
	uint8_t *at = world_disk + line * LINE + (kind >> 4) / bytes * bytes;

	memcpy(&was, at, bytes);
	if (kind & 8)
		value = was + (uint32_t)(int8_t)value;
	memcpy(at, &value, bytes);
}

/* Plain: all but the last bytes, which say what is done, as they are. */
static void overwrite(struct input *in, const struct image *m)
{
	uint32_t at = m->lines[take(in, 2) % m->line_count] * LINE, rest = take(in, 1);
	size_t left = (size_t)(in->end - in->at), n = left > rest ? left - rest : 0;

	n = MIN(n, WORLD_BYTES - at);
	memcpy(world_disk + at, in->at, n);
	in->at += n;
}

/* ---- what is done ---- */

static struct super mounted;

struct found {
	struct dir_sink sink;
	char name[EXT4_NAME_MAX + 1];
	size_t len;
	unsigned skip;
};

static bool see(struct dir_sink *s, const char *name, size_t len, uint64_t ino, uint32_t mode,
		uint64_t next)
{
	struct found *f = container_of(s, struct found, sink);

	(void)ino, (void)mode, (void)next;
	if (len == 0 || len > EXT4_NAME_MAX)
		abort();
	memcpy(f->name, name, len);
	f->len = len;
	return f->skip-- > 0;
}

/* The inode under one of a directory's names, with a reference; NULL: none. */
static struct inode *pick(struct inode *dir, unsigned which, struct found *f)
{
	struct inode *inode = NULL;
	uint64_t position = 0;

	*f = (struct found){ .sink = { see }, .skip = which % 16 };
	dir->ops->iterate(dir, &f->sink, &position);
	if (!f->len || f->name[0] == '.' || f->name[0] == '/' ||
	    dir->ops->lookup(dir, &(struct vfs_name){ f->name, f->len }, &inode))
		return NULL;
	return inode;
}

static void read_file(struct inode *inode, int64_t offset)
{
	static uint8_t buf[20000];
	struct uio_vec vec = { buf, sizeof(buf) };
	struct uio u = { .vecs = &vec,
			 .vec_count = 1,
			 .left = sizeof(buf),
			 .offset = offset,
			 .from_kernel = true };
	struct file f = { .ops = inode->file, .object = inode, .flags = O_RDWR };

	inode->file->read(&f, &u);
	inode->file->seek(&f, offset, 3);
	inode->file->seek(&f, offset, 4);
}

static void write_file(struct inode *inode, int64_t offset, size_t len)
{
	static uint8_t buf[20000];
	struct uio_vec vec = { buf, MIN(len, sizeof(buf)) };
	struct uio u = {
		.vecs = &vec, .vec_count = 1, .left = vec.len, .offset = offset, .from_kernel = true
	};
	struct file f = { .ops = inode->file, .object = inode, .flags = O_RDWR };

	inode->file->write(&f, &u);
}

static void look(struct inode *inode)
{
	char buf[5000];

	if (inode->ops->read_link)
		inode->ops->read_link(inode, buf, sizeof(buf));
	if (inode->ops->xattr_list && inode->ops->xattr_list(inode, buf, sizeof(buf)) > 0)
		inode->ops->xattr_get(inode, buf, buf, sizeof(buf));
}

static void change_size(struct inode *inode, int64_t size)
{
	mutex_lock(&inode->lock);
	ext4_resize(inode, size);
	mutex_unlock(&inode->lock);
}

static void allocate(struct inode *inode, int mode, int64_t offset, int64_t len)
{
	mutex_lock(&inode->lock);
	ext4_allocate(inode, mode, offset, len);
	mutex_unlock(&inode->lock);
}

static void work_on_file(struct inode *inode, uint32_t what, int64_t offset, uint32_t len)
{
	static const int modes[] = { 0, 1, 3, 16 };
	bool writable = !(inode->super->flags & MS_RDONLY);

	look(inode);
	if (inode_kind(inode) != S_IFREG)
		return;
	read_file(inode, offset);
	if (!writable)
		return;
	switch (what % 4) {
	case 0: write_file(inode, offset, len); break;
	case 1: change_size(inode, offset); break;
	case 2: allocate(inode, modes[what / 4 % 4], offset, 1 + len); break;
	default: ext4_sync_inode(inode, false);
	}
}

static void work_on_names(struct inode *dir, struct found *f, struct inode *inode, uint32_t what)
{
	struct vfs_name name = { f->name, f->len }, fresh = { "fresh name", 1 + what % 10 };
	bool is_dir = inode_is_dir(inode),
	     may_go = !is_dir || (dir->ops->is_empty && dir->ops->is_empty(inode));
	struct inode *made = NULL;

	if (dir->super->flags & MS_RDONLY || inode == dir)
		return;
	mutex_lock(&dir->lock);
	if (what & 1 && dir->ops->unlink && may_go)
		dir->ops->unlink(dir, &name, inode);
	else if (dir->ops->make && dir->ops->link &&
		 !dir->ops->make(dir, (what & 2 ? S_IFDIR : S_IFREG) | 0755, 0, NULL, &made)) {
		struct inode *there;

		if (!dir->ops->lookup(dir, &fresh, &there))
			inode_put(there);
		else
			dir->ops->link(dir, &fresh, made);
		inode_put(made);
	}
	mutex_unlock(&dir->lock);
}

static void step(struct input *in)
{
	struct inode *dir = inode_get(mounted.root), *inode = NULL;
	struct found f;

	for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
		inode = pick(dir, take(in, 1), &f);
		if (!inode || !inode_is_dir(inode) || take(in, 1) & 1)
			break;
		inode_put(dir);
		dir = inode;
		inode = NULL;
	}
	if (inode) {
		uint32_t what = take(in, 1);
		int64_t offset = (int64_t)take(in, 3) << (what >> 6 ? 0 : 10);

		if (what & 0x20)
			work_on_names(dir, &f, inode, what);
		else
			work_on_file(inode, what, offset, take(in, 2));
		inode_put(inode);
	}
	inode_put(dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };
	uint32_t choice = take(&in, 1);
	const struct image *m = image_of(choice & 0x7f);

	memcpy(world_disk, m->bytes, WORLD_BYTES);
	if (choice & 0x80)
		overwrite(&in, m);
	else
		for (unsigned n = take(&in, 1) % DAMAGE_MAX; n; n--)
			damage(&in, m);
	mounted = (struct super){ .type = &ext4_type };
	if (ext4_type.mount(&mounted, "fuzz", ""))
		return 0;
	for (unsigned n = 0; n < STEPS_MAX && in.at < in.end; n++)
		step(&in);
	if (mounted.ops->sync)
		mounted.ops->sync(&mounted);
	inode_put(mounted.root);
	mounted.ops->unmount(&mounted);
	return 0;
}
