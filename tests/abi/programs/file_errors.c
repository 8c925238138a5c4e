/*
 * Calls on files at the edge of what they take: descriptors that only name a place, empty paths,
 * flags that do not go together, which of two errors is told, ranges that wrap, buffers that cannot
 * be written to. Runs as root in an empty folder of a tmpfs, named by TREE (else /tmp).
 */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define BAD ((void *)8)
#define ZERO_RANGE 16

static int make(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -1 : close(fd);
}

static void link_by_descriptor(void)
{
	char text[16] = "";
	struct stat st;
	int fd, plain;

	SHOW(symlink("target", "link") + make("target", "0123456789"));
	fd = open("link", O_PATH | O_NOFOLLOW);
	plain = open("target", O_PATH);
	SHOW(syscall(SYS_readlinkat, fd, "", text, sizeof(text)));
	printf("%s\n", text);
	SHOW(syscall(SYS_readlinkat, plain, "", text, sizeof(text)));
	SHOW(syscall(SYS_readlinkat, AT_FDCWD, "", text, sizeof(text)));
	SHOW(syscall(SYS_readlinkat, 99, "", text, sizeof(text)));
	SHOW(syscall(SYS_readlinkat, AT_FDCWD, "link", text, 0));
	SHOW(fstatat(fd, "", &st, AT_EMPTY_PATH));
	YES("the link itself", S_ISLNK(st.st_mode));
	SHOW(open("link", O_PATH | O_NOFOLLOW | O_DIRECTORY));
	SHOW(open("link", O_RDONLY | O_DIRECTORY));
	SHOW(open("link/", O_RDONLY | O_NOFOLLOW));
	SHOW(open("link", O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR, 0644));
	SHOW(open("link", O_CREAT | O_NOFOLLOW | O_RDWR, 0644));
	SHOW(open("target", O_RDONLY | O_DIRECTORY | O_TRUNC));
	SHOW(fchownat(fd, "", 1, 1, AT_EMPTY_PATH));
	SHOW(lstat("link", &st) + stat("target", &st));
	printf("owner %u\n", st.st_uid);
	SHOW(close(fd) + close(plain));
}

static void no_path(void)
{
	SHOW(openat(99, "", O_RDONLY));
	SHOW(unlinkat(99, "", 0));
	SHOW(mkdirat(99, "", 0755));
	SHOW(unlink(""));
	SHOW(rename("", "x"));
	SHOW(rename("target", ""));
	SHOW(link("target", ""));
	SHOW(chdir(""));
	SHOW(truncate("", 0));
	SHOW(syscall(SYS_openat, AT_FDCWD, BAD, O_RDONLY, 0));
	SHOW(syscall(SYS_mkdirat, AT_FDCWD, NULL, 0755));
	SHOW(syscall(SYS_symlinkat, BAD, AT_FDCWD, "x"));
}

static void statx_flags(void)
{
	uint64_t out[32];
	int ends[2];

	SHOW(pipe(ends));
	SHOW(syscall(SYS_statx, AT_FDCWD, "target", 0, 0x7ff, out));
	SHOW(syscall(SYS_statx, AT_FDCWD, "target", 0x6000, 0x7ff, out));
	SHOW(syscall(SYS_statx, AT_FDCWD, "target", 0x2000, 0x7ff, out));
	SHOW(syscall(SYS_statx, AT_FDCWD, "target", 0, 0x80000000u, out));
	SHOW(syscall(SYS_statx, AT_FDCWD, "target", 1, 0x7ff, out));
	SHOW(syscall(SYS_statx, AT_FDCWD, "target", 0, 0x7ff, BAD));
	SHOW(syscall(SYS_statx, AT_FDCWD, "", 0, 0x7ff, out));
	SHOW(syscall(SYS_statx, ends[0], "", AT_EMPTY_PATH, 0x7ff, out));
	YES("a pipe", S_ISFIFO(((uint16_t *)out)[14]));
	SHOW(syscall(SYS_statx, 99, "", AT_EMPTY_PATH, 0x7ff, out));
	SHOW(close(ends[0]) + close(ends[1]));
}

