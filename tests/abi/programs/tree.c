/*
 * The tree of files: creating, naming, renaming, removing, links, attributes, folders; and every
 * errno on the way. Runs in an empty folder of a tmpfs, named by TREE in the environment (else
 * /tmp).
 */
#define _GNU_SOURCE
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOREPLACE 1
#define EXCHANGE  2

static int rename2(const char *from, const char *to, unsigned flags)
{
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

static int make(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);

	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		return -1;
	return fd >= 0 ? close(fd) : -1;
}

static void show_file(const char *path)
{
	char text[100] = { 0 };
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		printf("%s: %s\n", path, errno_name(errno));
	else
		printf("%s holds '%s'\n", path, text);
	if (fd >= 0)
		close(fd);
}

static void show_stat(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		printf("%s: %s\n", path, errno_name(errno));
	else
		printf("%s: mode %o, %d links, %lld bytes\n", path, (unsigned)st.st_mode,
		       S_ISDIR(st.st_mode) ? 0 : (int)st.st_nlink,
		       S_ISDIR(st.st_mode) ? 0LL : (long long)st.st_size);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void show_dir(const char *path)
{
	static char *names[4000];
	size_t count = 0, types = 0;
	struct dirent *e;
	DIR *d = opendir(path);

	if (!d) {
		printf("%s: %s\n", path, errno_name(errno));
		return;
	}
	while ((e = readdir(d)) && count < 4000) {
		types += e->d_type != DT_UNKNOWN && e->d_ino != 0;
		names[count++] = strdup(e->d_name);
	}
	closedir(d);
	qsort(names, count, sizeof(names[0]), by_name);
	printf("%s has %zu names%s:", path, count, types == count ? "" : ", some without type");
	for (size_t i = 0; i < count; i++) {
		if (count < 20)
			printf(" %s", names[i]);
		free(names[i]);
	}
	printf("\n");
}

static void creating(void)
{
	SHOW(make("a", "first"));
	show_file("a");
	SHOW(open("a", O_CREAT | O_EXCL | O_RDWR, 0644));
	SHOW(open("missing", O_RDWR));
	SHOW(open("missing/x", O_CREAT | O_RDWR, 0644));
	SHOW(open("a/x", O_CREAT | O_RDWR, 0644));
	SHOW(open("new/", O_CREAT | O_RDWR, 0644));
	SHOW(open("", O_RDONLY));
	SHOW(open("a", O_DIRECTORY));
	SHOW(open("a/", O_RDONLY));
	SHOW(open(".", O_RDWR));
	SHOW(open(".", O_CREAT | O_RDONLY, 0644));
	SHOW(mkdir("d", 0755));
	SHOW(mkdir("d", 0755));
	SHOW(mkdir("d/e/", 0700));
	SHOW(mkdir("x/y", 0755));
	SHOW(mkdir(".", 0755));
	SHOW(mkdir("/", 0755));
	SHOW(mkdir("a/b", 0755));
	SHOW(open("d", O_WRONLY));
	SHOW(mknod("fifo", S_IFIFO | 0600, 0));
	SHOW(mknod("plain", S_IFREG | 0600, 0));
	SHOW(mknod("dir", S_IFDIR | 0600, 0));
	show_stat("a");
	show_stat("d");
	show_stat("fifo");
	show_stat("plain");
	umask(077);
	SHOW(make("private", ""));
	show_stat("private");
	umask(022);
	show_dir(".");
}

static void long_names(void)
{
	static char name[5000];

	memset(name, 'n', sizeof(name) - 1);
	name[255] = 0;
	SHOW(mkdir(name, 0755));
	SHOW(rmdir(name));
	name[255] = 'n';
	name[256] = 0;
	SHOW(mkdir(name, 0755) == 0);
	name[256] = 'n';
	SHOW(open(name, O_RDONLY));
	for (size_t i = 0; i < 4094; i += 2)
		memcpy(name + i, "./", 2);
	name[4094] = 'a';
	name[4095] = 0;
	show_file("a");
	SHOW(access(name, F_OK) == 0);
	name[4095] = 'a';
	SHOW(access(name, F_OK));
}

static void removing(void)
{
	SHOW(unlink("missing"));
	SHOW(unlink("d"));
	SHOW(rmdir("a"));
	SHOW(rmdir("d"));
	SHOW(rmdir("d/."));
	SHOW(rmdir("d/e/.."));
	SHOW(rmdir("/"));
	SHOW(unlink("a/"));
	SHOW(rmdir("d/e/"));
	SHOW(rmdir("d"));
	SHOW(unlink("fifo"));
	SHOW(unlink("plain"));
	SHOW(unlink("private"));
	SHOW(unlinkat(AT_FDCWD, "a", 0x4000));
	show_dir(".");
}

static void an_open_file_outlives_its_name(void)
{
	char text[20] = { 0 };
	int fd = open("ghost", O_CREAT | O_RDWR, 0600);
	struct stat st;

	SHOW(write(fd, "still here", 10));
	SHOW(unlink("ghost"));
	SHOW(pread(fd, text, 10, 0));
	printf("%s\n", text);
	SHOW(fstat(fd, &st));
	printf("%d links\n", (int)st.st_nlink);
	SHOW(open("ghost", O_RDONLY));
	SHOW(close(fd));
}

static void hard_links(void)
{
	struct stat a, b;

	SHOW(link("a", "b"));
	SHOW(link("a", "b"));
	SHOW(link("missing", "c"));
	SHOW(mkdir("d", 0755));
	SHOW(link("d", "d2"));
	SHOW(link("a", "d/a/"));
	SHOW(link("a", "d/a"));
	stat("a", &a);
	stat("d/a", &b);
	printf("%d links; same file: %s\n", (int)a.st_nlink, a.st_ino == b.st_ino ? "yes" : "no");
	SHOW(make("b", "second"));
	show_file("a");
	SHOW(unlink("b"));
	SHOW(unlink("d/a"));
	show_stat("a");
}

static void symbolic_links(void)
{
	char text[100] = { 0 };

	SHOW(symlink("a", "s"));
	SHOW(symlink("s", "s2"));
	SHOW(symlink("nowhere", "dangling"));
	SHOW(symlink("loop2", "loop1"));
	SHOW(symlink("loop1", "loop2"));
	SHOW(symlink("", "empty"));
	SHOW(symlink("x", "s"));
	SHOW(symlink("d/", "to_d"));
	show_file("s2");
	SHOW(readlink("s2", text, sizeof(text)));
	printf("%s\n", text);
	SHOW(readlink("s2", text, 1));
	SHOW(readlink("a", text, sizeof(text)));
	SHOW(readlink("missing", text, sizeof(text)));
	show_stat("s");
	SHOW(open("s", O_RDONLY | O_NOFOLLOW));
	SHOW(open("loop1", O_RDONLY));
	SHOW(open("dangling", O_RDONLY));
	SHOW(open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0644));
	SHOW(make("dangling", "made through a link"));
	show_file("nowhere");
	SHOW(make("to_d/f", "in d"));
	show_file("d/f");
	show_dir("to_d");
	SHOW(rmdir("to_d"));
	SHOW(unlink("to_d"));
	SHOW(mkdir("s", 0755));
	SHOW(mkdir("loop1/x", 0755));
	for (int i = 0; i < 42; i++) {
		char from[20], to[20];

		snprintf(from, sizeof(from), i ? "chain%d" : "a", i - 1);
		snprintf(to, sizeof(to), "chain%d", i);
		if (symlink(from, to) < 0)
			printf("chain broke\n");
	}
	show_file("chain39");
	show_file("chain40");
	for (int i = 0; i < 42; i++) {
		char to[20];

		snprintf(to, sizeof(to), "chain%d", i);
		unlink(to);
	}
	unlink("s"), unlink("s2"), unlink("dangling"), unlink("loop1"), unlink("loop2");
	unlink("nowhere"), unlink("d/f");
	show_dir(".");
}

