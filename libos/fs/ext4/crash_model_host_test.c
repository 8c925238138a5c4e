/*
 * File workloads for power cuts. Each worker has a folder with a few names, a folder below it, and files whose
 * bytes tell which file they are of. It notes the state of all its names after each operation.
 *
 * A worker's operations follow each other, so what a cut leaves of them must be one of its states: not one that
 * is older than what it was promised by fsync or sync, and with all its files as they were then. So
 *
 *   - everything synced is there;
 *   - a rename shows the old or the new name, never both or none, and replacing a file by one that was
 *     just written never leaves it empty or half;
 *   - no file has bytes of another.
 *
 * A write of several pages may be seen in part: its state tells between which sizes. And where a file was cut
 * short, zeroes may be seen before its new size is, as on Linux: bytes are no part of transactions.
 */
#include "crash_model.h"

#include <core/errno.h>
#include <core/fmt.h>
#include <core/kmem.h>
#include <core/string.h>
#include <core/test.h>
#include <libos/vfs.h>

#define FILE_MAX 9000u
#define PATH_SIZE 32u

static uint8_t byte_of(unsigned worker, unsigned file, unsigned at)
{
	return (uint8_t)(1 + (worker * 83 + file * 29 + at * 3 + (at >> 8) * 7) % 251);
}

static unsigned pick(struct crash_worker *w, unsigned limit)
{
	w->random = w->random * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(w->random >> 33) % limit;
}

/* Half of the names lie in a folder below; slot CRASH_SLOTS is a name for what is not there for long. */
static const char *slot_path(char *out, unsigned worker, unsigned slot)
{
	fmt_print(out, PATH_SIZE, slot % 2 ? "/t/w%u/s/a-rather-long-n%u" : "/t/w%u/f%u", worker, slot);
	return out;
}

/* ---- operations of the VFS, by path ---- */

static int make_folder(const char *path)
{
	return vfs_create(NULL, path, S_IFDIR | 0755, 0, NULL);
}

int crash_prepare(void)
{
	char path[PATH_SIZE];
	int error = 0;

	for (unsigned i = 0; i < CRASH_WORKERS && !error; i++) {
		fmt_print(path, sizeof(path), "/t/w%u", i);
		error = make_folder(path);
		fmt_print(path, sizeof(path), "/t/w%u/s", i);
		error = error ? error : make_folder(path);
	}
	return error;
}

static int sync_file(struct file *f)
{
	return f->ops->sync ? f->ops->sync(f, false) : -EINVAL;
}

/* Writes [from, to) of the file's bytes. */
static int write_bytes(struct file *f, unsigned worker, unsigned file, unsigned from, unsigned to)
{
	uint8_t *bytes = kmalloc(FILE_MAX);
	struct uio_vec vec = { bytes, to - from };
	struct uio u = { .vecs = &vec, .vec_count = 1, .left = to - from, .offset = from, .from_kernel = true };
	kssize_t n = -ENOMEM;

	for (unsigned at = from; bytes && at < to; at++)
		bytes[at - from] = byte_of(worker, file, at);
	if (bytes)
		n = f->ops->write(f, &u);
	kfree(bytes);
	return n < 0 ? (int)n : n == (kssize_t)(to - from) ? 0 : -EIO;
}

static int change_size(const char *path, unsigned size)
{
	struct attr_change a = { .mask = ATTR_SIZE, .size = size };
	struct path at;
	int error = vfs_walk(NULL, path, WALK_FOLLOW, &at);

	if (error)
		return error;
	error = vfs_change(&at, &a);
	path_put(&at);
	return error;
}

static int link_file(const char *from, const char *to)
{
	struct path at;
	int error = vfs_walk(NULL, from, 0, &at);

	if (error)
		return error;
	error = vfs_link(&at, NULL, to);
	path_put(&at);
	return error;
}

/* ---- states ---- */

/* The next state, a copy of the last one; it counts from state_done() on. */
static struct crash_state *state_next(struct crash_worker *w)
{
	struct crash_state *s = &w->states[w->last + 1];

	*s = w->states[w->last];
	s->growing = -1;
	return s;
}

static void state_done(struct crash_worker *w, unsigned file)
{
	w->last++;
	w->changed[file] = (uint16_t)w->last;
}

static void promise(struct crash_worker *w, unsigned state)
{
	w->promised = MAX(w->promised, state);
	recdev_mark(w->disk, (uint64_t)w->number << 32 | state);
}

static void promise_file(struct crash_worker *w, unsigned slot, unsigned state)
{
	const struct crash_slot *at = &w->states[w->last].slot[slot];

	promise(w, state);
	w->synced[at->file] = at->size;
}