static void times(void)
{
	struct timespec omit[2] = { { 0, UTIME_OMIT }, { 0, UTIME_OMIT } },
			bad[2] = { { 0, UTIME_OMIT }, { 0, -1 } };
	int fd = open("target", O_RDONLY);

	SHOW(utimensat(AT_FDCWD, "missing", omit, 0));
	SHOW(utimensat(AT_FDCWD, "missing", NULL, 0));
	SHOW(utimensat(AT_FDCWD, "target", bad, 0));
	SHOW(utimensat(AT_FDCWD, "target", NULL, 1));
	SHOW(syscall(SYS_utimensat, fd, NULL, NULL, 0));
	SHOW(syscall(SYS_utimensat, fd, NULL, NULL, AT_SYMLINK_NOFOLLOW));
	SHOW(syscall(SYS_utimensat, AT_FDCWD, NULL, NULL, 0));
	SHOW(syscall(SYS_utimensat, AT_FDCWD, "target", BAD, 0));
	SHOW(close(fd));
}

static void sizes(void)
{
	int ends[2], fd = open("target", O_RDWR), dir = open(".", O_RDONLY), left = -1;

	SHOW(pipe(ends));
	SHOW(truncate("missing", -1));
	SHOW(ftruncate(99, -1));
	SHOW(ftruncate(ends[1], 0));
	SHOW(syscall(SYS_fallocate, 99, 0, -1L, 0L));
	SHOW(syscall(SYS_fallocate, ends[1], 0, 0L, 1L));
	SHOW(syscall(SYS_fallocate, dir, 0, 0L, 1L));
	SHOW(syscall(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE, 0L, 1L));
	SHOW(syscall(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE | ZERO_RANGE, 0L,
		     1L));
	SHOW(ioctl(fd, FIONREAD, &left));
	printf("%d left\n", left);
	SHOW(lseek(fd, 4, SEEK_SET) + ioctl(fd, FIONREAD, &left));
	printf("%d left\n", left);
	SHOW(syscall(SYS_readv, 99, BAD, 1L));
	SHOW(syscall(SYS_preadv, fd, BAD, 1L, -1L, -1L));
	SHOW(syscall(SYS_pread64, 99, BAD, 1L, -1L));
	SHOW(syscall(SYS_write, fd, BAD, 0L));
	SHOW(close(ends[0]) + close(ends[1]) + close(fd) + close(dir));
}

static void copying(void)
{
	int from = open("target", O_RDWR), to = open("copy", O_CREAT | O_RDWR, 0644);
	int append = open("copy", O_RDWR | O_APPEND), dir = open(".", O_RDONLY);
	off_t in, out;

#define COPY(a, i, b, o, len) (in = i, out = o, copy_file_range(a, &in, b, &out, len, 0))
	SHOW(COPY(from, 5, from, 100, 1000));
	SHOW(COPY(from, 0, from, 50, 100));
	SHOW(COPY(from, 0, from, 5, 10));
	SHOW(COPY(from, LLONG_MAX - 5, to, 0, 10));
	SHOW(COPY(from, 200, to, 0, 10));
	SHOW(COPY(from, 0, append, 0, 10));
	SHOW(COPY(from, 0, dir, 0, 10));
	SHOW(COPY(dir, 0, to, 0, 10));
	SHOW(copy_file_range(99, NULL, to, NULL, 10, 1));
	SHOW(COPY(from, 0, to, 3, 4));
	printf("%lld %lld\n", (long long)in, (long long)out);
	SHOW(close(from) + close(to) + close(append) + close(dir) + unlink("copy"));
}

/* What a call that failed was to give is given by the next. */
static void folder_to_nowhere(void)
{
	char buf[1024];
	int fd, names = 0;
	long n;

	SHOW(mkdir("d", 0755) + make("d/a", "") + make("d/b", "") + make("d/c", ""));
	fd = open("d", O_RDONLY);
	SHOW(syscall(SYS_getdents64, fd, BAD, sizeof(buf)));
	while ((n = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n; at += *(unsigned short *)(buf + at + 16))
			names++;
	}
	printf("%d names\n", names);
	SHOW(close(fd) + unlink("d/a") + unlink("d/b") + unlink("d/c") + rmdir("d"));
}

