/*
 * Input that is too long, too deep, too much, or beyond the end: the errno of each. Runs in an
 * empty folder of a tmpfs, named by TREE (else /tmp).
 */
#define _GNU_SOURCE
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char name[5000];

static const char *of_length(size_t len)
{
	memset(name, 'n', len);
	name[len] = 0;
	return name;
}

/* A path of that length to what is here, by way of many dots. */
static const char *path_of_length(size_t len)
{
	for (size_t i = 0; i < len; i++)
		name[i] = i % 2 ? '/' : '.';
	name[len - 1] = 'f';
	name[len] = 0;
	return name;
}

static void names(void)
{
	struct stat st;
	char text[8];

	SHOW(close(open("f", O_CREAT | O_RDWR, 0644)));
	SHOW(open(of_length(256), O_CREAT | O_RDWR, 0644));
	SHOW(mkdir(of_length(256), 0755));
	SHOW(symlink("f", of_length(256)));
	SHOW(link("f", of_length(256)));
	SHOW(rename("f", of_length(256)));
	SHOW(unlink(of_length(256)));
	SHOW(rmdir(of_length(256)));
	SHOW(stat(of_length(256), &st));
	SHOW(mkfifo(of_length(256), 0644));
	SHOW(truncate(of_length(256), 0));
	SHOW(chmod(of_length(256), 0644));
	SHOW(chdir(of_length(256)));
	SHOW(readlink(of_length(256), text, 8));
	SHOW(opendir(of_length(256)) != NULL);
	SHOW(mkdir(of_length(255), 0755));
	SHOW(chdir(of_length(255)) + chdir(".."));
	SHOW(rmdir(of_length(255)));
	SHOW(stat(path_of_length(4095), &st));
	SHOW(stat(path_of_length(4097), &st));
	SHOW(rename(path_of_length(4097), "g"));
	SHOW(symlink(of_length(4096), "s"));
	SHOW(symlink(of_length(4095), "s"));
	SHOW(open("s", O_RDONLY));
	SHOW(unlink("s"));
	SHOW(symlink("", "s"));
	SHOW(open("", O_CREAT | O_RDWR, 0644));
	SHOW(unlink(""));
	SHOW(rename("f", ""));
	SHOW(mkdir("", 0755));
}

static void links(void)
{
	char at[16], to[16];
	struct stat st;

	SHOW(symlink("loop", "loop"));
	SHOW(open("loop", O_RDONLY));
	SHOW(open("loop", O_CREAT | O_RDWR, 0644));
	SHOW(open("loop", O_CREAT | O_EXCL | O_RDWR, 0644));
	SHOW(open("loop/x", O_RDONLY));
	SHOW(stat("loop", &st));
	SHOW(lstat("loop", &st));
	SHOW(mkdir("loop", 0755));
	SHOW(mkdir("loop/x", 0755));
	SHOW(chdir("loop"));
	SHOW(truncate("loop", 0));
	SHOW(chmod("loop", 0644));
	SHOW(open("loop", O_RDONLY | O_NOFOLLOW));
	SHOW(open("loop", O_DIRECTORY | O_NOFOLLOW));
	SHOW(rename("loop", "hoop"));
	SHOW(unlink("hoop"));
	SHOW(symlink("b", "a") + symlink("a", "b"));
	SHOW(open("a", O_RDONLY));
	SHOW(unlink("a") + unlink("b"));
	for (int i = 0; i < 42; i++) {
		snprintf(at, sizeof(at), "l%d", i);
		snprintf(to, sizeof(to), i ? "l%d" : "f", i - 1);
		if (symlink(to, at) < 0)
			printf("cannot make %s\n", at);
	}
	SHOW(stat("l39", &st));
	SHOW(stat("l40", &st));
	SHOW(close(open("l39", O_CREAT | O_RDWR, 0644)));
	SHOW(open("l40", O_CREAT | O_RDWR, 0644));
	for (int i = 0; i < 42; i++) {
		snprintf(at, sizeof(at), "l%d", i);
		unlink(at);
	}
}

static int opens_of(const char *path)
{
	int fd = open(path, O_RDONLY);

	return fd < 0 ? -1 : close(fd);
}

static void descriptors(void)
{
	struct rlimit old, few;
	int ends[2], fd = open("f", O_RDONLY), last = fd, next;

	getrlimit(RLIMIT_NOFILE, &old);
	few = old;
	few.rlim_cur = (rlim_t)fd + 9;
	SHOW(setrlimit(RLIMIT_NOFILE, &few));
	while ((next = open("f", O_RDONLY)) >= 0)
		last = next;
	printf("as many as allowed, then %s: %d\n", errno_name(errno), last - fd);
	SHOW(opens_of("f"));
	SHOW(opens_of("missing"));
	SHOW(open("new", O_CREAT | O_RDWR, 0644));
	SHOW(access("new", F_OK));
	SHOW(dup(fd));
	SHOW(fcntl(fd, F_DUPFD, 0));
	SHOW(fcntl(fd, F_DUPFD, (long)few.rlim_cur));
	SHOW(dup2(fd, (int)few.rlim_cur));
	SHOW(pipe(ends));
	SHOW(eventfd(0, 0));
	SHOW(epoll_create1(0));
	SHOW(inotify_init1(0));
	SHOW(opendir(".") != NULL);
	close(last);
	SHOW(pipe(ends));
	SHOW(opens_of("f"));
	for (int i = fd; i < last; i++)
		close(i);
	SHOW(setrlimit(RLIMIT_NOFILE, &old));
	SHOW(dup2(0, -1));
	SHOW(read(-1, name, 1));
	SHOW(close(999999));
}

