/*
 * The descriptor table. See fd.h.
 *
 * An array of files and two bitmaps (used, close-on-exec), doubled when full. `lowest_free` is
 * never above the lowest free number, so that a search starts there and looks at 64 numbers at a
 * time.
 *
 * Locks: table.lock, held for a few instructions; nothing beneath. grow_lock orders those who
 * replace the array, which happens seldom and allocates.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>
#include <core/sync.h>
#include <libos/abi.h>

#include "fd.h"
#include "lock_calls.h"

#define FD_FIRST_SIZE 64

struct slots {
	struct file **files;
	uint64_t *used, *cloexec;  /* bit fd */
	unsigned size;             /* a multiple of 64 */
};

static struct {
	struct spinlock lock;
	struct slots slots;        /* [lock] */
	unsigned lowest_free;      /* [lock] */
	unsigned limit;
} table = { .limit = CONFIG_POSIX_FILES_MAX };

static struct mutex grow_lock = MUTEX_INIT(grow_lock);

static bool bit_get(const uint64_t *map, unsigned n)
{
	return map[n / 64] >> (n % 64) & 1;
}

static void bit_set(uint64_t *map, unsigned n, bool value)
{
	uint64_t bit = 1ull << (n % 64);

	map[n / 64] = value ? map[n / 64] | bit : map[n / 64] & ~bit;
}

static bool fd_is_open_locked(int fd)
{
	return (unsigned)fd < table.slots.size && table.slots.files[fd];
}

bool fd_is_open(int fd)
{
	bool open;

	spin_lock(&table.lock);
	open = fd_is_open_locked(fd);
	spin_unlock(&table.lock);
	return open;
}

struct file *fd_get_any(int fd)
{
	struct file *f = NULL;

	spin_lock(&table.lock);
	if (likely((unsigned)fd < table.slots.size) && likely((f = table.slots.files[fd])))
		file_get(f);
	spin_unlock(&table.lock);
	return f;
}

struct file *fd_get(int fd)
{
	struct file *f = fd_get_any(fd);

	if (IS_ENABLED(CONFIG_VFS) && f && unlikely(f->flags & O_PATH)) {
		file_put(f);
		return NULL;
	}
	return f;
}

/* ---- growing ---- */

static void slots_free(struct slots *s)
{
	kfree(s->files);
	kfree(s->used);
	kfree(s->cloexec);
}

static bool slots_create(struct slots *s, unsigned size)
{
	s->size = size;
	s->files = kzalloc(size * sizeof(*s->files));
	s->used = kzalloc(size / 8);
	s->cloexec = kzalloc(size / 8);
	if (s->files && s->used && s->cloexec)
		return true;
	slots_free(s);
	return false;
}

static void slots_copy(struct slots *to, const struct slots *from)
{
	if (!from->size)
		return;
	memcpy(to->files, from->files, from->size * sizeof(*to->files));
	memcpy(to->used, from->used, from->size / 8);
	memcpy(to->cloexec, from->cloexec, from->size / 8);
}

/* Makes room for descriptor `fd`. */
static int table_grow(unsigned fd)
{
	struct slots bigger, old = { 0 };
	unsigned size = FD_FIRST_SIZE;
	int ret = 0;

	while (size <= fd)
		size *= 2;
	mutex_lock(&grow_lock);
	if (table.slots.size < size) {
		if (slots_create(&bigger, size)) {
			spin_lock(&table.lock);
			old = table.slots;
			slots_copy(&bigger, &old);
			table.slots = bigger;
			spin_unlock(&table.lock);
			slots_free(&old);
		} else {
			ret = -ENOMEM;
		}
	}
	mutex_unlock(&grow_lock);
	return ret;
}

/* ---- taking and giving back numbers ---- */

/* The lowest free number from `from`, which may be the table's size. */
static unsigned lowest_free_locked(unsigned from)
{
	for (unsigned word = from / 64; word < table.slots.size / 64; word++) {
		uint64_t taken = table.slots.used[word];

		if (word == from / 64)
			taken |= (1ull << (from % 64)) - 1;
		if (~taken)
			return word * 64 + (unsigned)__builtin_ctzll(~taken);
	}
	return MAX(table.slots.size, from);
}

static void slot_fill_locked(unsigned fd, struct file *f, bool close_on_exec)
{
	table.slots.files[fd] = f;
	bit_set(table.slots.used, fd, true);
	bit_set(table.slots.cloexec, fd, close_on_exec);
}

