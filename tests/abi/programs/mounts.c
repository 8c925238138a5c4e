/*
 * Mounting: file systems over folders, the same files at two places, moves, also out of what a
 * mount shows, detaching, flags, other flags later; and the errnos. Needs the right to mount (its
 * test gives it a namespace of its own) and an empty folder, named by TREE (else /tmp).
 */
#define _GNU_SOURCE
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

static int make(const char *path)
{
	int fd = open(path, O_CREAT | O_RDWR, 0644);

	return fd < 0 ? -1 : close(fd);
}

static int over(const char *at, unsigned long flags)
{
	return mount("none", at, "tmpfs", flags, "size=1m,mode=755");
}

static int bind_to(const char *from, const char *at, unsigned long flags)
{
	return mount(from, at, NULL, MS_BIND | flags, NULL);
}

static int flags_of(const char *path)
{
	struct statfs st;

	return statfs(path, &st) < 0 ? -1 : (int)(st.f_flags & ~(unsigned long)0x20);
}

static void errors(void)
{
	SHOW(over("missing", 0));
	SHOW(make("file"));
	SHOW(over("file", 0));
	SHOW(mount("none", "d", "nosuchfs", 0, NULL));
	SHOW(mount("none", "d", NULL, 0, NULL));
	SHOW(mount(NULL, "d", NULL, MS_BIND, NULL));
	SHOW(mount("missing", "d", NULL, MS_BIND, NULL));
	SHOW(mount("file", "d", NULL, MS_BIND, NULL));
	SHOW(mount("d", "file", NULL, MS_BIND, NULL));
	SHOW(mount("d", "e", NULL, MS_MOVE, NULL));
	SHOW(mount(NULL, "d", NULL, MS_REMOUNT, NULL));
	SHOW(umount("d"));
	SHOW(umount("missing"));
	SHOW(umount2("d", 1024));
	SHOW(unlink("file"));
}

static void stacked(void)
{
	struct stat a, b;

	SHOW(make("d/below"));
	SHOW(over("d", 0));
	SHOW(access("d/below", F_OK));
	SHOW(make("d/first"));
	SHOW(over("d", 0));
	SHOW(access("d/first", F_OK));
	SHOW(stat("d", &a) + stat(".", &b));
	YES("another device", a.st_dev != b.st_dev);
	SHOW(rmdir("d"));
	SHOW(rename("d", "x"));
	SHOW(rename("d/../e", "d/e"));
	SHOW(link("e/nothing", "d/x"));
	SHOW(umount("d"));
	SHOW(access("d/first", F_OK));
	SHOW(umount("d"));
	SHOW(access("d/below", F_OK));
	SHOW(unlink("d/below"));
}

static void bound(void)
{
	SHOW(mkdir("d/sub", 0755) + make("d/sub/f"));
	SHOW(bind_to("d", "e", 0));
	SHOW(access("e/sub/f", F_OK));
	SHOW(make("e/new"));
	SHOW(access("d/new", F_OK));
	SHOW(rename("d/new", "e/new"));
	SHOW(link("d/new", "e/other"));
	SHOW(unlink("d/new"));
	SHOW(umount("e"));
	SHOW(over("d/sub", 0) + make("d/sub/inner"));
	SHOW(bind_to("d", "e", 0));
	SHOW(access("e/sub/f", F_OK) + umount("e"));
	SHOW(bind_to("d", "e", MS_REC));
	SHOW(access("e/sub/inner", F_OK));
	SHOW(umount("e"));
	SHOW(umount2("e", MNT_DETACH));
	SHOW(access("e/sub", F_OK));
	SHOW(access("d/sub/inner", F_OK));
	SHOW(umount("d/sub"));
	SHOW(make("one") + make("two"));
	SHOW(bind_to("one", "two", 0));
	SHOW(unlink("two"));
	SHOW(rename("two", "three"));
	SHOW(umount("two"));
	SHOW(unlink("one") + unlink("two") + unlink("d/sub/f") + rmdir("d/sub"));
}

