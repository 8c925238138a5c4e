/*
 * File workloads for power cuts: the judge.
 *
 * A worker's operations follow each other, so what a cut leaves of them must be one of its states:
 * not one that is older than what it was promised by fsync or sync, and with all its files as they
 * were then. So
 *
 *   - everything synced is there;
 *   - a rename shows the old or the new name, never both or none, and replacing a file by one that
 *     was just written never leaves it empty or half;
 *   - no file has bytes of another.
 *
 * A write of several pages may be seen in part: its state tells between which sizes. Where a file
 * was cut short or got a hole, zeroes may be seen before its new size or map is, as on Linux: bytes
 * are no part of transactions. Bytes that were not synced may be anything with data=writeback, and
 * zeroes with data=journal.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>
#include <core/test.h>
#include <libos/vfs.h>

#include "crash_model.h"

#define LABEL_WRONG 0x100u /* an attribute that is none of ours */

/* What a name leads to, as it is on the disk. */
struct seen {
	uint32_t kind;            /* 0: no such name */
	unsigned label;
	kssize_t size;            /* or an errno */
	uint8_t *bytes;           /* of a file, or where a symbolic link leads */
};

/* ---- looking ---- */

static kssize_t read_file(const char *path, uint8_t *bytes)
{
	struct uio_vec vec = { bytes, CRASH_FILE_MAX };
	struct uio u = {
		.vecs = &vec, .vec_count = 1, .left = CRASH_FILE_MAX, .from_kernel = true
	};
	struct file *f;
	kssize_t n = vfs_open(NULL, path, O_RDONLY, 0, &f);

	if (n)
		return n;
	n = f->ops->read(f, &u);
	file_put(f);
	return n;
}

static unsigned read_label(struct inode *inode)
{
	uint8_t got[CRASH_LABEL_MAX], right[CRASH_LABEL_MAX];
	kssize_t n = inode->ops->xattr_get(inode, "user.label", got, sizeof(got));

	if (n == -ENODATA)
		return 0;
	if (n <= 0 || crash_label(got[0], right) != (size_t)n || memcmp(got, right, (size_t)n))
		return LABEL_WRONG;
	return got[0];
}

static void look_at(unsigned worker, unsigned slot, struct seen *seen)
{
	char path[CRASH_PATH_MAX];
	struct inode *inode;
	struct path at;

	seen->size = vfs_walk(NULL, crash_slot_path(path, worker, slot), 0, &at);
	if (seen->size)
		return;
	inode = path_inode(&at);
	seen->kind = inode_kind(inode);
	seen->label = seen->kind == S_IFLNK ? 0 : read_label(inode);
	if (seen->kind == S_IFREG)
		seen->size = read_file(path, seen->bytes);
	else if (seen->kind == S_IFLNK)
		seen->size = inode->ops->read_link(inode, (char *)seen->bytes, CRASH_FILE_MAX);
	path_put(&at);
}

/* ---- bytes ---- */

/* What else the bytes of a file may be, seen in one of its worker's states. */
struct leeway {
	unsigned kept;              /* bytes from here on may have become zeroes already */
	unsigned sure;              /* bytes from here on may be what the mode allows */
	unsigned zero_from, zero_to;/* these, too, may be zeroes already */
	bool any;                   /* the mode allows anything, not just zeroes */
};

static const struct crash_slot *slot_of(const struct crash_state *s, unsigned file)
{
	for (unsigned i = 0; i < CRASH_SLOTS; i++) {
		if (s->slot[i].file == file)
			return &s->slot[i];
	}
	return NULL;
}

/* By what later states do to the file. */
static struct leeway leeway_later(const struct crash_worker *w, unsigned state, unsigned file)
{
	struct leeway l = { CRASH_FILE_MAX, CRASH_FILE_MAX, CRASH_FILE_MAX, 0, false };

	for (unsigned n = state; n <= w->last; n++) {
		const struct crash_slot *s = slot_of(&w->states[n], file);

		if (!s)
			continue;
		l.kept = MIN(l.kept, s->size);
		if (s->hole_to) {
			l.zero_from = MIN(l.zero_from, s->hole_from);
			l.zero_to = MAX(l.zero_to, s->hole_to);
		}
	}
	return l;
}

/* How many of the file's bytes were synced, and not cut off since. */
static unsigned synced_bytes(const struct crash_worker *w, const struct crash_promise *p,
			     unsigned file)
{
	unsigned from = MAX(p->all, p->of[file]), synced = CRASH_FILE_MAX;

	for (unsigned n = from; n <= w->last; n++) {
		const struct crash_slot *s = slot_of(&w->states[n], file);

		if (n == from && !s)
			return 0;
		if (s)
			synced = MIN(synced, s->size);
	}
	return synced;
}

static bool byte_fits(const struct crash_slot *s, const struct leeway *l, uint8_t byte,
		      uint8_t right, unsigned at)
{
	bool in_hole = at >= s->hole_from && at < s->hole_to;

	if (!byte)
		return in_hole || at >= MIN(l->kept, l->sure) ||
		       (at >= l->zero_from && at < l->zero_to);
	return byte == right;
}

static bool bytes_fit(const struct crash_worker *w, const struct crash_slot *s,
		      const struct leeway *l, const struct seen *seen)
{
	unsigned end = (unsigned)seen->size;

	if (l->any)
		end = MIN(end, l->sure);
	for (unsigned at = 0; at < end; at++) {
		if (!byte_fits(s, l, seen->bytes[at], crash_byte(w->number, s->file, at), at))
			return false;
	}
	return true;
}