static void renaming(void)
{
	SHOW(make("x", "from x"));
	SHOW(rename("x", "y"));
	show_file("y");
	show_file("x");
	SHOW(rename("missing", "y"));
	SHOW(rename("y", "missing/y"));
	SHOW(rename("y", "d"));
	SHOW(rename("d", "y"));
	SHOW(rename("d", "d/below"));
	SHOW(mkdir("d/below", 0755));
	SHOW(rename("d", "d/below/deeper"));
	SHOW(rename("d/below", "d"));
	SHOW(rename("y", "y"));
	SHOW(rename("y", "z/"));
	SHOW(rename("y/", "z"));
	SHOW(rename(".", "z"));
	SHOW(rename("d/..", "z"));
	SHOW(rename("y", "."));
	SHOW(mkdir("full", 0755));
	SHOW(make("full/f", "f"));
	SHOW(rename("d", "full"));
	SHOW(rename("full", "d/below"));
	show_dir("d");
	show_dir("d/below");
	SHOW(rename("d/below", "full/"));
	show_dir(".");
	SHOW(make("target", "to be replaced"));
	SHOW(rename2("y", "target", NOREPLACE));
	SHOW(rename2("y", "target2", NOREPLACE));
	SHOW(rename2("target2", "target", EXCHANGE));
	show_file("target");
	show_file("target2");
	SHOW(rename2("target", "missing", EXCHANGE));
	SHOW(rename2("full", "target", EXCHANGE));
	show_dir("target");
	show_file("full");
	SHOW(rename2("target", "target/f", EXCHANGE));
	SHOW(rename2("full", "target", NOREPLACE | EXCHANGE));
	SHOW(rename2("full", "target", 0x80));
	SHOW(link("full", "other_name"));
	SHOW(rename("full", "other_name"));
	show_stat("full");
	unlink("other_name"), unlink("full"), unlink("target2"), unlink("target/f");
	SHOW(rmdir("target"));
	SHOW(rmdir("d"));
	show_dir(".");
}