/* The last place that a file can be positioned at. */
static off_t last_place(int fd)
{
	off_t last = 0;

	for (int bit = 62; bit >= 0; bit--) {
		if (lseek(fd, last | (1LL << bit), SEEK_SET) >= 0)
			last |= 1LL << bit;
	}
	return last;
}

static void ends(void)
{
	struct iovec vecs[2] = { { name, 10 }, { name + 10, 10 } }, wrong = { name, (size_t)-1 };
	int fd = open("f", O_RDWR | O_TRUNC), ro = open("f", O_RDONLY), wo = open("f", O_WRONLY);
	off_t far = INT64_MAX, last;

	SHOW(write(fd, "12345", 5));
	SHOW(read(fd, name, 8));
	SHOW(pread(fd, name, 8, 4));
	SHOW(pread(fd, name, 8, 5));
	SHOW(pread(fd, name, 8, 1LL << 40));
	SHOW(pread(fd, name, 8, far));
	SHOW(pread(fd, name, 8, far - 8));
	SHOW(pread(fd, name, 8, -1));
	SHOW(pread(fd, name, 0, 100));
	SHOW(preadv(fd, vecs, 2, 3));
	SHOW(preadv(fd, vecs, 2, 30));
	SHOW(preadv(fd, vecs, -1, 0));
	SHOW(readv(fd, vecs, 2000));
	SHOW(readv(fd, &wrong, 1));
	SHOW(readv(fd, vecs, 0));
	SHOW(lseek(fd, 100, SEEK_SET));
	SHOW(read(fd, name, 8));
	SHOW(lseek(fd, -101, SEEK_CUR));
	SHOW(lseek(fd, -6, SEEK_END));
	SHOW(lseek(fd, -5, SEEK_END));
	last = last_place(fd);
	SHOW(lseek(fd, last, SEEK_SET) == last);
	SHOW(lseek(fd, 1, SEEK_CUR));
	SHOW(lseek(fd, 0, SEEK_CUR) == last);
	YES("no byte goes there", write(fd, "x", 1) < 0);
	SHOW(ftruncate(fd, last));
	YES("a file ends there at the latest", last == far || ftruncate(fd, last + 1) < 0);
	SHOW(lseek(fd, 0, SEEK_END) == last);
	SHOW(ftruncate(fd, 5));
	SHOW(lseek(fd, 5, SEEK_DATA));
	SHOW(lseek(fd, 5, SEEK_HOLE));
	SHOW(lseek(fd, -1, SEEK_DATA));
	SHOW(lseek(fd, 0, 99));
	SHOW(pwrite(fd, "x", 1, -1));
	SHOW(pwrite(fd, "x", 1, far));
	SHOW(pwrite(fd, "xx", 2, far - 1));
	SHOW(ftruncate(fd, -1));
	SHOW(truncate("f", -1));
	SHOW(fallocate(fd, 0, 0, 0));
	SHOW(fallocate(fd, 0, -1, 5));
	SHOW(fallocate(fd, 0, far, 5));
	SHOW(fallocate(fd, 0, 0, -5));
	SHOW(fallocate(fd, 0x1000, 0, 5));
	SHOW(write(ro, "x", 1));
	SHOW(read(wo, name, 1));
	SHOW(ftruncate(ro, 0));
	SHOW(fallocate(ro, 0, 0, 5));
	SHOW(lseek(fd, 0, SEEK_END));
	SHOW(ftruncate(fd, 1LL << 40));
	SHOW(pread(fd, name, 8, (1LL << 40) - 3));
	SHOW(ftruncate(fd, 0) + close(ro) + close(wo) + close(fd));
}

static void folders(void)
{
	char buf[300];
	int fd;

	SHOW(mkdir("d", 0755));
	fd = open("d", O_RDONLY);
	SHOW(read(fd, buf, 8));
	SHOW(write(fd, buf, 8));
	SHOW(pread(fd, buf, 8, 0));
	SHOW(ftruncate(fd, 0));
	SHOW(fallocate(fd, 0, 0, 1));
	SHOW(truncate("d", 0));
	SHOW(syscall(SYS_getdents64, fd, buf, 8));
	SHOW(syscall(SYS_getdents64, fd, buf, 300) > 0);
	SHOW(syscall(SYS_getdents64, fd, buf, 8));
	SHOW(lseek(fd, -1, SEEK_SET));
	SHOW(rmdir("d"));
	SHOW(lseek(fd, 0, SEEK_SET));
	SHOW(syscall(SYS_getdents64, fd, buf, 300));
	SHOW(openat(fd, "x", O_CREAT | O_RDWR, 0644));
	SHOW(openat(fd, ".", O_RDONLY) >= 0);
	SHOW(openat(fd, "..", O_RDONLY) >= 0);
	SHOW(mkdirat(fd, "x", 0755));
	SHOW(fchmod(fd, 0700));
	SHOW(fsync(fd));
	SHOW(close(fd));
}

int main(void)
{
	if (enter_tree() < 0)
		return 1;
	names();
	links();
	descriptors();
	ends();
	folders();
	return 0;
}