static bool has_room(const struct crash_worker *w)
{
	return w->last + 4 < CRASH_STATES;
}

/* ---- what workers do; each operation ends with its state ---- */

static void set_sizes(struct crash_state *s, unsigned file, unsigned size)
{
	for (unsigned i = 0; i < CRASH_SLOTS; i++) {
		if (s->slot[i].file == file)
			s->slot[i].size = (uint16_t)size;
	}
}

/* Appends, and perhaps syncs. */
static int grow(struct crash_worker *w, struct file *f, unsigned slot)
{
	struct crash_state *s = state_next(w);
	unsigned file = s->slot[slot].file, from = s->slot[slot].size;
	unsigned more = 1 + (pick(w, 3) ? pick(w, 1500) : pick(w, 6000)), to = MIN(from + more, FILE_MAX);
	int error;

	if (from == to)
		return 0;
	s->growing = (int)slot;
	s->from = (uint16_t)from;
	set_sizes(s, file, to);
	error = write_bytes(f, w->number, file, from, to);
	state_done(w, file);
	return error;
}

static int open_at(struct crash_worker *w, unsigned slot, uint32_t flags, struct file **out)
{
	char path[PATH_SIZE];

	return vfs_open(NULL, slot_path(path, w->number, slot), O_RDWR | flags, 0644, out);
}

static int make_file(struct crash_worker *w, unsigned slot)
{
	struct crash_state *s = state_next(w);
	struct file *f;
	int error = open_at(w, slot, O_CREAT | O_EXCL, &f);

	if (error)
		return error;
	s->slot[slot] = (struct crash_slot){ ++w->files, 0 };
	state_done(w, w->files);
	error = grow(w, f, slot);
	file_put(f);
	return error;
}

static int append(struct crash_worker *w, unsigned slot)
{
	unsigned file = w->states[w->last].slot[slot].file, changed;
	struct file *f;
	int error = open_at(w, slot, 0, &f);

	if (error)
		return error;
	if (pick(w, 4))
		error = grow(w, f, slot);
	changed = w->changed[file];
	if (!error && pick(w, 3) == 0) {
		error = sync_file(f);
		if (!error)
			promise_file(w, slot, changed);
	}
	file_put(f);
	return error;
}

static int shorten(struct crash_worker *w, unsigned slot)
{
	struct crash_state *s = state_next(w);
	unsigned file = s->slot[slot].file, size = pick(w, s->slot[slot].size + 1u);
	char path[PATH_SIZE];
	int error;

	set_sizes(s, file, size);
	w->synced[file] = MIN(w->synced[file], (uint16_t)size);
	error = change_size(slot_path(path, w->number, slot), size);
	state_done(w, file);
	return error;
}

static bool has_name(const struct crash_worker *w, unsigned file)
{
	for (unsigned i = 0; i < CRASH_SLOTS; i++) {
		if (w->states[w->last].slot[i].file == file)
			return true;
	}
	return false;
}

/* While it is open, perhaps: then it is an orphan for a while. */
static int remove_file(struct crash_worker *w, unsigned slot)
{
	struct crash_state *s = state_next(w);
	unsigned file = s->slot[slot].file;
	struct file *f = NULL;
	char path[PATH_SIZE];
	int error = pick(w, 3) ? 0 : open_at(w, slot, 0, &f);

	s->slot[slot] = (struct crash_slot){ 0, 0 };
	if (!error)
		error = vfs_unlink(NULL, slot_path(path, w->number, slot), false);
	state_done(w, file);
	if (f && !error && !has_name(w, file))
		error = write_bytes(f, w->number, file, 0, 700);
	thread_yield();
	if (f)
		file_put(f);
	return error;
}

/* Of a name that may be taken: then it is replaced. */
static int rename_file(struct crash_worker *w, unsigned from, unsigned to)
{
	struct crash_state *s = state_next(w);
	unsigned file = s->slot[from].file;
	char old[PATH_SIZE], new[PATH_SIZE];
	int error;

	if (file == s->slot[to].file) /* two names of one file: nothing happens */
		return 0;
	s->slot[to] = s->slot[from];
	s->slot[from] = (struct crash_slot){ 0, 0 };
	error = vfs_rename(NULL, slot_path(old, w->number, from), NULL, slot_path(new, w->number, to), 0);
	state_done(w, file);
	return error;
}

static int link_to(struct crash_worker *w, unsigned from, unsigned to)
{
	struct crash_state *s = state_next(w);
	char old[PATH_SIZE], new[PATH_SIZE];
	int error;

	s->slot[to] = s->slot[from];
	error = link_file(slot_path(old, w->number, from), slot_path(new, w->number, to));
	state_done(w, s->slot[to].file);
	return error;
}