static void sizes(void)
{
	static unsigned char bytes[20000];
	struct stat st;
	int fd = open("sized", O_CREAT | O_RDWR, 0600);
	size_t zeroes = 0;

	memset(bytes, 'x', sizeof(bytes));
	SHOW(write(fd, bytes, sizeof(bytes)));
	SHOW(ftruncate(fd, 5000));
	SHOW(ftruncate(fd, 15000));
	SHOW(pread(fd, bytes, sizeof(bytes), 0));
	for (size_t i = 0; i < 15000; i++)
		zeroes += bytes[i] == 0;
	printf("%zu zeroes\n", zeroes);
	SHOW(ftruncate(fd, -1));
	SHOW(truncate("sized", 100000));
	SHOW(lseek(fd, 0, SEEK_END));
	SHOW(pwrite(fd, "far", 3, 1000000));
	SHOW(lseek(fd, 100000, SEEK_DATA));
	SHOW(lseek(fd, 0, SEEK_HOLE));
	SHOW(lseek(fd, 1000003, SEEK_DATA));
	SHOW(lseek(fd, 1000001, SEEK_HOLE));
	fstat(fd, &st);
	printf("%lld bytes, %s\n", (long long)st.st_size,
	       st.st_blocks < 100 ? "sparse" : "not sparse");
	SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 4000));
	memset(bytes, 1, sizeof(bytes));
	SHOW(pread(fd, bytes, 5000, 0));
	printf("%c %d %d %c\n", bytes[99], bytes[100], bytes[4099], bytes[4100]);
	SHOW(fallocate(fd, 0, 2000000, 8192));
	SHOW(lseek(fd, 0, SEEK_END));
	SHOW(fallocate(fd, FALLOC_FL_KEEP_SIZE, 4000000, 1));
	SHOW(lseek(fd, 0, SEEK_END));
	SHOW(fallocate(fd, 0, -1, 10));
	SHOW(fallocate(fd, 0, 0, 0));
	SHOW(close(fd));
	fd = open("sized", O_WRONLY | O_APPEND);
	SHOW(lseek(fd, 0, SEEK_SET));
	SHOW(write(fd, "end", 3));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(read(fd, bytes, 1));
	SHOW(close(fd));
	fd = open("sized", O_RDONLY);
	SHOW(ftruncate(fd, 0));
	SHOW(write(fd, "x", 1));
	SHOW(close(fd));
	SHOW(close(open("sized", O_WRONLY | O_TRUNC)));
	show_stat("sized");
	SHOW(truncate(".", 0));
	SHOW(truncate("missing", 0));
	SHOW(unlink("sized"));
}

