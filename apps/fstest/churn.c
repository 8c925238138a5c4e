/*
 * Everything that can be done to names and files, at random and for ever: bytes, holes, sizes,
 * links, folders, special files, owners, times, extended attributes, files that lose their names
 * while they are open. Some of it is synced, and nothing is promised: it makes journals in which
 * all of that is found, beside what load= prints promises of.
 *
 * Names are few, so that calls meet each other's: most errors are part of it. crowd= is about one
 * large directory instead, whose index grows and splits. SEED in the environment says which history
 * it is.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fstest.h"

#define FOLDERS    3
#define NAMES      12
#define HELD       6      /* open files without names, at a time */
#define FILE_BYTES 200000

#define CROWD      3000

static const char *where;
static __thread uint64_t state;
static int held[HELD];

static void seed(const char *number)
{
	state = 0x9e3779b97f4a7c15u * (1 + (uint64_t)(number ? atoi(number) : 0));
}

static unsigned below(unsigned bound)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 20) % bound;
}

static const char *name(void)
{
	unsigned folder = below(FOLDERS + 1), n = below(NAMES);

	if (folder == FOLDERS)
		return in(where, "churn/%u", n);
	return in(where, "churn/folder-%u/%0*u", folder, n % 5 ? 1 : 200, n);
}

/* What may go wrong where names are taken and freed by chance. */
static void expect(const char *what, int result)
{
	static const int usual[] = { EEXIST,  ENOENT, ENOTDIR, EISDIR, ENOTEMPTY, ENOSPC, ELOOP,
				     EINVAL, ENODATA, EPERM,   ESPIPE, ENXIO,     ENAMETOOLONG };

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
		if (result >= 0 || errno == usual[i])
			return;
	}
	die(what);
}

static int open_some(int flags)
{
	int fd = open(name(), flags | O_NOFOLLOW | O_NONBLOCK, 0600 + below(0200));

	expect("open", fd);
	return fd;
}

/*
 * Bytes by chance; some blocks of them begin as a block of the journal does, which it has to hide.
 */
static void write_some(int fd)
{
	static uint8_t bytes[60000];
	size_t len = 1 + below(sizeof(bytes));

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)below(256);
	if (!below(4))
		memcpy(bytes, "\xc0\x3b\x39\x98\0\0\0\1", 8);
	expect("pwrite", (int)pwrite(fd, bytes, len,
				     below(4) ? (off_t)below(8) * 4096 : (off_t)below(FILE_BYTES)));
}

static void do_write(void)
{
	int fd = open_some(O_CREAT | O_RDWR);

	if (fd < 0)
		return;
	write_some(fd);
	if (!below(6))
		expect("fsync", below(2) ? fsync(fd) : fdatasync(fd));
	close(fd);
}

static void do_size(void)
{
	int fd = open_some(O_RDWR), kind = (int)below(4);
	off_t at = below(FILE_BYTES), len = 1 + below(FILE_BYTES);

	if (fd < 0)
		return;
	if (kind < 2)
		expect("ftruncate", ftruncate(fd, at));
	else
		expect("fallocate",
		       fallocate(fd, kind == 2 ? 0 : FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
				 len));
	close(fd);
}

static void do_unlink(void)
{
	expect("unlink", unlink(name()));
}

/* The file goes on without a name, and ends when its turn comes. */
static void do_hold(void)
{
	const char *path = name();
	int fd = open(path, O_CREAT | O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0600);
	unsigned slot = below(HELD);

	expect("open", fd);
	if (fd < 0)
		return;
	write_some(fd);
	expect("unlink", unlink(path));
	write_some(fd);
	if (held[slot] > 0)
		close(held[slot]);
	held[slot] = fd;
}

static void do_rename(void)
{
	const char *from = name();

	expect("rename", rename(from, name()));
}

static void do_link(void)
{
	const char *from = name();

	expect("link", link(from, name()));
}

static void do_symlink(void)
{
	static const int lengths[] = { 5, 59, 60, 300 };
	char target[301];

	snprintf(target, sizeof(target), "%0*u", lengths[below(4)], below(1000));
	expect("symlink", symlink(target, name()));
}

static void do_special(void)
{
	expect("mknod", mknod(name(), S_IFIFO | 0600, 0));
}

static void do_folder(void)
{
	if (below(2))
		expect("mkdir", mkdir(name(), 0700 + below(0100)));
	else
		expect("rmdir", rmdir(name()));
}

static void do_change(void)
{
	struct timespec times[2] = { { (time_t)below(2000000000), (long)below(1000000000) },
				     { (time_t)below(2000000000) * 2, (long)below(1000000000) } };

	expect("chmod", fchmodat(AT_FDCWD, name(), 0400 + below(0400), 0));
	expect("lchown", lchown(name(), below(100000), below(100000)));
	expect("utimensat", utimensat(AT_FDCWD, name(), times, AT_SYMLINK_NOFOLLOW));
}

static void do_attribute(void)
{
	char value[600], attribute[20];

	snprintf(attribute, sizeof(attribute), "user.%u", below(5));
	memset(value, (int)below(256), sizeof(value));
	if (below(3))
		expect("lsetxattr", lsetxattr(name(), attribute, value,
					      below(3) ? below(40) : below(sizeof(value)), 0));
	else
		expect("lremovexattr", lremovexattr(name(), attribute));
}

static const char *someone(void)
{
	return in(where, "crowd/%0100u", below(CROWD));
}

static void do_crowd(void)
{
	const char *path = someone();
	int fd;

	switch (below(4)) {
	case 0:
		expect("unlink", unlink(path));
		return;
	case 1:
		expect("rename", rename(path, someone()));
		return;
	case 2:
		expect("link", link(path, someone()));
		return;
	}
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	expect("open", fd);
	if (fd >= 0)
		close(fd);
}

static void *work(void *arg)
{
	static void (*const all[])(void) = {
		do_write, do_write, do_write, do_size, do_size, do_unlink, do_unlink, do_hold,
		do_rename, do_rename, do_link, do_symlink, do_special, do_folder, do_change,
		do_change, do_attribute, do_attribute
	};

	seed(arg);
	for (;;) {
		all[below(sizeof(all) / sizeof(all[0]))]();
		/* without preemption nobody else has a turn before this thread waits */
		sched_yield();
	}
	return NULL;
}

static void *work_on_crowd(void *arg)
{
	seed(arg);
	for (;;) {
		do_crowd();
		sched_yield();
	}
	return NULL;
}

static void start(const char *folder, void *(*work)(void *seed))
{
	pthread_t thread;

	where = strdup(folder);
	if (pthread_create(&thread, NULL, work, getenv("SEED")))
		die("pthread_create");
	pthread_detach(thread);
}

/* Made here, or by whoever had the disk before. */
static void need_folder(const char *path)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		die(path);
}

void churn(const char *folder)
{
	need_folder(in(folder, "churn"));
	for (int i = 0; i < FOLDERS; i++)
		need_folder(in(folder, "churn/folder-%d", i));
	start(folder, work);
}

void crowd(const char *folder)
{
	need_folder(in(folder, "crowd"));
	start(folder, work_on_crowd);
}