/* ---- states ---- */

struct judge {
	const struct crash_worker *w;
	const struct crash_promise *promise;
	enum crash_bytes mode;
	struct seen seen[CRASH_SLOTS];
};

static bool file_fits(const struct judge *j, unsigned state, unsigned slot)
{
	const struct crash_state *s = &j->w->states[state];
	const struct seen *seen = &j->seen[slot];
	unsigned file = s->slot[slot].file;
	bool grows = s->growing >= 0 && s->slot[s->growing].file == file;
	kssize_t least = grows ? s->from : s->slot[slot].size;
	struct leeway l;

	if (seen->size < least || seen->size > s->slot[slot].size)
		return false;
	l = leeway_later(j->w, state, file);
	l.any = j->mode == CRASH_ANY_BYTES;
	if (j->mode != CRASH_OWN_BYTES)
		l.sure = synced_bytes(j->w, j->promise, file);
	return bytes_fit(j->w, &s->slot[slot], &l, seen);
}

static bool target_fits(const struct judge *j, unsigned state, unsigned slot)
{
	char target[256];
	size_t len = crash_target(j->w->number, j->w->states[state].slot[slot].file, target);

	return j->seen[slot].size == (kssize_t)len && !memcmp(j->seen[slot].bytes, target, len);
}

static bool slot_fits(const struct judge *j, unsigned state, unsigned slot)
{
	const struct crash_slot *s = &j->w->states[state].slot[slot];
	const struct seen *seen = &j->seen[slot];

	if (seen->kind != s->kind || seen->label != s->label)
		return false;
	if (s->kind == S_IFREG)
		return file_fits(j, state, slot);
	return s->kind != S_IFLNK || target_fits(j, state, slot);
}

static bool state_fits(const struct judge *j, unsigned state)
{
	for (unsigned i = 0; i < CRASH_SLOTS; i++) {
		if (!slot_fits(j, state, i))
			return false;
	}
	return true;
}

/* ---- what a failure is told by ---- */

/* Whose bytes these are, if of one file; 0: of none, or none. */
static unsigned file_of(const struct judge *j, const struct seen *seen)
{
	for (unsigned file = 1; seen->size > 0 && file <= j->w->files; file++) {
		kssize_t at = 0;

		while (at < seen->size &&
		       (!seen->bytes[at] ||
			seen->bytes[at] == crash_byte(j->w->number, file, (unsigned)at)))
			at++;
		if (at == seen->size)
			return file;
	}
	return 0;
}

static unsigned misfits(const struct judge *j, unsigned state)
{
	unsigned n = 0;

	for (unsigned i = 0; i < CRASH_SLOTS; i++)
		n += !slot_fits(j, state, i);
	return n;
}

static void print_state(const struct judge *j, unsigned n)
{
	const struct crash_state *s = &j->w->states[n];

	test_print("state %u:", n);
	for (unsigned i = 0; i < CRASH_SLOTS; i++)
		test_print(" %s%o-%u:%u(%u-%u)%u", slot_fits(j, n, i) ? "" : "!",
			   s->slot[i].kind >> 12, s->slot[i].file, s->slot[i].size,
			   s->slot[i].hole_from, s->slot[i].hole_to, s->slot[i].label);
	if (s->growing >= 0)
		test_print(" %d grows from %u", s->growing, s->from);
	test_print("\n");
}

/* What is there, and the states that are nearly so. */
static void explain(const struct judge *j)
{
	unsigned least = CRASH_SLOTS;

	test_print("worker %u, promised %u of %u, kind-file:size(hole)label by name\nseen:",
		   j->w->number, j->promise->state, j->w->last);
	for (unsigned i = 0; i < CRASH_SLOTS; i++)
		test_print(" %o-%u:%ld()%u", j->seen[i].kind >> 12, file_of(j, &j->seen[i]),
			   (long)j->seen[i].size, j->seen[i].label);
	test_print("\n");
	for (unsigned n = 0; n <= j->w->last; n++)
		least = MIN(least, misfits(j, n));
	for (unsigned n = 0; n <= j->w->last; n++) {
		if (misfits(j, n) == least)
			print_state(j, n);
	}
}

static const char *judge_seen(const struct judge *j)
{
	for (unsigned state = j->promise->state; state <= j->w->last; state++) {
		if (state_fits(j, state))
			return NULL;
	}
	explain(j);
	for (unsigned state = 0; state < j->promise->state; state++) {
		if (state_fits(j, state))
			return "what was synced is lost";
	}
	return "names and files are as they never were";
}

const char *crash_judge(const struct crash_worker *w, const struct crash_promise *promise,
			enum crash_bytes mode)
{
	struct judge j = { .w = w, .promise = promise, .mode = mode };
	const char *wrong = NULL;

	for (unsigned i = 0; i < CRASH_SLOTS && !wrong; i++) {
		j.seen[i].bytes = kmalloc(CRASH_FILE_MAX);
		if (!j.seen[i].bytes)
			wrong = "no memory";
		else
			look_at(w->number, i, &j.seen[i]);
		if (!wrong && j.seen[i].size < 0 && j.seen[i].size != -ENOENT)
			wrong = "a file cannot be read";
	}
	if (!wrong)
		wrong = judge_seen(&j);
	for (unsigned i = 0; i < CRASH_SLOTS; i++)
		kfree(j.seen[i].bytes);
	return wrong;
}