/* As editors do it: a new file is written, then takes the old one's name; nothing is synced. */
static int replace_file(struct crash_worker *w, unsigned spare, unsigned slot)
{
	int error = make_file(w, spare);

	return error ? error : rename_file(w, spare, slot);
}

static int make_and_remove_folder(struct crash_worker *w)
{
	char path[PATH_SIZE];
	int error;

	fmt_print(path, sizeof(path), "/t/w%u/s/folder", w->number);
	error = make_folder(path);
	thread_yield();
	return error ? error : vfs_unlink(NULL, path, true);
}

static int operate(struct crash_worker *w)
{
	const struct crash_state *now = &w->states[w->last];
	unsigned a = pick(w, CRASH_SLOTS), b = pick(w, CRASH_SLOTS), state = w->last;
	int error;

	switch (pick(w, 10)) {
	case 0:
		return make_and_remove_folder(w);
	case 1:
		if (pick(w, 3))
			return 0;
		error = vfs_sync_all();
		if (!error)
			promise(w, state);
		return error;
	default:
		break;
	}
	if (!now->slot[a].file)
		return make_file(w, a);
	switch (pick(w, 6)) {
	case 0:
		return shorten(w, a);
	case 1:
		return remove_file(w, a);
	case 2:
		return a == b ? 0 : rename_file(w, a, b);
	case 3:
		return now->slot[b].file ? append(w, a) : link_to(w, a, b);
	case 4:
		return now->slot[b].file ? append(w, a) : replace_file(w, b, a);
	default:
		return append(w, a);
	}
}

static void run(void *arg)
{
	struct crash_worker *w = arg;

	for (unsigned i = 0; i < CRASH_STATES && has_room(w) && !w->error; i++)
		w->error = operate(w);
}

int crash_work(struct crash_worker *workers, struct recdev *disk, uint64_t seed)
{
	static const struct thread_attr attr = { .name = "worker", .priority = THREAD_PRIORITY_APP, .hart = -1 };
	int error = 0;

	for (unsigned i = 0; i < CRASH_WORKERS; i++) {
		workers[i] = (struct crash_worker){ .number = i, .random = seed * 37 + i, .disk = disk };
		workers[i].states[0].growing = -1;
		if (thread_create(&attr, run, &workers[i], 0, &workers[i].thread) != 0)
			return -ENOMEM;
		thread_start(workers[i].thread);
	}
	for (unsigned i = 0; i < CRASH_WORKERS; i++) {
		thread_join(workers[i].thread);
		error = error ? error : workers[i].error;
	}
	return error;
}

/* ---- judging ---- */

/* The bytes of a name, at most FILE_MAX: how many, or an errno. */
static kssize_t read_slot(unsigned worker, unsigned slot, uint8_t *bytes)
{
	char path[PATH_SIZE];
	struct uio_vec vec = { bytes, FILE_MAX };
	struct uio u = { .vecs = &vec, .vec_count = 1, .left = FILE_MAX, .from_kernel = true };
	struct file *f;
	kssize_t n = vfs_open(NULL, slot_path(path, worker, slot), O_RDONLY, 0, &f);

	if (n)
		return n;
	n = f->ops->read(f, &u);
	file_put(f);
	return n;
}

struct seen {
	uint8_t *bytes[CRASH_SLOTS];
	kssize_t size[CRASH_SLOTS]; /* -ENOENT: no such name */
};

/* The least size that a file has after a state. */
static unsigned least_later(const struct crash_worker *w, unsigned state, unsigned file)
{
	unsigned least = FILE_MAX;

	for (unsigned n = state; n <= w->last; n++) {
		for (unsigned i = 0; i < CRASH_SLOTS; i++) {
			if (w->states[n].slot[i].file == file)
				least = MIN(least, w->states[n].slot[i].size);
		}
	}
	return least;
}

/* Shortening writes zeroes behind the new end, which may be on the disk before the new size is. */
static bool bytes_fit(const struct crash_worker *w, unsigned state, unsigned file, const uint8_t *bytes, kssize_t size)
{
	kssize_t kept = least_later(w, state, file);

	if (w->may_lack_bytes)
		size = MIN(MIN(size, kept), (kssize_t)w->synced[file]);
	for (kssize_t at = 0; at < size; at++) {
		if (bytes[at] != byte_of(w->number, file, (unsigned)at) && (bytes[at] || at < kept))
			return false;
	}
	return true;
}