/* A folder bound below itself shows what was there before, and not itself once more. */
static void bound_below_itself(void)
{
	SHOW(mkdir("d/sub", 0755) + over("e", 0) + make("e/f"));
	SHOW(bind_to(".", "d/sub", MS_REC));
	SHOW(access("d/sub/e/f", F_OK));
	SHOW(access("d/sub/d/sub", F_OK));
	SHOW(access("d/sub/d/sub/e", F_OK));
	SHOW(umount2("d/sub", MNT_DETACH));
	SHOW(umount("e"));
	SHOW(rmdir("d/sub"));
}

#define DEPTH 300

/*
 * Mounts within mounts, on a small stack: shown twice, taken out, held from within until the end.
 */
static void *nested(void *unused)
{
	int top = open(".", O_RDONLY), bad = 0, deepest;

	(void)unused;
	SHOW(chdir("d"));
	for (int i = 0; i < DEPTH; i++)
		bad += mkdir("m", 0755) < 0 || over("m", 0) < 0 || chdir("m") < 0;
	printf("%d failed\n", bad);
	SHOW(make("deepest") + fchdir(top));
	SHOW(bind_to("d", "e", MS_REC));
	SHOW(chdir("e"));
	for (int i = 0; i < DEPTH; i++)
		bad += chdir("m") < 0;
	printf("%d failed\n", bad);
	SHOW(access("deepest", F_OK));
	SHOW(fchdir(top) + umount2("e", MNT_DETACH));
	SHOW(chdir("d"));
	for (int i = 0; i < DEPTH; i++)
		bad += chdir("m") < 0;
	printf("%d failed\n", bad);
	deepest = open(".", O_RDONLY);
	SHOW(fchdir(top) + umount2("d/m", MNT_DETACH));
	SHOW(faccessat(deepest, "deepest", F_OK, 0));
	SHOW(close(deepest)); /* with which all of them end */
	SHOW(rmdir("d/m") + close(top));
	return NULL;
}

static void on_a_small_stack(void *(*act)(void *))
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 40 << 10);
	if (!pthread_create(&thread, &attr, act, NULL))
		pthread_join(thread, NULL);
	pthread_attr_destroy(&attr);
}

static atomic_int wrong;
static atomic_bool through;

static void *walks(void *unused)
{
	static const char *const paths[] = { "d/f", "d/../d/f", "d", "d/sub/../f" };
	struct stat st;

	for (unsigned i = 0; !through; i++) {
		int fd = open(paths[i % 4], O_RDONLY);

		wrong += fd < 0 ? errno != ENOENT : fstat(fd, &st) < 0;
		if (fd >= 0 && i % 4 == 2)
			wrong += fstatat(fd, "..", &st, 0) < 0 && errno != ENOENT;
		if (fd >= 0)
			close(fd);
	}
	return unused;
}

/* File systems come and go under those who walk through them. */
static void beside_walkers(void)
{
	pthread_t threads[3];
	int failed = 0;

	through = false;
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, walks, NULL);
	for (int i = 0; i < 150; i++) {
		failed += over("d", 0) < 0 || make("d/f") < 0 || mkdir("d/sub", 0755) < 0;
		if (i % 2 || umount("d") < 0)
			failed += umount2("d", MNT_DETACH) < 0;
	}
	through = true;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	printf("%d wrong, %d failed\n", (int)wrong, failed);
}

static void moved(void)
{
	SHOW(over("d", 0) + mkdir("d/sub", 0755) + make("d/f"));
	SHOW(mount("d", "d/sub", NULL, MS_MOVE, NULL));
	SHOW(mount("d/sub", "e", NULL, MS_MOVE, NULL));
	SHOW(mount("d", "e", NULL, MS_MOVE, NULL));
	SHOW(access("e/f", F_OK));
	SHOW(access("d/f", F_OK));
	SHOW(umount("d"));
	SHOW(umount("e"));
}

static void detached(void)
{
	char text[4] = "";
	int fd, dir;

	SHOW(over("d", 0));
	fd = open("d/f", O_CREAT | O_RDWR, 0644);
	dir = open("d", O_RDONLY);
	SHOW(write(fd, "abc", 3));
	SHOW(umount("d"));
	SHOW(umount2("d", MNT_DETACH));
	SHOW(access("d/f", F_OK));
	SHOW(pread(fd, text, 3, 0));
	SHOW(faccessat(dir, "f", F_OK, 0));
	SHOW(close(openat(dir, "new", O_CREAT | O_RDWR, 0644)));
	SHOW(close(fd) + close(dir));
	SHOW(umount("d"));
	SHOW(symlink("d", "to-d"));
	SHOW(over("d", 0));
	SHOW(umount2("to-d", UMOUNT_NOFOLLOW));
	SHOW(umount2("to-d", 0));
	SHOW(unlink("to-d"));
}