static void attributes(void)
{
	struct timespec times[2] = { { 1000, 1 }, { 2000, 999999999 } }, bad = { 0, 2000000000 };
	struct stat st, before;
	char value[20] = { 0 }, list[100];
	ssize_t n;

	SHOW(make("t", ""));
	SHOW(chmod("t", 04751));
	show_stat("t");
	SHOW(chmod("missing", 0644));
	SHOW(chown("t", (uid_t)-1, (gid_t)-1));
	SHOW(utimensat(AT_FDCWD, "t", times, 0));
	stat("t", &st);
	printf("%ld.%09ld %ld.%09ld\n", (long)st.st_atim.tv_sec, st.st_atim.tv_nsec,
	       (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	times[0].tv_nsec = UTIME_OMIT;
	times[1] = bad;
	SHOW(utimensat(AT_FDCWD, "t", times, 0));
	times[1] = (struct timespec){ 3000, 5 };
	SHOW(utimensat(AT_FDCWD, "t", times, 0));
	stat("t", &st);
	printf("%ld %ld\n", (long)st.st_atim.tv_sec, (long)st.st_mtim.tv_sec);
	before = st;
	sleep_ms(20);
	SHOW(make("t", "new"));
	stat("t", &st);
	YES("writing moves the time", st.st_mtim.tv_sec > before.st_mtim.tv_sec);
	show_file("t");
	stat("t", &st);
	YES("reading too, once after a change", st.st_atim.tv_sec > before.st_atim.tv_sec);
	SHOW(access("t", R_OK | W_OK));
	SHOW(access("missing", F_OK));
	SHOW(access("t", 99));
	SHOW(setxattr("t", "trusted.one", "value", 5, 0));
	SHOW(setxattr("t", "trusted.one", "again", 5, XATTR_CREATE));
	SHOW(setxattr("t", "trusted.two", "again", 5, XATTR_REPLACE));
	SHOW(getxattr("t", "trusted.one", value, sizeof(value)));
	printf("%s\n", value);
	SHOW(getxattr("t", "trusted.one", value, 2));
	SHOW(getxattr("t", "trusted.one", NULL, 0));
	SHOW(getxattr("t", "trusted.none", value, sizeof(value)));
	SHOW(getxattr("t", "nonsense", value, sizeof(value)));
	n = listxattr("t", list, sizeof(list));
	printf("%d %s\n", (int)n, n > 0 ? list : "");
	SHOW(removexattr("t", "trusted.one"));
	SHOW(removexattr("t", "trusted.one"));
	SHOW(unlink("t"));
}

static void relative(void)
{
	char text[4096], small[3];
	int here = open(".", O_RDONLY | O_DIRECTORY), dir, fd;
	struct stat st;

	SHOW(mkdir("w", 0755));
	SHOW(chdir("w"));
	YES("getcwd ends in w", getcwd(text, sizeof(text)) && !strcmp(strrchr(text, '/'), "/w"));
	SHOW(getcwd(small, sizeof(small)) != NULL);
	SHOW(make("../from_w", "up"));
	SHOW(fchdir(here));
	show_file("w/../from_w");
	show_file("./w/.././/w/../from_w");
	dir = open("w", O_RDONLY);
	SHOW(mkdirat(dir, "v", 0755));
	fd = openat(dir, "v/f", O_CREAT | O_RDWR, 0644);
	YES("opened beside a descriptor", fd >= 0);
	SHOW(fstatat(fd, "", &st, AT_EMPTY_PATH));
	SHOW(fstatat(fd, "x", &st, 0));
	SHOW(fstatat(99, "x", &st, 0));
	SHOW(openat(99, "x", O_RDONLY));
	SHOW(openat(fd, "x", O_RDONLY));
	SHOW(fchdir(fd));
	SHOW(close(fd));
	SHOW(unlinkat(dir, "v/f", 0));
	SHOW(unlinkat(dir, "v", AT_REMOVEDIR));
	SHOW(fchdir(dir));
	SHOW(rmdir("../w"));
	SHOW(getcwd(text, sizeof(text)) != NULL);
	SHOW(mkdir("x", 0755));
	SHOW(open(".", O_RDONLY) >= 0);
	SHOW(fchdir(here));
	show_file("/../../../../dev/null");
	SHOW(chdir("from_w"));
	SHOW(unlink("from_w"));
	fd = open(".", O_TMPFILE | O_RDWR, 0600);
	YES("a file without a name", fd >= 0);
	SHOW(write(fd, "soon named", 10));
	fstat(fd, &st);
	printf("%d links\n", (int)st.st_nlink);
	SHOW(linkat(fd, "", AT_FDCWD, "named", AT_EMPTY_PATH));
	show_file("named");
	SHOW(unlink("named"));
	SHOW(open(".", O_TMPFILE | O_RDONLY, 0600));
	close(fd), close(dir), close(here);
}

static void many(void)
{
	char name[300];
	int bad = 0, seen = 0;
	struct dirent *e;
	DIR *d;

	SHOW(mkdir("many", 0755));
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "many/file-%d", i);
		bad += make(name, "") != 0;
	}
	show_dir("many");
	d = opendir("many");
	while ((e = readdir(d)))
		if (e->d_name[0] != '.') {
			snprintf(name, sizeof(name), "many/%s", e->d_name);
			bad += unlink(name) != 0;
			seen++;
		}
	closedir(d);
	printf("%d removed while reading, %d bad\n", seen, bad);
	SHOW(rmdir("many"));
}

int main(void)
{
	struct statfs fs;

	if (enter_tree() < 0)
		return 2;
	SHOW(statfs(".", &fs));
	YES("it is a tmpfs or an ext4", fs.f_type == 0x1021994 || fs.f_type == 0xef53);
	printf("names of %ld bytes\n", (long)fs.f_namelen);
	creating();
	long_names();
	removing();
	an_open_file_outlives_its_name();
	hard_links();
	symbolic_links();
	renaming();
	sizes();
	attributes();
	relative();
	many();
	return 0;
}
