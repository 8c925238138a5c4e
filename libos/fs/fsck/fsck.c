/*
 * The check as a whole.
 *
 * First what a crash leaves on purpose, the journal and orphans, is put in order by mounting the
 * disk once, if that is allowed; everything else is judged afterwards. Then come the passes, each
 * of which only needs what earlier ones have found: inodes and their blocks; directories; the tree
 * they make; links; bitmaps and counts. A bitmap or count says nothing that the rest does not say,
 * too, so it may be written anew, but only when all the rest is right.
 */
#include <core/errno.h>
#include <core/fmt.h>
#include <core/kmem.h>
#include <core/string.h>

#include "fsck.h"

#define TOLD_MAX 500u /* sentences; what is found later is only counted */

static void vsay(struct fsck *f, const char *fmt, va_list args)
{
	char line[240];

	if (f->told > TOLD_MAX)
		return;
	if (f->told++ == TOLD_MAX) {
		f->options->say(f->options->arg, "There is more, which is only counted.");
		return;
	}
	fmt_vprint(line, sizeof(line), fmt, args);
	f->options->say(f->options->arg, line);
}

void say(struct fsck *f, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsay(f, fmt, args);
	va_end(args);
}

void damage(struct fsck *f, const char *fmt, ...)
{
	va_list args;

	f->result->damage++;
	va_start(args, fmt);
	vsay(f, fmt, args);
	va_end(args);
}

void wrong_count(struct fsck *f, const char *fmt, ...)
{
	va_list args;

	f->result->counts++;
	va_start(args, fmt);
	vsay(f, fmt, args);
	va_end(args);
}

bool has_failed(struct fsck *f, int error)
{
	if (error && !f->error)
		f->error = error;
	return f->error;
}

void *rows_add(struct fsck *f, struct rows *r, size_t bytes)
{
	if (r->count == r->room) {
		size_t room = r->room ? 2 * r->room : 64;
		void *more = kmalloc(room * bytes);

		if (!more) {
			has_failed(f, -ENOMEM);
			return NULL;
		}
		if (r->count)
			memcpy(more, r->at, r->count * bytes);
		kfree(r->at);
		r->at = more;
		r->room = room;
	}
	return memset((uint8_t *)r->at + bytes * r->count++, 0, bytes);
}

struct buffer *fsck_read(struct fsck *f, uint64_t block)
{
	struct buffer *b;
	int error = buffer_read(&f->s->buffers, block, &b);

	if (!error)
		return b;
	say(f, "Block %llu cannot be read (error %d).", (unsigned long long)block, -error);
	has_failed(f, error);
	return NULL;
}

struct seen_dir *seen_dir(struct fsck *f, uint32_t ino)
{
	struct seen_dir *dirs = f->dirs.at;
	size_t low = 0, high = f->dirs.count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (dirs[middle].ino == ino)
			return &dirs[middle];
		if (dirs[middle].ino < ino)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static void passes(struct fsck *f)
{
	static void (*const pass[])(struct fsck *) = {
		disk_claim_groups, check_journal, check_inodes, check_attr_blocks,
		check_orphan_file, check_dirs, check_tree, check_links, check_counts,
	};

	for (size_t i = 0; i < ARRAY_SIZE(pass) && !f->error; i++)
		pass[i](f);
}

static int allocate(struct fsck *f)
{
	if (f->s->blocks > UINT32_MAX)
		return -EFBIG;
	f->blocks = kzalloc((size_t)ALIGN_UP(f->s->blocks, 64u) / 8);
	f->inodes = kzalloc((size_t)f->s->inodes * sizeof(*f->inodes));
	f->scratch = kzalloc(sizeof(*f->scratch));
	return f->blocks && f->inodes && f->scratch ? 0 : -ENOMEM;
}

static void release(struct fsck *f)
{
	kfree(f->blocks);
	kfree(f->inodes);
	kfree(f->scratch);
	kfree(f->dirs.at);
	kfree(f->attrs.at);
}

static int check_opened(struct fsck *f)
{
	struct fsck_result *r = f->result;
	int error = allocate(f);

	if (!error && disk_open_groups(f))
		passes(f);
	error = error ? error : f->error;
	r->inodes = f->s->inodes;
	r->blocks = f->s->blocks;
	r->directories = (uint32_t)f->dirs.count;
	if (!error && f->options->repair && !r->damage && !f->from_copy)
		error = repair_counts(f);
	release(f);
	return error;
}

int fsck_ext4(struct blkdev *d, const struct fsck_options *o, struct fsck_result *out)
{
	struct fsck *f = kzalloc(sizeof(*f));
	int error;

	if (!f)
		return -ENOMEM;
	*out = (struct fsck_result){ 0 };
	f->options = o;
	f->result = out;
	error = recover(f, d);
	if (!error)
		error = blkdev_claim(d);
	if (!error) {
		error = disk_open(f, d);
		if (!error)
			error = check_opened(f);
		disk_close(f);
		blkdev_release(d);
	}
	kfree(f);
	return error;
}
