/*
 * File workloads for power cuts: the workers. Each has a folder with a few names, a folder below
 * it, and files whose bytes tell which file they are of. It notes the state of all its names after
 * each operation, and in the disk's history what it was promised. What may be seen after a cut is
 * the judge's matter.
 */
#include <core/errno.h>
#include <core/fmt.h>
#include <core/string.h>
#include <libos/vfs.h>

#include "crash_acts.h"

#define KEEP_SIZE  1
#define PUNCH_HOLE 2
#define ZERO_RANGE 16

static unsigned pick(struct crash_worker *w, unsigned limit)
{
	w->random = w->random * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(w->random >> 33) % limit;
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

static bool has_room(const struct crash_worker *w)
{
	return w->last + 4 < CRASH_STATES;
}

static void add_promise(struct crash_promise *p, unsigned state, unsigned file)
{
	uint16_t *bytes = file ? &p->of[file] : &p->all;

	p->state = MAX(p->state, (uint16_t)state);
	*bytes = MAX(*bytes, (uint16_t)state);
}

/* All that happened up to `state`, and of `file` its bytes (0: of all files). */
static void promise(struct crash_worker *w, unsigned state, unsigned file)
{
	add_promise(&w->promise, state, file);
	recdev_mark(w->disk, (uint64_t)w->number << 48 | (uint64_t)file << 16 | state);
}

void crash_promised(struct crash_promise *promises, uint64_t mark)
{
	add_promise(&promises[mark >> 48], (uint16_t)mark, (uint16_t)(mark >> 16));
}

static const struct crash_slot *now_at(const struct crash_worker *w, unsigned slot)
{
	return &w->states[w->last].slot[slot];
}

/* All names of the file show `as`. */
static void change_all(struct crash_state *s, struct crash_slot as)
{
	for (unsigned i = 0; i < CRASH_SLOTS; i++) {
		if (s->slot[i].file == as.file)
			s->slot[i] = as;
	}
}

static void set_size(struct crash_state *s, unsigned slot, unsigned size)
{
	struct crash_slot as = s->slot[slot];

	as.size = (uint16_t)size;
	as.hole_to = (uint16_t)MIN(as.hole_to, size);
	as.hole_from = as.hole_from < as.hole_to ? as.hole_from : 0;
	as.hole_to = as.hole_from < as.hole_to ? as.hole_to : 0;
	change_all(s, as);
}

/* ---- what workers do; each operation ends with its state ---- */

/* Appends. */
static int grow(struct crash_worker *w, struct file *f, unsigned slot)
{
	struct crash_state *s = state_next(w);
	unsigned file = s->slot[slot].file, from = s->slot[slot].size;
	unsigned more = 1 + (pick(w, 3) ? pick(w, 1500) : pick(w, 6000)),
		 to = MIN(from + more, CRASH_FILE_MAX);
	int error;

	if (from == to)
		return 0;
	s->growing = (int)slot;
	s->from = (uint16_t)from;
	set_size(s, slot, to);
	error = crash_write_bytes(f, w->number, file, from, to);
	state_done(w, file);
	return error;
}

static int open_at(struct crash_worker *w, unsigned slot, uint32_t flags, struct file **out)
{
	char path[CRASH_PATH_MAX];

	return vfs_open(NULL, crash_slot_path(path, w->number, slot), O_RDWR | flags, 0644, out);
}

static int make_file(struct crash_worker *w, unsigned slot)
{
	struct crash_state *s = state_next(w);
	struct file *f;
	int error = open_at(w, slot, O_CREAT | O_EXCL, &f);

	s->slot[slot] = (struct crash_slot){ .file = ++w->files, .kind = S_IFREG };
	state_done(w, w->files); /* even then: it may be there, and could not be opened any more */
	if (error)
		return error;
	error = grow(w, f, slot);
	file_put(f);
	return error;
}

/* Written before it has a name, which it gets with all its bytes; now and then it gets none. */
static int make_nameless(struct crash_worker *w, unsigned slot)
{
	unsigned size = 1 + pick(w, 5000), file = ++w->files;
	char path[CRASH_PATH_MAX];
	struct crash_state *s;
	struct path at;
	struct file *f;
	int error;

	fmt_print(path, sizeof(path), "/t/w%u", w->number);
	error = vfs_open(NULL, path, O_TMPFILE | O_RDWR, 0600, &f);
	if (error)
		return error;
	error = crash_write_bytes(f, w->number, file, 0, size);
	if (!error && pick(w, 4)) {
		at = *file_path(f);
		s = state_next(w);
		s->slot[slot] = (struct crash_slot){
			.file = (uint16_t)file, .size = (uint16_t)size, .kind = S_IFREG
		};
		error = vfs_link(&at, NULL, crash_slot_path(path, w->number, slot));
		state_done(w, file);
	}
	file_put(f);
	return error;
}

static int make_other(struct crash_worker *w, unsigned slot, uint32_t kind)
{
	struct crash_state *s = state_next(w);
	unsigned file = ++w->files;
	char path[CRASH_PATH_MAX], target[256];
	int error;

	s->slot[slot] = (struct crash_slot){ .file = (uint16_t)file, .kind = kind };
	crash_target(w->number, file, target);
	error = vfs_create(NULL, crash_slot_path(path, w->number, slot), kind | 0755, 0,
			   kind == S_IFLNK ? target : NULL);
	state_done(w, file);
	return error;
}

static int make(struct crash_worker *w, unsigned slot)
{
	switch (pick(w, 8)) {
	case 0:
		return make_other(w, slot, S_IFDIR);
	case 1:
		return make_other(w, slot, S_IFLNK);
	case 2:
		return make_nameless(w, slot);
	default:
		return make_file(w, slot);
	}
}

/* Writes what is there once more. */
static int rewrite(struct crash_worker *w, struct file *f, const struct crash_slot *s)
{
	unsigned end = s->hole_to ? s->hole_from : s->size, from;

	if (!end)
		return 0;
	from = pick(w, end);
	return crash_write_bytes(f, w->number, s->file, from, from + 1 + pick(w, end - from));
}

/* A hole or zeroes, in a file that has none. */
static int make_zeroes(struct crash_worker *w, struct file *f, unsigned slot)
{
	struct crash_state *s = state_next(w);
	struct crash_slot as = s->slot[slot];
	int mode = pick(w, 2) ? PUNCH_HOLE | KEEP_SIZE : ZERO_RANGE | KEEP_SIZE, error;

	if (as.hole_to || !as.size)
		return crash_allocate(f, KEEP_SIZE, as.size, as.size + 1 + pick(w, 6000));
	as.hole_from = (uint16_t)pick(w, as.size);
	as.hole_to = (uint16_t)(as.hole_from + 1 + pick(w, as.size - as.hole_from));
	change_all(s, as);
	error = crash_allocate(f, mode, as.hole_from, as.hole_to);
	state_done(w, as.file);
	return error;
}

/* Zeroes at the end. */
static int extend(struct crash_worker *w, struct file *f, unsigned slot)
{
	struct crash_state *s = state_next(w);
	struct crash_slot as = s->slot[slot];
	unsigned size = as.size + 1 + pick(w, 3000);
	char path[CRASH_PATH_MAX];
	int error;

	if (as.hole_to || size > CRASH_FILE_MAX)
		return 0;
	as.hole_from = as.size;
	as.size = as.hole_to = (uint16_t)size;
	change_all(s, as);
	error = pick(w, 2) ? crash_allocate(f, 0, as.hole_from, size) :
			     crash_change_size(crash_slot_path(path, w->number, slot), size);
	state_done(w, as.file);
	return error;
}

static int write_somehow(struct crash_worker *w, struct file *f, unsigned slot)
{
	switch (pick(w, 10)) {
	case 0:
		return 0;
	case 1:
		return make_zeroes(w, f, slot);
	case 2:
		return extend(w, f, slot);
	case 3:
		return rewrite(w, f, now_at(w, slot));
	default:
		return grow(w, f, slot);
	}
}

/* Changes a file's bytes, and perhaps syncs. */
static int change_bytes(struct crash_worker *w, unsigned slot)
{
	unsigned file = now_at(w, slot)->file, changed;
	struct file *f;
	int error = open_at(w, slot, 0, &f);

	if (error)
		return error;
	error = write_somehow(w, f, slot);
	changed = w->changed[file];
	if (!error && pick(w, 3) == 0) {
		error = crash_sync_file(f);
		if (!error)
			promise(w, changed, file);
	}
	file_put(f);
	return error;
}

static int shorten(struct crash_worker *w, unsigned slot)
{
	struct crash_state *s = state_next(w);
	unsigned file = s->slot[slot].file, size = pick(w, s->slot[slot].size + 1u);
	char path[CRASH_PATH_MAX];
	int error;

	set_size(s, slot, size);
	error = crash_change_size(crash_slot_path(path, w->number, slot), size);
	state_done(w, file);
	return error;
}

static bool has_name(const struct crash_worker *w, unsigned file)
{
	for (unsigned i = 0; i < CRASH_SLOTS; i++) {
		if (now_at(w, i)->file == file)
			return true;
	}
	return false;
}

/* While it is open, perhaps: then it is an orphan for a while. */
static int remove_file(struct crash_worker *w, unsigned slot)
{
	struct crash_state *s = state_next(w);
	struct crash_slot was = s->slot[slot];
	struct file *f = NULL;
	char path[CRASH_PATH_MAX];
	int error = was.kind != S_IFREG || pick(w, 3) ? 0 : open_at(w, slot, 0, &f);

	s->slot[slot] = (struct crash_slot){ 0 };
	if (!error)
		error = vfs_unlink(NULL, crash_slot_path(path, w->number, slot),
				   was.kind == S_IFDIR);
	state_done(w, was.file);
	if (f && !error && !has_name(w, was.file))
		error = crash_write_bytes(f, w->number, was.file, 0, 700);
	thread_yield();
	if (f)
		file_put(f);
	return error;
}

/* To a name that may be taken: then that is replaced, or the two change places. */
static int rename_file(struct crash_worker *w, unsigned from, unsigned to, bool exchange)
{
	struct crash_state *s = state_next(w);
	struct crash_slot moved = s->slot[from], other = s->slot[to];
	char old[CRASH_PATH_MAX], new[CRASH_PATH_MAX];
	int error;

	if (moved.file == other.file) /* two names of one file: nothing happens */
		return 0;
	s->slot[to] = moved;
	s->slot[from] = exchange ? other : (struct crash_slot){ 0 };
	error = vfs_rename(NULL, crash_slot_path(old, w->number, from), NULL,
			   crash_slot_path(new, w->number, to), exchange ? RENAME_EXCHANGE : 0);
	state_done(w, moved.file);
	return error;
}

static int rename_somehow(struct crash_worker *w, unsigned from, unsigned to)
{
	bool taken = now_at(w, to)->file;
	bool alike = (now_at(w, to)->kind == S_IFDIR) == (now_at(w, from)->kind == S_IFDIR);

	return from == to ? 0 : rename_file(w, from, to, taken && (!alike || pick(w, 4) == 0));
}

static int link_to(struct crash_worker *w, unsigned from, unsigned to)
{
	struct crash_state *s = state_next(w);
	char old[CRASH_PATH_MAX], new[CRASH_PATH_MAX];
	int error;

	s->slot[to] = s->slot[from];
	error = crash_link_file(crash_slot_path(old, w->number, from),
				crash_slot_path(new, w->number, to));
	state_done(w, s->slot[to].file);
	return error;
}

static int relabel(struct crash_worker *w, unsigned slot)
{
	struct crash_state *s = state_next(w);
	struct crash_slot as = s->slot[slot];
	char path[CRASH_PATH_MAX];
	int error;

	as.label = as.label && pick(w, 3) == 0 ? 0 : (uint8_t)(1 + pick(w, 200));
	change_all(s, as);
	error = crash_set_label(crash_slot_path(path, w->number, slot), as.label);
	state_done(w, as.file);
	return error;
}

/* As editors do it: a new file is written, then takes the old one's name; nothing is synced. */
static int replace_file(struct crash_worker *w, unsigned spare, unsigned slot)
{
	int error = make_file(w, spare);

	return error ? error : rename_file(w, spare, slot, false);
}

static int make_and_remove_folder(struct crash_worker *w)
{
	char path[CRASH_PATH_MAX];
	int error;

	fmt_print(path, sizeof(path), "/t/w%u/s/folder", w->number);
	error = crash_make_folder(path);
	thread_yield();
	return error ? error : vfs_unlink(NULL, path, true);
}

static int sync_all(struct crash_worker *w)
{
	unsigned state = w->last;
	int error = vfs_sync_all();

	if (!error)
		promise(w, state, 0);
	return error;
}

static int operate_on_file(struct crash_worker *w, unsigned a, unsigned b)
{
	bool taken = now_at(w, b)->file;

	switch (pick(w, 7)) {
	case 0:
		return shorten(w, a);
	case 1:
		return relabel(w, a);
	case 2:
		return taken ? change_bytes(w, a) : link_to(w, a, b);
	case 3:
		return taken ? change_bytes(w, a) : replace_file(w, b, a);
	default:
		return change_bytes(w, a);
	}
}

static int operate(struct crash_worker *w)
{
	unsigned a = pick(w, CRASH_SLOTS), b = pick(w, CRASH_SLOTS), what = pick(w, 30);

	if (what < 2)
		return make_and_remove_folder(w);
	if (what == 2)
		return sync_all(w);
	if (!now_at(w, a)->file)
		return make(w, a);
	if (what < 7)
		return remove_file(w, a);
	if (what < 12)
		return rename_somehow(w, a, b);
	if (now_at(w, a)->kind == S_IFREG)
		return operate_on_file(w, a, b);
	return now_at(w, a)->kind == S_IFDIR ? relabel(w, a) : rename_somehow(w, a, b);
}

static void run(void *arg)
{
	struct crash_worker *w = arg;

	for (unsigned i = 0; i < CRASH_STATES && has_room(w) && !w->error; i++)
		w->error = operate(w);
}

int crash_work(struct crash_worker *workers, struct recdev *disk, uint64_t seed)
{
	static const struct thread_attr attr = {
		.name = "worker", .priority = THREAD_PRIORITY_APP, .hart = -1
	};
	int error = 0;

	for (unsigned i = 0; i < CRASH_WORKERS; i++) {
		workers[i] = (struct crash_worker){
			.number = i, .random = seed * 37 + i, .disk = disk
		};
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