static bool slot_fits(const struct crash_worker *w, unsigned state, unsigned slot, const struct seen *seen)
{
	const struct crash_state *s = &w->states[state];
	unsigned file = s->slot[slot].file;
	bool grows = s->growing >= 0 && s->slot[s->growing].file == file;
	kssize_t size = seen->size[slot], least = grows ? s->from : s->slot[slot].size;

	if (!file)
		return size == -ENOENT;
	if (size < least || size > s->slot[slot].size)
		return false;
	return bytes_fit(w, state, file, seen->bytes[slot], size);
}

static bool state_fits(const struct crash_worker *w, unsigned state, const struct seen *seen)
{
	for (unsigned i = 0; i < CRASH_SLOTS; i++) {
		if (!slot_fits(w, state, i, seen))
			return false;
	}
	return true;
}

/* ---- what a failure is told by ---- */

/* Whose bytes these are, if of one file; 0: of none, or none. */
static unsigned file_of(const struct crash_worker *w, const uint8_t *bytes, kssize_t size)
{
	for (unsigned file = 1; size > 0 && file <= w->files; file++) {
		kssize_t at = 0;

		while (at < size && bytes[at] == byte_of(w->number, file, (unsigned)at))
			at++;
		if (at == size)
			return file;
	}
	return 0;
}

static void explain(const struct crash_worker *w, unsigned promised, const struct seen *seen)
{
	test_print("worker %u, file:size by name; seen is", w->number);
	for (unsigned i = 0; i < CRASH_SLOTS; i++)
		test_print(" %u:%ld", file_of(w, seen->bytes[i], seen->size[i]), (long)seen->size[i]);
	test_print("\nsynced:");
	for (unsigned i = 0; i < CRASH_SLOTS; i++)
		test_print(" %u", w->synced[w->states[w->last].slot[i].file]);
	for (unsigned n = promised; n <= w->last; n++) {
		test_print("\nstate %u:", n);
		for (unsigned i = 0; i < CRASH_SLOTS; i++)
			test_print(" %u:%u", w->states[n].slot[i].file, w->states[n].slot[i].size);
	}
	test_print("\n");
}

static const char *judge_seen(const struct crash_worker *w, unsigned promised, const struct seen *seen)
{
	for (unsigned state = promised; state <= w->last; state++) {
		if (state_fits(w, state, seen))
			return NULL;
	}
	for (unsigned state = 0; state < promised; state++) {
		if (state_fits(w, state, seen))
			return "what was synced is lost";
	}
	explain(w, promised, seen);
	return "names and files are as they never were";
}

const char *crash_judge(const struct crash_worker *w, unsigned promised)
{
	struct seen seen = { 0 };
	const char *wrong = NULL;

	for (unsigned i = 0; i < CRASH_SLOTS && !wrong; i++) {
		seen.bytes[i] = kmalloc(FILE_MAX);
		if (!seen.bytes[i])
			wrong = "no memory";
		else
			seen.size[i] = read_slot(w->number, i, seen.bytes[i]);
		if (!wrong && seen.size[i] < 0 && seen.size[i] != -ENOENT)
			wrong = "a file cannot be read";
	}
	if (!wrong)
		wrong = judge_seen(w, promised, &seen);
	for (unsigned i = 0; i < CRASH_SLOTS; i++)
		kfree(seen.bytes[i]);
	return wrong;
}

static uint64_t mix(uint64_t hash, const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3ull;
	return hash;
}

void crash_look(struct crash_tree *out)
{
	uint8_t *bytes = kmalloc(FILE_MAX);

	*out = (struct crash_tree){ 0 };
	for (unsigned i = 0; bytes && i < CRASH_WORKERS * CRASH_SLOTS; i++) {
		unsigned worker = i / CRASH_SLOTS, slot = i % CRASH_SLOTS;
		kssize_t n = read_slot(worker, slot, bytes);

		out->name[worker][slot].size = (long)n;
		out->name[worker][slot].hash = mix(0xcbf29ce484222325ull, bytes, n > 0 ? (size_t)n : 0);
	}
	kfree(bytes);
}

bool crash_trees_equal(const struct crash_tree *a, const struct crash_tree *b)
{
	bool equal = true;

	for (unsigned i = 0; i < CRASH_WORKERS * CRASH_SLOTS; i++) {
		unsigned worker = i / CRASH_SLOTS, slot = i % CRASH_SLOTS;

		if (a->name[worker][slot].size == b->name[worker][slot].size &&
		    a->name[worker][slot].hash == b->name[worker][slot].hash)
			continue;
		test_print("worker %u, name %u: %ld bytes, and %ld\n", worker, slot,
			   a->name[worker][slot].size, b->name[worker][slot].size);
		equal = false;
	}
	return equal;
}
