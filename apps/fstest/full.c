/*
 * A disk that is full. Every call that needs room says ENOSPC, what is there stays whole, and what
 * is removed is room again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fstest.h"

static uint8_t block[65536];

/* Writes until there is no room, the last of it byte by byte: how many bytes went in. */
static long long fill(int fd)
{
	size_t step = sizeof(block);
	long long done = 0;

	while (step) {
		ssize_t n = write(fd, block, step);

		if (n > 0) {
			done += n;
			continue;
		}
		if (errno != ENOSPC)
			die("write to a full disk");
		step /= 16;
	}
	return done;
}

static void want_no_room(const char *what, int result)
{
	if (!result || errno != ENOSPC) {
		printf("fstest: %s on a full disk: %s\n", what,
		       result ? strerror(errno) : "there was room");
		_exit(1);
	}
}

/* Names until there is no room for another, or no inode. */
static int fill_with_names(const char *folder)
{
	char name[201];
	int count = 0, fd;

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	while ((fd = open(in(folder, "%s%d", name, count), O_CREAT | O_EXCL | O_WRONLY, 0644)) >=
	       0) {
		close(fd);
		count++;
	}
	want_no_room("open", -1);
	want_no_room("mkdir", mkdir(in(folder, "folder"), 0755));
	return count;
}

static long long fill_one(const char *folder, const char *name)
{
	int fd = open(in(folder, "%s", name), O_CREAT | O_TRUNC | O_WRONLY, 0644);
	long long bytes;

	if (fd < 0)
		die(name);
	bytes = fill(fd);
	if (fsync(fd))
		die("fsync on a full disk");
	want_no_room("fallocate", posix_fallocate(fd, bytes, 1 << 20) ? (errno = ENOSPC, -1) : 0);
	close(fd);
	return bytes;
}

static void check(const char *path, long long size)
{
	static uint8_t back[sizeof(block)];
	int fd = open(path, O_RDONLY);
	long long seen = 0;
	ssize_t n;

	while (fd >= 0 && (n = read(fd, back, sizeof(back))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (back[i] != 0x5a)
				fd = (close(fd), -1);
		}
		seen += n;
	}
	if (fd < 0 || seen != size)
		die("what was written to the full disk is not there");
	close(fd);
}

void full(const char *folder)
{
	long long first, again;
	int names;

	memset(block, 0x5a, sizeof(block));
	first = fill_one(folder, "first");
	names = fill_with_names(folder);
	want_no_room("symlink", symlink(in("/", "%0200d", 1), in(folder, "link")));
	check(in(folder, "first"), first);
	if (unlink(in(folder, "first")))
		die("unlink on a full disk");
	again = fill_one(folder, "again");
	check(in(folder, "again"), again);
	printf("full: %lld bytes, %d names, %lld bytes again\n", first, names, again);
}
