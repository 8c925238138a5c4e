/*
 * Who may do what: every call's answer by mode, owner, group and supplementary group, for root and
 * for others; sticky folders, set-id bits, times, extended attributes, descriptors that only name a
 * place. Must be started as root in an empty folder of a tmpfs, named by TREE (else /tmp), which
 * others can search.
 */
#define _GNU_SOURCE
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ME    1000
#define GROUP 1001
#define EXTRA 1002
#define OTHER 2000

static void be(unsigned uid)
{
	if (seteuid(0) < 0 || setegid(uid ? GROUP : 0) < 0 || seteuid(uid) < 0)
		printf("cannot be %u: %s\n", uid, errno_name(errno));
}

static int make(const char *path, mode_t mode, unsigned uid, unsigned gid)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);

	return fd < 0 || close(fd) < 0 || chown(path, uid, gid) < 0 || chmod(path, mode) < 0 ? -1
											     : 0;
}

static int opens(const char *path, int flags)
{
	int fd = open(path, flags);

	return fd < 0 ? -1 : close(fd);
}

static void result(const char *name, int ret)
{
	printf(" %s:%s", name, ret < 0 ? errno_name(errno) : "ok");
}

static void file_calls(const char *path)
{
	struct timespec times[2] = { { 1, 0 }, { 2, 0 } },
			mixed[2] = { { 0, UTIME_NOW }, { 0, UTIME_OMIT } };

	result("r", opens(path, O_RDONLY));
	result("w", opens(path, O_WRONLY));
	result("rw", opens(path, O_RDWR));
	result("trunc", opens(path, O_RDONLY | O_TRUNC));
	result("path", opens(path, O_PATH));
	result("noatime", opens(path, O_RDONLY | O_NOATIME));
	result("truncate", truncate(path, 0));
	result("eaccess", faccessat(AT_FDCWD, path, R_OK | W_OK | X_OK, AT_EACCESS));
	result("access", access(path, X_OK));
	result("touch", utimensat(AT_FDCWD, path, NULL, 0));
	result("times", utimensat(AT_FDCWD, path, times, 0));
	result("mixed", utimensat(AT_FDCWD, path, mixed, 0));
	result("getx", (int)getxattr(path, "security.none", NULL, 0));
	result("setx", setxattr(path, "security.test", "", 0, 0));
	result("trusted", (int)getxattr(path, "trusted.none", NULL, 0));
	printf("\n");
}

static void dir_calls(const char *path)
{
	char in[100], there[100], moved[100];
	struct stat st;
	DIR *d;

	snprintf(in, sizeof(in), "%s/new", path);
	snprintf(there, sizeof(there), "%s/there", path);
	snprintf(moved, sizeof(moved), "%s/moved", path);
	d = opendir(path);
	result("list", d ? closedir(d) : -1);
	result("stat", stat(there, &st));
	result("read", opens(there, O_RDONLY));
	result("mkdir", mkdir(in, 0755));
	result("rmdir", rmdir(in));
	result("symlink", symlink("x", in));
	result("unlink", unlink(in));
	result("mkfifo", mkfifo(in, 0600));
	result("remove", unlink(in));
	result("rename", rename(there, moved));
	result("back", rename(moved, there));
	result("tmpfile", opens(path, O_TMPFILE | O_RDWR));
	result("chdir", chdir(path) < 0 ? -1 : chdir(".."));
	result("missing", stat(in, &st));
	printf("\n");
}

static void matrix(void)
{
	static const struct { const char *name; unsigned uid, gid, shift; } as[] = {
		{ "owner", ME, OTHER, 6 }, { "group", OTHER, GROUP, 3 },
		{ "supplementary", OTHER, EXTRA, 3 }, { "other", OTHER, OTHER, 0 },
	};

	for (unsigned who = 0; who < 4; who++) {
		for (unsigned bits = 0; bits < 8; bits++) {
			/*
			 * The other classes have the opposite bits, so that a wrong class is seen.
			 */
			unsigned mode = (0777 & ~(7u << as[who].shift) & (bits & 4 ? 0 : 0777)) |
					bits << as[who].shift;

			make("f", mode, as[who].uid, as[who].gid);
			be(ME);
			printf("file %s %o:", as[who].name, bits);
			file_calls("f");
			be(0);
			SHOW(unlink("f"));
			mkdir("d", 0755);
			make("d/there", 0644, OTHER, OTHER);
			SHOW(chown("d", as[who].uid, as[who].gid) + chmod("d", mode));
			be(ME);
			printf("folder %s %o:", as[who].name, bits);
			dir_calls("d");
			be(0);
			SHOW(unlink("d/there") + rmdir("d"));
		}
	}
	for (unsigned bits = 0; bits < 8; bits++) {
		make("f", bits, OTHER, OTHER);
		printf("file root %o:", bits);
		file_calls("f");
		SHOW(unlink("f"));
	}
}