/* What is moved out of the part that a mount shows cannot be left upwards, nor named. */
static void escaped(void)
{
	char text[256];
	int top = open(".", O_RDONLY);

	SHOW(over("d", 0) + mkdir("d/sub", 0755) + mkdir("d/sub/x", 0755) +
	     mkdir("d/sub/x/in", 0755) + make("d/f"));
	SHOW(bind_to("d/sub", "e", 0));
	SHOW(chdir("e/x/in"));
	YES("it has a path", getcwd(text, sizeof(text)) && strstr(text, "/e/x/in"));
	SHOW(renameat(top, "d/sub/x", top, "d/y"));
	YES("it has no path", !getcwd(text, sizeof(text)));
	SHOW(make("new"));
	SHOW(chdir(".."));
	SHOW(access("../f", F_OK));
	SHOW(access("../../f", F_OK));
	SHOW(mkdir("../z", 0755));
	SHOW(renameat(top, "d/y", top, "d/sub/x"));
	SHOW(chdir(".."));
	YES("it has a path again", getcwd(text, sizeof(text)) && strstr(text, "/e/x"));
	SHOW(access("../../e/x/in/new", F_OK));
	SHOW(fchdir(top) + close(top));
	SHOW(umount("e") + umount("d"));
}

static void flags(void)
{
	struct stat before, after;
	char byte;
	int fd;

	SHOW(over("d", 0) + make("d/f") + symlink("f", "d/link") + mkdir("d/sub", 0755) +
	     mkfifo("d/fifo", 0644));
	printf("flags %x\n", flags_of("d"));
	fd = open("d/f", O_RDWR);
	SHOW(write(fd, "x", 1));
	SHOW(mount(NULL, "d", NULL, MS_REMOUNT | MS_RDONLY, NULL));
	SHOW(close(fd));
	SHOW(mount(NULL, "d", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID, NULL));
	printf("flags %x\n", flags_of("d"));
	SHOW(make("d/new"));
	SHOW(open("d/f", O_RDWR));
	SHOW(open("d/f", O_RDONLY | O_TRUNC));
	SHOW(truncate("d/f", 0));
	SHOW(chmod("d/f", 0600));
	SHOW(unlink("d/f"));
	SHOW(rename("d/f", "d/g"));
	SHOW(mkdir("d/sub", 0755));
	SHOW(access("d/f", W_OK));
	SHOW(utimensat(AT_FDCWD, "d/f", NULL, 0));
	SHOW(unlink("d/missing"));
	SHOW(rmdir("d/missing"));
	SHOW(rename("d/missing", "d/x"));
	SHOW(mkdir("d/missing", 0755));
	SHOW(link("d/f", "d/f"));
	SHOW(access("d/fifo", W_OK));
	SHOW(close(open("d/fifo", O_RDWR)));
	SHOW(mount(NULL, "d", NULL, MS_REMOUNT, NULL));
	SHOW(make("d/new"));
	SHOW(bind_to("d", "e", 0));
	SHOW(mount(NULL, "e", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOEXEC, NULL));
	SHOW(make("e/newer"));
	SHOW(make("d/newer"));
	printf("flags %x and %x\n", flags_of("d"), flags_of("e"));
	SHOW(chmod("d/f", 0755));
	SHOW(access("d/f", X_OK));
	SHOW(access("e/f", X_OK));
	SHOW(umount("e"));
	SHOW(mount(NULL, "d", NULL, MS_REMOUNT | MS_NOATIME, NULL));
	printf("flags %x\n", flags_of("d"));
	fd = open("d/f", O_RDONLY);
	SHOW(stat("d/f", &before) + (int)read(fd, &byte, 1) + stat("d/f", &after));
	YES("the time of access stays",
	    !memcmp(&before.st_atim, &after.st_atim, sizeof(before.st_atim)));
	SHOW(close(fd));
	SHOW(mount(NULL, "d", NULL, MS_REMOUNT | MS_STRICTATIME | MS_NODIRATIME, NULL));
	printf("flags %x\n", flags_of("d"));
	fd = open("d/f", O_RDONLY);
	sleep_ms(20);
	SHOW(read(fd, &byte, 1) + stat("d/f", &after));
	YES("the time of access moves",
	    memcmp(&before.st_atim, &after.st_atim, sizeof(before.st_atim)));
	SHOW(close(fd));
	SHOW(umount("d"));
}

