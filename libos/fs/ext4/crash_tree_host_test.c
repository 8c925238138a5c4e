/*
 * Power cuts: everything that can be seen of a disk, so that two replays of one journal can be
 * compared. Times are left out, and so is how many blocks a file has: what clears orphans may have
 * its own clock, and keep room.
 */
#include <core/errno.h>
#include <core/fmt.h>
#include <core/kmem.h>
#include <core/string.h>
#include <core/test.h>
#include <libos/vfs.h>

#include "crash_model.h"

#define READ_BYTES KIB(16)
#define LIST_BYTES 512u
#define DEPTH_MAX  6u
#define HASH_BEGIN 0xcbf29ce484222325ull

struct look {
	struct crash_tree *tree;
	uint8_t *bytes;               /* READ_BYTES */
	char path[2 * CRASH_PATH_MAX];/* of the directory */
	bool failed;
};

/* FNV-1a (Fowler, Noll, Vo). */
static uint64_t mix(uint64_t hash, const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3ull;
	return hash;
}

static uint64_t mix_file(uint64_t hash, const char *path, uint8_t *bytes)
{
	struct uio_vec vec = { bytes, READ_BYTES };
	struct uio u = { .vecs = &vec, .vec_count = 1, .left = READ_BYTES, .from_kernel = true };
	struct file *f;
	kssize_t n = vfs_open(NULL, path, O_RDONLY, 0, &f);

	if (!n) {
		n = f->ops->read(f, &u);
		file_put(f);
	}
	hash = mix(hash, &n, sizeof(n));
	return mix(hash, bytes, n > 0 ? (size_t)n : 0);
}

/* Attributes, in the order in which they are listed; 0: there are none. */
static uint64_t attributes_of(struct inode *inode, uint8_t *value)
{
	char names[LIST_BYTES];
	kssize_t len = inode->ops->xattr_list(inode, names, sizeof(names));
	uint64_t hash = HASH_BEGIN;

	if (!len)
		return 0;

	for (kssize_t at = 0; at < len; at += (kssize_t)str_length(names + at) + 1) {
		kssize_t n = inode->ops->xattr_get(inode, names + at, value, READ_BYTES);

		hash = mix(hash, names + at, str_length(names + at) + 1);
		hash = mix(hash, value, n > 0 ? (size_t)n : 0);
	}
	return mix(hash, &len, sizeof(len));
}

static uint64_t hash_of(const char *path, struct inode *inode, uint8_t *bytes)
{
	int64_t is[] = { inode->mode, inode->nlink, inode->uid,
			 inode->gid,  inode->size,  (int64_t)inode->ino };
	uint64_t hash = mix(HASH_BEGIN, is, sizeof(is));
	kssize_t n;

	if (inode_kind(inode) == S_IFREG)
		return mix_file(hash, path, bytes);
	if (inode_kind(inode) != S_IFLNK)
		return hash;
	n = inode->ops->read_link(inode, (char *)bytes, READ_BYTES);
	return mix(hash, bytes, n > 0 ? (size_t)n : 0);
}

static void look_below(struct look *l, struct path *dir, unsigned depth);

/* What `l->path` names. */
static void look_at(struct look *l, unsigned depth)
{
	struct crash_tree *t = l->tree;
	struct crash_name *name = &t->name[t->count];
	struct path at;

	if (t->count == CRASH_NAMES || vfs_walk(NULL, l->path, 0, &at) != 0) {
		l->failed = true;
		return;
	}
	t->count++;
	*name = (struct crash_name){ .attributes = attributes_of(path_inode(&at), l->bytes) };
	name->hash = hash_of(l->path, path_inode(&at), l->bytes);
	fmt_print(name->path, sizeof(name->path), "%s", l->path);
	if (inode_is_dir(path_inode(&at)))
		look_below(l, &at, depth);
	path_put(&at);
}

/* The names of one directory, each ended by a zero. */
struct names {
	struct dir_sink sink;
	size_t used;
	bool full;
	char text[1024];
};

static bool add_name(struct dir_sink *s, const char *name, size_t len, uint64_t ino, uint32_t mode,
		     uint64_t next)
{
	struct names *n = container_of(s, struct names, sink);

	(void)ino, (void)mode, (void)next;
	if (len <= 2 && !memcmp(name, "..", len))
		return true;
	if (n->used + len + 1 > sizeof(n->text)) {
		n->full = true;
		return false;
	}
	memcpy(n->text + n->used, name, len);
	n->used += len;
	n->text[n->used++] = '\0';
	return true;
}

static bool list(struct path *dir, struct names *n)
{
	uint64_t position = 0, before;
	int error;

	do {
		before = position;
		error = path_inode(dir)->ops->iterate(path_inode(dir), &n->sink, &position);
	} while (!error && !n->full && position != before);
	return !error && !n->full;
}

static void look_below(struct look *l, struct path *dir, unsigned depth)
{
	struct names *n = kzalloc(sizeof(*n));
	size_t end = str_length(l->path);

	if (n)
		n->sink.add = add_name;
	if (!n || depth == DEPTH_MAX || !list(dir, n))
		l->failed = true;
	for (size_t at = 0; !l->failed && at < n->used; at += str_length(n->text + at) + 1) {
		fmt_print(l->path + end, sizeof(l->path) - end, "/%s", n->text + at);
		look_at(l, depth + 1);
		l->path[end] = '\0';
	}
	kfree(n);
}

bool crash_look(struct crash_tree *out)
{
	struct look l = { .tree = out, .bytes = kmalloc(READ_BYTES), .path = "/t" };

	out->count = 0;
	if (!l.bytes)
		return false;
	look_at(&l, 0);
	kfree(l.bytes);
	return !l.failed;
}

/* ---- comparing ---- */

typedef bool (*attributes_fit)(const struct crash_name *a, const struct crash_name *b);

static bool fit_if_equal(const struct crash_name *a, const struct crash_name *b)
{
	return a->attributes == b->attributes;
}

static bool fit_if_dropped(const struct crash_name *a, const struct crash_name *b)
{
	return fit_if_equal(a, b) || !a->attributes || !b->attributes;
}

static bool has(const struct crash_tree *t, const struct crash_name *name, attributes_fit fit)
{
	for (unsigned i = 0; i < t->count; i++) {
		if (t->name[i].hash == name->hash && str_equal(t->name[i].path, name->path) &&
		    fit(&t->name[i], name))
			return true;
	}
	return false;
}

static bool contains(const struct crash_tree *a, const struct crash_tree *b, attributes_fit fit,
		     const char *who)
{
	bool all = true;

	for (unsigned i = 0; i < b->count; i++) {
		if (has(a, &b->name[i], fit))
			continue;
		test_print("%s: only the %s has it so\n", b->name[i].path, who);
		all = false;
	}
	return all;
}

static bool equal(const struct crash_tree *a, const struct crash_tree *b, attributes_fit fit)
{
	bool first = contains(a, b, fit, "second"), second = contains(b, a, fit, "first");

	return first && second;
}

bool crash_trees_equal(const struct crash_tree *a, const struct crash_tree *b)
{
	return equal(a, b, fit_if_equal);
}

bool crash_trees_equal_to_e2fsck(const struct crash_tree *ours, const struct crash_tree *theirs)
{
	return equal(ours, theirs, fit_if_dropped);
}