static unsigned mode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 ? 0 : st.st_mode & 07777;
}

static void owners(void)
{
	SHOW(make("f", 0644, ME, GROUP));
	be(ME);
	SHOW(chmod("f", 0600));
	SHOW(chown("f", ME, -1));
	SHOW(chown("f", -1, GROUP));
	SHOW(chown("f", -1, EXTRA));
	SHOW(chown("f", -1, OTHER));
	SHOW(chown("f", OTHER, -1));
	SHOW(chown("f", -1, -1));
	SHOW(chmod("f", 06755));
	printf("mode %o\n", mode_of("f"));
	be(0);
	SHOW(chown("f", ME, OTHER));
	be(ME);
	SHOW(chmod("f", 02755));
	printf("mode in a group not mine %o\n", mode_of("f"));
	SHOW(chown("f", -1, OTHER));
	be(OTHER);
	SHOW(chmod("f", 0777));
	SHOW(chown("f", OTHER, OTHER));
	be(0);
	SHOW(unlink("f"));
}

static void set_id(void)
{
	int fd;

	make("f", 0644, ME, GROUP);
	SHOW(chmod("f", 06777));
	be(ME);
	fd = open("f", O_RDWR);
	SHOW(write(fd, "x", 1));
	printf("after a write %o\n", mode_of("f"));
	SHOW(fchmod(fd, 06767));
	SHOW(write(fd, "x", 1));
	printf("after a write to what the group cannot execute %o\n", mode_of("f"));
	SHOW(fchmod(fd, 06777) + ftruncate(fd, 0));
	printf("after ftruncate %o\n", mode_of("f"));
	SHOW(fchmod(fd, 06777) + truncate("f", 0));
	printf("after truncate %o\n", mode_of("f"));
	SHOW(fchmod(fd, 06777) + chown("f", -1, EXTRA));
	printf("after chown %o\n", mode_of("f"));
	be(0);
	SHOW(fchmod(fd, 06777) + (int)write(fd, "x", 1));
	printf("after a write of root %o\n", mode_of("f"));
	SHOW(chown("f", -1, GROUP));
	printf("after chown of root %o\n", mode_of("f"));
	SHOW(fchmod(fd, 06777) + chown("f", -1, -1));
	printf("after chown of nothing %o\n", mode_of("f"));
	SHOW(close(fd) + unlink("f"));
	SHOW(mkdir("d", 0755) + chown("d", ME, EXTRA) + chmod("d", 02777));
	be(ME);
	SHOW(mkdir("d/sub", 0755) + make("d/f", 02755, -1, -1));
	printf("inherited %o %o\n", mode_of("d/sub"), mode_of("d/f"));
	SHOW(chown("d", -1, GROUP));
	printf("a folder keeps its bits %o\n", mode_of("d"));
	be(0);
	SHOW(unlink("d/f") + rmdir("d/sub") + rmdir("d"));
}

static void sticky(void)
{
	SHOW(mkdir("s", 0777) + chmod("s", 01777) + chown("s", OTHER, OTHER));
	make("s/mine", 0666, ME, GROUP);
	make("s/other", 0666, 3000, 3000);
	mkdir("s/dir", 0777);
	be(ME);
	SHOW(unlink("s/other"));
	SHOW(rename("s/other", "s/x"));
	SHOW(rename("s/mine", "s/other"));
	SHOW(rename("s/mine", "s/x"));
	SHOW(rmdir("s/dir"));
	SHOW(link("s/x", "s/mine"));
	SHOW((int)syscall(SYS_renameat2, AT_FDCWD, "s/mine", AT_FDCWD, "s/other", 2));
	SHOW(unlink("s/x") + unlink("s/mine"));
	be(OTHER);
	SHOW(unlink("s/other"));
	be(0);
	SHOW(rmdir("s/dir") + rmdir("s"));
}

/* A folder that moves gets another "..", which is a write to it. */
static void moving_folders(void)
{
	SHOW(mkdir("a", 0777) + mkdir("b", 0777) + chmod("a", 0777) + chmod("b", 0777));
	SHOW(mkdir("a/d", 0755) + mkdir("a/e", 0777) + chmod("a/e", 0777));
	be(ME);
	SHOW(rename("a/d", "a/x"));
	SHOW(rename("a/x", "b/x"));
	SHOW(rename("a/e", "b/e"));
	SHOW((int)syscall(SYS_renameat2, AT_FDCWD, "b/e", AT_FDCWD, "a/x", 2));
	be(0);
	SHOW(rmdir("a/x") + rmdir("b/e") + rmdir("a") + rmdir("b"));
}