/* The number, or -EAGAIN when the table must grow to hold *wanted. */
static int fd_try_install(struct file *f, bool close_on_exec, unsigned lowest, unsigned *wanted)
{
	unsigned fd;

	spin_lock(&table.lock);
	fd = lowest_free_locked(MAX(lowest, table.lowest_free));
	if (fd < table.limit && fd < table.slots.size) {
		slot_fill_locked(fd, f, close_on_exec);
		if (lowest <= table.lowest_free)
			table.lowest_free = fd + 1;
	}
	*wanted = fd;
	spin_unlock(&table.lock);
	if (fd >= table.limit)
		return -EMFILE;
	return fd < table.slots.size ? (int)fd : -EAGAIN;
}

/* `f` NULL: the number is taken, but refers to nothing yet. */
static int number_take(struct file *f, bool close_on_exec, int lowest)
{
	unsigned wanted = 0;
	int ret;

	do {
		ret = fd_try_install(f, close_on_exec, (unsigned)lowest, &wanted);
		if (ret != -EAGAIN)
			break;
		ret = table_grow(wanted);
	} while (ret == 0);
	return ret;
}

int fd_install(struct file *f, bool close_on_exec, int lowest)
{
	int ret = number_take(f, close_on_exec, lowest);

	if (ret < 0)
		file_put(f);
	return ret;
}

int fd_reserve(bool close_on_exec)
{
	return number_take(NULL, close_on_exec, 0);
}

void fd_fill(int fd, struct file *f)
{
	spin_lock(&table.lock);
	table.slots.files[fd] = f;
	if (!f) {
		bit_set(table.slots.used, (unsigned)fd, false);
		bit_set(table.slots.cloexec, (unsigned)fd, false);
		table.lowest_free = MIN(table.lowest_free, (unsigned)fd);
	}
	spin_unlock(&table.lock);
}

/* lock_calls.c, where there are file systems. */
__attribute__((weak)) void locks_descriptor_closed(struct file *f)
{
	(void)f;
}

static void let_go(struct file *f)
{
	locks_descriptor_closed(f);
	file_put(f);
}

int fd_replace(int fd, struct file *f, bool close_on_exec)
{
	struct file *old;
	int ret;

	if (fd < 0 || (unsigned)fd >= table.limit)
		ret = -EBADF;
	else
		ret = table_grow((unsigned)fd);
	if (ret) {
		file_put(f);
		return ret;
	}
	spin_lock(&table.lock);
	old = table.slots.files[fd];
	if (!old && bit_get(table.slots.used, (unsigned)fd)) {
		ret = -EBUSY; /* somebody is about to fill it */
	} else {
		slot_fill_locked((unsigned)fd, f, close_on_exec);
	}
	spin_unlock(&table.lock);
	if (ret)
		file_put(f);
	else if (old)
		let_go(old);
	return ret ? ret : fd;
}

int fd_close(int fd)
{
	struct file *f = NULL;

	spin_lock(&table.lock);
	if (fd_is_open_locked(fd)) {
		f = table.slots.files[fd];
		table.slots.files[fd] = NULL;
		bit_set(table.slots.used, (unsigned)fd, false);
		bit_set(table.slots.cloexec, (unsigned)fd, false);
		table.lowest_free = MIN(table.lowest_free, (unsigned)fd);
	}
	spin_unlock(&table.lock);
	if (!f)
		return -EBADF;
	let_go(f);
	return 0;
}

int fd_flags(int fd, bool *close_on_exec)
{
	bool open;

	spin_lock(&table.lock);
	open = fd_is_open_locked(fd);
	if (open)
		*close_on_exec = bit_get(table.slots.cloexec, (unsigned)fd);
	spin_unlock(&table.lock);
	return open ? 0 : -EBADF;
}

int fd_set_flags(int fd, bool close_on_exec)
{
	bool open;

	spin_lock(&table.lock);
	open = fd_is_open_locked(fd);
	if (open)
		bit_set(table.slots.cloexec, (unsigned)fd, close_on_exec);
	spin_unlock(&table.lock);
	return open ? 0 : -EBADF;
}

unsigned fd_limit(void)
{
	return table.limit;
}

void fd_set_limit(unsigned limit)
{
	table.limit = MIN(limit, FD_LIMIT_MAX);
}

unsigned fd_end(void)
{
	return table.slots.size;
}