static void status_flags(void)
{
	const int shown = O_APPEND | O_NONBLOCK | O_NOATIME | O_DIRECTORY | O_NOFOLLOW | O_ACCMODE |
			  O_PATH;
	int fd = open("target", O_RDWR | O_NOFOLLOW | O_TRUNC),
	    dir = open(".", O_RDONLY | O_DIRECTORY);

	printf("flags %x\n", fcntl(fd, F_GETFL) & shown);
	SHOW(fcntl(fd, F_SETFL, O_APPEND | O_NOATIME));
	printf("flags %x\n", fcntl(fd, F_GETFL) & shown);
	SHOW(fcntl(fd, F_SETFL, O_WRONLY | O_NONBLOCK));
	printf("flags %x\n", fcntl(fd, F_GETFL) & shown);
	printf("flags %x\n", fcntl(dir, F_GETFL) & shown);
	SHOW(fcntl(fd, 9999, 0));
	SHOW(fcntl(fd, F_DUPFD, -1));
	SHOW(close(fd) + close(dir));
}

static void sending(void)
{
	int from = open("target", O_RDWR), append = open("copy", O_CREAT | O_RDWR | O_APPEND, 0644);
	int to = open("copy", O_RDWR), dir = open(".", O_RDONLY), ends[2];
	off_t at = 2, before = -1, far = LLONG_MAX - 2;

	SHOW(pipe(ends));
	SHOW(sendfile(to, from, &at, 4));
	printf("%lld\n", (long long)at);
	SHOW(sendfile(to, from, &before, 4));
	SHOW(sendfile(to, from, &far, 4));
	SHOW(sendfile(append, from, NULL, 4));
	SHOW(sendfile(to, dir, NULL, 4));
	SHOW(sendfile(to, ends[0], &at, 4));
	SHOW(sendfile(99, from, NULL, 4));
	SHOW(sendfile(from, 99, NULL, 4));
	SHOW(sendfile(to, from, NULL, 0));
	SHOW(syscall(SYS_sendfile, to, from, BAD, 4L));
	SHOW(sendfile(ends[1], from, NULL, 100));
	SHOW(lseek(from, 0, SEEK_CUR));
	SHOW(close(from) + close(to) + close(append) + close(dir) + close(ends[0]) +
	     close(ends[1]));
	SHOW(unlink("copy"));
}