static void places(void)
{
	char buf[8];
	struct stat st;
	int fd, dir = open(".", O_PATH);

	make("f", 0644, 0, 0);
	fd = open("f", O_PATH);
	SHOW(read(fd, buf, 8));
	SHOW(write(fd, buf, 8));
	SHOW(pread(fd, buf, 8, 0));
	SHOW(lseek(fd, 0, SEEK_SET));
	SHOW(fstat(fd, &st));
	SHOW(syscall(SYS_fchmod, fd, 0600)); /* a C library may try another way */
	SHOW(syscall(SYS_fchown, fd, 0, 0));
	SHOW(ftruncate(fd, 0));
	SHOW(fallocate(fd, 0, 0, 1));
	SHOW(fsync(fd));
	SHOW(ioctl(fd, FIONREAD, buf));
	SHOW(flock(fd, LOCK_SH));
	SHOW(fgetxattr(fd, "security.x", buf, 8));
	SHOW(flistxattr(fd, NULL, 0));
	SHOW(futimens(fd, NULL));
	SHOW(fcntl(fd, F_GETFD));
	SHOW(fcntl(fd, F_SETFL, O_NONBLOCK));
	SHOW(syscall(SYS_getdents64, dir, buf, 8));
	SHOW(fchdir(dir));
	SHOW(fchdir(fd));
	SHOW(openat(fd, "x", O_RDONLY));
	SHOW(faccessat(dir, "f", R_OK, 0));
	SHOW(close(fd) + close(dir));
	SHOW(fchmod(-1, 0));
	SHOW(unlink("f"));
}

static void attributes(void)
{
	char name[300] = "trusted.", *big = calloc(1, 70000), list[600];
	int names = 0;
	ssize_t n;

	make("f", 0666, ME, GROUP);
	SHOW(setxattr("f", "trusted.a", "1", 1, XATTR_REPLACE));
	SHOW(setxattr("f", "trusted.a", "1", 1, XATTR_CREATE));
	SHOW(setxattr("f", "trusted.a", "1", 1, XATTR_CREATE));
	SHOW(setxattr("f", "trusted.a", "22", 2, 4));
	SHOW(setxattr("f", "trusted.a", "22", 2, XATTR_REPLACE));
	SHOW(getxattr("f", "trusted.a", list, 1));
	SHOW(getxattr("f", "trusted.a", list, 2));
	SHOW(getxattr("f", "trusted.a", NULL, 0));
	SHOW(getxattr("f", "trusted.b", list, 2));
	SHOW(getxattr("f", "nothing.a", list, 2));
	SHOW(setxattr("f", "nothing.a", "", 0, 0));
	SHOW(setxattr("f", "trusted.", "", 0, 0));
	SHOW(setxattr("f", "", "", 0, 0));
	SHOW(setxattr("f", "trusted.e", "", 0, 0));
	SHOW(getxattr("f", "trusted.e", list, 2));
	SHOW(setxattr("f", "trusted.big", big, 65537, 0));
	memset(name + 8, 'n', 247);
	SHOW(setxattr("f", name, "", 0, 0) == 0);
	name[255] = 'n';
	SHOW(setxattr("f", name, "", 0, 0) == 0);
	SHOW(n = listxattr("f", list, sizeof(list)));
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(list + i) + 1)
		names++;
	printf("%d names\n", names);
	SHOW(listxattr("f", list, 3));
	be(ME);
	SHOW(listxattr("f", list, sizeof(list)));
	SHOW(getxattr("f", "trusted.a", list, 2));
	SHOW(setxattr("f", "trusted.a", "", 0, 0));
	SHOW(removexattr("f", "trusted.a"));
	SHOW(removexattr("f", "security.none"));
	be(0);
	SHOW(removexattr("f", "trusted.a"));
	SHOW(removexattr("f", "trusted.a"));
	SHOW(lsetxattr("missing", "trusted.a", "", 0, 0));
	SHOW(symlink("f", "link"));
	SHOW(lsetxattr("link", "trusted.l", "x", 1, 0));
	SHOW(getxattr("link", "trusted.l", list, 4));
	SHOW(lgetxattr("link", "trusted.l", list, 4));
	SHOW(unlink("f") + unlink("link"));
	free(big);
}