static int remount(unsigned long flags)
{
	return mount(NULL, "d", NULL, MS_REMOUNT | flags, NULL);
}

/* Whether it turns read-only; if so, it turns back. */
static int turns(void)
{
	return remount(MS_RDONLY) < 0 ? -1 : remount(0);
}

/*
 * What has no name any more is deleted when nobody has it open, for which its file system must be
 * writable.
 */
static void nameless(void)
{
	int fd;

	SHOW(over("d", 0) + make("d/f") + link("d/f", "d/other") + mkdir("d/sub", 0755));
	fd = open("d/f", O_RDONLY);
	SHOW(unlink("d/f"));
	SHOW(turns());
	SHOW(unlink("d/other"));
	SHOW(turns());
	SHOW(remount(MS_BIND | MS_RDONLY));
	SHOW(remount(MS_BIND));
	SHOW(close(fd));
	SHOW(turns());
	fd = open("d/sub", O_RDONLY);
	SHOW(rmdir("d/sub"));
	SHOW(turns());
	SHOW(close(fd));
	SHOW(turns());
	SHOW(make("d/f") + make("d/g"));
	fd = open("d/f", O_RDONLY);
	SHOW(rename("d/g", "d/f"));
	SHOW(turns());
	SHOW(close(fd));
	SHOW(turns());
	fd = open("d", O_TMPFILE | O_RDWR, 0644);
	SHOW(turns());
	SHOW(linkat(fd, "", AT_FDCWD, "d/named", AT_EMPTY_PATH));
	SHOW(close(fd));
	SHOW(turns());
	SHOW(umount("d"));
}

static void show_root(void)
{
	struct stat st;
	struct statfs fs;

	SHOW(stat("d", &st) + statfs("d", &fs));
	printf("root %o of %u:%u, %llu bytes, %llu files\n", st.st_mode, st.st_uid, st.st_gid,
	       (unsigned long long)fs.f_blocks * (unsigned long long)fs.f_bsize,
	       (unsigned long long)fs.f_files);
}

static int with(const char *options)
{
	return mount("none", "d", "tmpfs", 0, options);
}

static void options(void)
{
	static const char *const wrong[] = {
		"bogus", "size=", "size=1x", "mode=9", "mode=", "uid=x", "gid=-1", "nr_inodes=many",
		"size=1m,mode=7x5", "size=1m,unknown=1", "nr_blocks=1m1",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		SHOW(with(wrong[i]));
	SHOW(with("size=1m,mode=1750,uid=0,gid=0,nr_inodes=4"));
	show_root();
	SHOW(make("d/1") + make("d/2") + make("d/3"));
	SHOW(make("d/4"));
	SHOW(unlink("d/1") + make("d/4"));
	SHOW(mount(NULL, "d", NULL, MS_REMOUNT, "size=2m"));
	show_root();
	SHOW(mount(NULL, "d", NULL, MS_REMOUNT, "nr_inodes=2"));
	SHOW(mount(NULL, "d", NULL, MS_REMOUNT, "size=3m,bogus"));
	show_root();
	SHOW(umount("d"));
	SHOW(with(",size=64k,,nr_inodes=9,nr_blocks=3,"));
	show_root();
	SHOW(umount("d"));
}

int main(void)
{
	if (enter_tree() < 0)
		return 1;
	SHOW(mkdir("d", 0755) + mkdir("e", 0755));
	errors();
	stacked();
	bound();
	bound_below_itself();
	on_a_small_stack(nested);
	beside_walkers();
	moved();
	detached();
	flags();
	nameless();
	escaped();
	options();
	SHOW(rmdir("d") + rmdir("e"));
	return 0;
}