static void unknown_flags(void)
{
	const int nameless = O_TMPFILE & ~O_DIRECTORY;
	int fd = open("target", O_RDONLY);

	SHOW(open(".", nameless | O_RDWR, 0644));
	SHOW(open(".", O_TMPFILE | O_CREAT | O_RDWR, 0644));
	SHOW(open("target", O_CREAT | O_DIRECTORY | O_RDWR, 0644));
	SHOW(linkat(AT_FDCWD, "target", AT_FDCWD, "x", AT_SYMLINK_NOFOLLOW));
	SHOW(linkat(AT_FDCWD, "", AT_FDCWD, "x", 0));
	SHOW(linkat(AT_FDCWD, "", AT_FDCWD, "x", AT_EMPTY_PATH));
	SHOW(linkat(fd, "", AT_FDCWD, "target", AT_EMPTY_PATH));
	SHOW(unlinkat(AT_FDCWD, "target", AT_EMPTY_PATH));
	SHOW(fchownat(AT_FDCWD, "target", -1, -1, 1));
	SHOW(fstatat(AT_FDCWD, "target", &(struct stat){ 0 }, 1));
	SHOW(syscall(SYS_faccessat2, AT_FDCWD, "target", 0, 1));
	SHOW(syscall(SYS_faccessat2, AT_FDCWD, "target", 8, 0));
	SHOW(syscall(SYS_faccessat2, fd, "", R_OK, AT_EMPTY_PATH));
	SHOW(syscall(SYS_renameat2, AT_FDCWD, "target", AT_FDCWD, "x", 3));
	SHOW(syscall(SYS_renameat2, AT_FDCWD, "missing", AT_FDCWD, "x", 8));
	SHOW(syscall(SYS_mknodat, AT_FDCWD, "x", S_IFLNK | 0644, 0));
	SHOW(syscall(SYS_mknodat, AT_FDCWD, "x", S_IFDIR | 0644, 0));
	SHOW(syscall(SYS_mknodat, AT_FDCWD, "x", 0170000 | 0644, 0));
	SHOW(syscall(SYS_mknodat, AT_FDCWD, "target", 0644, 0));
	SHOW(syscall(SYS_dup3, fd, fd, 0));
	SHOW(syscall(SYS_dup3, fd, 50, 1));
	SHOW(syscall(SYS_dup3, 99, 50, 0));
	SHOW(dup2(fd, 100000000));
	SHOW(lseek(fd, 0, 5));
	SHOW(lseek(fd, 10, SEEK_DATA));
	SHOW(lseek(fd, 9, SEEK_HOLE));
	SHOW(lseek(fd, -11, SEEK_END));
	SHOW(lseek(fd, LLONG_MAX, SEEK_CUR));
	SHOW(syscall(SYS_statfs, "target", BAD));
	SHOW(syscall(SYS_fstatfs, 99, BAD));
	SHOW(syscall(SYS_getcwd, NULL, 0L));
	SHOW(syscall(SYS_getcwd, BAD, 4096L));
	SHOW(syscall(SYS_flock, fd, 0));
	SHOW(syscall(SYS_flock, fd, 4));
	SHOW(syscall(SYS_sync_file_range, fd, -1L, 0L, 0));
	SHOW(syscall(SYS_sync_file_range, fd, 0L, 0L, 8));
	SHOW(syscall(SYS_fadvise64, fd, 0L, 0L, 99));
	SHOW(syscall(SYS_fadvise64, fd, 0L, -1L, 0));
	SHOW(syscall(SYS_close_range, 60u, 50u, 0));
	SHOW(syscall(SYS_close_range, 50u, 60u, 1 << 10));
	SHOW(close(fd));
}

static void names_of_attributes(void)
{
	int fd = open("target", O_RDONLY), ends[2];
	char value[8];

	SHOW(pipe(ends));
	SHOW(mkfifo("fifo", 0644));
	SHOW(setxattr("fifo", "user.x", "", 0, 0));
	SHOW(getxattr("fifo", "user.x", value, 8));
	SHOW(setxattr("fifo", "trusted.x", "1", 1, 0));
	SHOW(setxattr("target", "trusted.x", "1", 1, 3));
	SHOW(setxattr("target", "trusted.x", "1", 1, 8));
	SHOW(setxattr("target", "user", "1", 1, 0));
	SHOW(setxattr("target", "user.", "1", 1, 0));
	SHOW(setxattr("target", "system.none", "1", 1, 0));
	SHOW(getxattr("target", "system.none", value, 8));
	SHOW(getxattr("target", "", value, 8));
	SHOW(removexattr("target", "trusted.none"));
	SHOW(syscall(SYS_setxattr, "target", BAD, "", 0L, 0));
	SHOW(syscall(SYS_setxattr, "target", "trusted.x", BAD, 4L, 0));
	SHOW(fgetxattr(99, "trusted.x", value, 8));
	SHOW(listxattr("missing", NULL, 0));
	SHOW(unlink("fifo") + close(fd) + close(ends[0]) + close(ends[1]));
}

int main(void)
{
	if (enter_tree() < 0)
		return 1;
	link_by_descriptor();
	no_path();
	statx_flags();
	times();
	sizes();
	copying();
	folder_to_nowhere();
	status_flags();
	SHOW(make("target", "0123456789"));
	sending();
	unknown_flags();
	names_of_attributes();
	SHOW(unlink("link") + unlink("target"));
	return 0;
}