/* What only root may, whatever the modes. */
static void for_root_alone(void)
{
	struct timespec now[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };
	struct stat st;
	int fd;

	SHOW(mkdir("p", 0777) + make("f", 0600, OTHER, OTHER) +
	     make("writable", 0666, OTHER, OTHER));
	SHOW(truncate("f", 5));
	be(ME);
	SHOW(mknod("p/null", S_IFCHR | 0666, 1 << 8 | 3));
	SHOW(mknod("p/disk", S_IFBLK | 0666, 254 << 8));
	SHOW(mknod("p/fifo", S_IFIFO | 0666, 0));
	SHOW(mknod("p/fifo", S_IFCHR | 0666, 1 << 8 | 3));
	SHOW(chroot("p"));
	SHOW(chroot("f"));
	SHOW(chroot("missing"));
	fd = open("f", O_PATH | O_TRUNC);
	SHOW(close(fd));
	SHOW(stat("f", &st));
	printf("%lld bytes\n", (long long)st.st_size);
	SHOW(open("p/new", O_PATH | O_CREAT, 0644));
	SHOW(open("p/new", O_PATH | O_TMPFILE | O_RDWR, 0644));
	fd = open("writable", O_RDWR);
	SHOW(fcntl(fd, F_SETFL, O_NOATIME));
	SHOW(close(fd));
	SHOW(utimensat(AT_FDCWD, "writable", now, 0));
	SHOW(truncate(".", 0));
	SHOW(truncate("f", 0));
	SHOW(truncate("f", -1));
	SHOW(unlink("f/"));
	SHOW(unlink("/dev/null/"));
	SHOW(rmdir("/dev/null"));
	be(0);
	SHOW(unlink("p/fifo") + rmdir("p") + unlink("f") + unlink("writable"));
}

/* In a folder that hands its group on, others than the group's make no programs that run as it. */
static void foreign_group(void)
{
	int fd;

	SHOW(mkdir("d", 0777) + chown("d", OTHER, OTHER) + chmod("d", 02777));
	be(ME);
	fd = open("d/program", O_CREAT | O_RDWR, 02775);
	printf("mode %o\n", mode_of("d/program"));
	SHOW(close(fd) + unlink("d/program"));
	fd = open("d/data", O_CREAT | O_RDWR, 02664);
	printf("mode %o\n", mode_of("d/data"));
	SHOW(close(fd) + unlink("d/data"));
	SHOW(mkdir("d/sub", 0777));
	printf("mode %o\n", mode_of("d/sub"));
	be(0);
	fd = open("d/program", O_CREAT | O_RDWR, 02775);
	printf("mode %o\n", mode_of("d/program"));
	SHOW(close(fd) + unlink("d/program") + rmdir("d/sub") + rmdir("d"));
}

/* A write of nothing is none. */
static void empty_write(void)
{
	int fd;

	make("f", 06777, ME, GROUP);
	be(ME);
	fd = open("f", O_RDWR);
	SHOW(write(fd, "", 0));
	printf("mode %o\n", mode_of("f"));
	be(0);
	SHOW(close(fd) + unlink("f"));
}

static void tmpfiles(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR, 0644),
	    excl = open(".", O_TMPFILE | O_EXCL | O_RDWR, 0644);

	SHOW(linkat(fd, "", AT_FDCWD, "named", AT_EMPTY_PATH));
	SHOW(linkat(fd, "", AT_FDCWD, "named", AT_EMPTY_PATH));
	SHOW(linkat(excl, "", AT_FDCWD, "never", AT_EMPTY_PATH));
	SHOW(unlink("named"));
	SHOW(linkat(fd, "", AT_FDCWD, "again", AT_EMPTY_PATH));
	SHOW(open(".", O_TMPFILE | O_RDONLY, 0644));
	SHOW(open("nowhere", O_TMPFILE | O_RDWR, 0644));
	make("f", 0644, 0, 0);
	SHOW(open("f", O_TMPFILE | O_RDWR, 0644));
	SHOW(unlink("f") + close(fd) + close(excl));
}

static void identity(void)
{
	unsigned r, e, s;
	gid_t groups[8];

	SHOW(getgroups(0, NULL));
	SHOW(getgroups(8, groups));
	SHOW((int)groups[0]);
	SHOW(setresuid(-1, ME, -1));
	SHOW(getresuid(&r, &e, &s));
	printf("%u %u %u\n", r, e, s);
	SHOW(setgroups(0, NULL));
	SHOW(setuid(OTHER));
	SHOW(setresgid(GROUP, GROUP, GROUP));
	SHOW(seteuid(0));
	make("f", 0700, 0, 0);
	SHOW(setreuid(ME, 0));
	SHOW(access("f", R_OK));
	SHOW(faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS));
	SHOW(unlink("f"));
	SHOW(setreuid(0, -1));
	SHOW(setuid(ME));
	SHOW(getresuid(&r, &e, &s));
	printf("%u %u %u\n", r, e, s);
	SHOW(seteuid(0));
	SHOW(setuid(0));
	SHOW((int)geteuid());
}

int main(void)
{
	gid_t extra = EXTRA;

	if (enter_tree() < 0 || setgroups(1, &extra) < 0 || chmod(".", 0777) < 0)
		return 1;
	umask(0);
	matrix();
	owners();
	set_id();
	sticky();
	moving_folders();
	places();
	attributes();
	for_root_alone();
	foreign_group();
	empty_write();
	tmpfiles();
	identity();
	return 0;
}
