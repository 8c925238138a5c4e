/*
 * inotify: which events come of which call, in which order, with which names and numbers; flags of
 * watches, coalescing, overflow, readiness. Runs in an empty folder of a tmpfs, named by TREE (else
 * /tmp).
 */
#define _GNU_SOURCE
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ALL_EVENTS 0xfff

static int ino;
static uint32_t first_cookie;

static void show_mask(uint32_t mask)
{
	static const struct { uint32_t bit; const char *name; } bits[] = {
		{ IN_ACCESS, "ACCESS" }, { IN_MODIFY, "MODIFY" }, { IN_ATTRIB, "ATTRIB" },
		{ IN_CLOSE_WRITE, "CLOSE_WRITE" }, { IN_CLOSE_NOWRITE, "CLOSE_NOWRITE" },
		{ IN_OPEN, "OPEN" }, { IN_MOVED_FROM, "MOVED_FROM" }, { IN_MOVED_TO, "MOVED_TO" },
		{ IN_CREATE, "CREATE" }, { IN_DELETE, "DELETE" }, { IN_DELETE_SELF, "DELETE_SELF" },
		{ IN_MOVE_SELF, "MOVE_SELF" }, { IN_UNMOUNT, "UNMOUNT" },
		{ IN_Q_OVERFLOW, "Q_OVERFLOW" }, { IN_IGNORED, "IGNORED" }, { IN_ISDIR, "ISDIR" },
	};

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		if (mask & bits[i].bit)
			printf(" %s", bits[i].name);
		mask &= ~bits[i].bit;
	}
	if (mask)
		printf(" and %x", mask);
}

/* Names of files without a name are numbers that differ. */
static const char *name_of(const struct inotify_event *e)
{
	return !e->len ? "-" : e->name[0] == '#' ? "(nameless)" : e->name;
}

/* Prints what has happened since the last time. */
static void events(const char *after)
{
	static char buf[16384] __attribute__((aligned(8)));
	ssize_t n;

	printf("after %s:\n", after);
	while ((n = read(ino, buf, sizeof(buf))) > 0) {
		for (char *p = buf; p < buf + n;) {
			struct inotify_event *e = (void *)p;

			if (e->cookie && !first_cookie)
				first_cookie = e->cookie;
			printf("  %d %s (%u bytes)", e->wd, name_of(e),
			       e->name[0] == '#' ? 0 : e->len);
			show_mask(e->mask);
			printf(e->cookie ? ", cookie %u\n" : "\n", e->cookie - first_cookie);
			p += sizeof(*e) + e->len;
		}
	}
	if (n < 0 && errno != EAGAIN)
		printf("  %s\n", errno_name(errno));
}

static void make(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0644);

	if (fd < 0 || write(fd, "text", 4) != 4 || close(fd) < 0)
		printf("making %s: %s\n", path, errno_name(errno));
}

static void errors(void)
{
	int other = open(".", O_RDONLY);

	SHOW(inotify_init1(12345));
	SHOW(inotify_add_watch(ino, ".", 0));
	SHOW(inotify_add_watch(ino, ".", 0x00100000));
	SHOW(inotify_add_watch(ino, ".", IN_OPEN | 0x00100000));
	SHOW(inotify_add_watch(999, ".", IN_OPEN));
	SHOW(inotify_add_watch(other, ".", IN_OPEN));
	SHOW(inotify_add_watch(ino, ".", IN_OPEN | IN_MASK_ADD | IN_MASK_CREATE));
	SHOW(inotify_add_watch(ino, "missing", IN_OPEN));
	SHOW(inotify_add_watch(ino, "", IN_OPEN));
	SHOW(inotify_rm_watch(ino, 1));
	SHOW(inotify_rm_watch(999, 1));
	SHOW(inotify_rm_watch(other, 1));
	make("plain");
	SHOW(symlink("plain", "link"));
	SHOW(inotify_add_watch(ino, "plain", IN_OPEN | IN_ONLYDIR));
	SHOW(inotify_add_watch(ino, "link", IN_OPEN));
	SHOW(inotify_add_watch(ino, "plain", IN_OPEN | IN_MASK_CREATE));
	SHOW(inotify_add_watch(ino, "link", IN_OPEN | IN_DONT_FOLLOW));
	SHOW(inotify_rm_watch(ino, 1));
	SHOW(inotify_rm_watch(ino, 1));
	SHOW(inotify_rm_watch(ino, 2));
	SHOW(unlink("link") + unlink("plain"));
	events("errors");
	close(other);
}

static void a_file(void)
{
	char text[8];
	int fd, d;

	SHOW(inotify_add_watch(ino, ".", ALL_EVENTS));
	fd = open("f", O_CREAT | O_RDWR, 0644);
	events("creating");
	d = inotify_add_watch(ino, "f", ALL_EVENTS);
	printf("its watch is %d\n", d);
	SHOW(write(fd, "12345", 5) + write(fd, "", 0));
	events("writing");
	SHOW(pread(fd, text, 5, 0) + pread(fd, text, 5, 5));
	events("reading");
	SHOW(ftruncate(fd, 3) + truncate("f", 3));
	events("truncating twice");
	SHOW(fchmod(fd, 0600) + chmod("f", 0644) + chown("f", getuid(), -1) + chown("f", -1, -1));
	events("attributes");
	struct timespec times[2] = { { 1, 0 }, { 0, UTIME_OMIT } };
	SHOW(utimensat(AT_FDCWD, "f", times, 0));
	events("its time of access");
	times[0].tv_nsec = UTIME_OMIT, times[1] = (struct timespec){ 1, 0 };
	SHOW(utimensat(AT_FDCWD, "f", times, 0));
	events("its time of change");
	SHOW(utimensat(AT_FDCWD, "f", NULL, 0));
	events("both");
	SHOW(setxattr("f", "security.x", "y", 1, 0) + removexattr("f", "security.x"));
	events("extended attributes");
	SHOW(fallocate(fd, 0, 0, 100));
	events("fallocate");
	SHOW(close(fd));
	events("closing");
	SHOW(close(open("f", O_RDONLY)) + close(open("f", O_PATH)));
	SHOW(access("f", R_OK));
	events("looking");
	/* whether OPEN comes before or after it differs between versions */
	inotify_add_watch(ino, ".", IN_MODIFY);
	inotify_add_watch(ino, "f", IN_MODIFY);
	SHOW(close(open("f", O_WRONLY | O_TRUNC)));
	events("open with O_TRUNC");
	inotify_add_watch(ino, ".", ALL_EVENTS);
	inotify_add_watch(ino, "f", ALL_EVENTS);
}

static void names(void)
{
	int fd;

	SHOW(link("f", "g"));
	events("link");
	SHOW(unlink("f"));
	events("unlink of one name");
	SHOW(rename("g", "h"));
	events("rename");
	make("other");
	SHOW(inotify_add_watch(ino, "other", ALL_EVENTS));
	events("another file");
	SHOW(rename("h", "other"));
	events("rename over it");
	make("third");
	events("a third");
	SHOW((int)syscall(SYS_renameat2, AT_FDCWD, "other", AT_FDCWD, "third", 2));
	events("exchange");
	SHOW(rename("third", "third"));
	events("rename to itself");
	SHOW(symlink("nowhere", "s") + unlink("s"));
	events("symbolic link");
	SHOW(mknod("p", S_IFIFO | 0600, 0) + unlink("p"));
	events("mknod");
	fd = open("third", O_RDWR);
	SHOW(unlink("third"));
	events("unlink while open");
	SHOW(write(fd, "x", 1) + close(fd));
	events("its last use");
	SHOW(unlink("other"));
	events("unlink of what nobody watches");
}

static void folders(void)
{
	DIR *d;

	SHOW(mkdir("d", 0755));
	printf("its watch is %d\n", inotify_add_watch(ino, "d", ALL_EVENTS));
	events("mkdir");
	d = opendir("d");
	while (readdir(d))
		;
	closedir(d);
	events("reading the folder");
	make("d/inside");
	events("a file in it");
	SHOW(rename("d/inside", "outside"));
	events("moved out");
	SHOW(mkdir("e", 0755) + rename("d", "e/d"));
	events("the folder moved");
	SHOW(chmod("e/d", 0700));
	events("the folder's mode");
	SHOW(rmdir("e/d"));
	events("rmdir");
	SHOW(rmdir("e") + unlink("outside"));
	events("the others");
}

static void nameless(void)
{
	char path[40];
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);

	SHOW(write(fd, "x", 1));
	events("O_TMPFILE");
	snprintf(path, sizeof(path), "now-it-has-a-name-of-some-length");
	SHOW(linkat(fd, "", AT_FDCWD, path, AT_EMPTY_PATH));
	SHOW(close(fd));
	SHOW(unlink(path));
	events("a name for it");
}

static void flags(void)
{
	int fd, wd;

	make("f");
	events("a file");
	wd = inotify_add_watch(ino, "f", IN_OPEN | IN_ONESHOT);
	close(open("f", O_RDONLY));
	close(open("f", O_RDONLY));
	events("one shot");
	wd = inotify_add_watch(ino, "f", IN_OPEN);
	printf("added: %s\n",
	       inotify_add_watch(ino, "f", IN_CLOSE | IN_MASK_ADD) == wd ? "same" : "other");
	close(open("f", O_RDONLY));
	events("IN_MASK_ADD");
	printf("replaced: %s\n", inotify_add_watch(ino, "f", IN_CLOSE) == wd ? "same" : "other");
	close(open("f", O_RDONLY));
	events("a mask replaced");
	SHOW(inotify_rm_watch(ino, wd));
	SHOW(inotify_add_watch(ino, ".", ALL_EVENTS | IN_EXCL_UNLINK));
	fd = open("f", O_RDWR);
	unlink("f");
	events("IN_EXCL_UNLINK, unlink");
	SHOW(write(fd, "x", 1) + close(fd));
	events("what comes then");
	SHOW(inotify_rm_watch(ino, 1));
	events("the end of the watch");
	SHOW(inotify_rm_watch(ino, 1));
	make("f");
	unlink("f");
	events("acts without watches");
}

static void queue(void)
{
	struct pollfd p = { ino, POLLIN | POLLOUT, 0 };
	struct epoll_event e = { .events = EPOLLIN };
	int ep = epoll_create1(0), bytes = -1, fd = open("f", O_CREAT | O_RDWR, 0644);
	char small[17];

	inotify_add_watch(ino, "f", ALL_EVENTS);
	SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, ino, &e));
	SHOW(poll(&p, 1, 0) + epoll_wait(ep, &e, 1, 0));
	SHOW(read(ino, small, sizeof(small)));
	for (int i = 0; i < 5; i++)
		if (pwrite(fd, "x", 1, 0) != 1)
			printf("cannot write\n");
	SHOW(poll(&p, 1, 1000));
	printf("events %x\n", p.revents);
	SHOW(epoll_wait(ep, &e, 1, 1000));
	SHOW(ioctl(ino, FIONREAD, &bytes));
	printf("%d bytes\n", bytes);
	SHOW(read(ino, small, 15));
	SHOW(read(ino, small, 16));
	SHOW(write(ino, small, 16));
	for (int i = 0; i < 3; i++)
		if (pwrite(fd, "x", 1, 0) != 1 || fchmod(fd, 0600) < 0)
			printf("cannot write\n");
	events("two acts in turn");
	close(fd);
	unlink("f");
	events("the file's end");
	close(ep);
}

static void overflow(void)
{
	static char buf[1 << 20] __attribute__((aligned(8)));
	int fd = open("f", O_CREAT | O_RDWR, 0644),
	    wd = inotify_add_watch(ino, "f", IN_MODIFY | IN_ATTRIB);
	struct inotify_event *e = (void *)buf;
	int count = 0;
	ssize_t n;

	for (int i = 0; i < 20000; i++)
		if (pwrite(fd, "x", 1, 0) != 1 || fchmod(fd, 0600) < 0)
			printf("cannot write\n");
	while ((n = read(ino, buf, sizeof(buf))) > 0) {
		for (char *p = buf; p < buf + n; p += sizeof(*e) + e->len) {
			e = (void *)p;
			count++;
		}
	}
	YES("the last of many events says that more were lost",
	    e->wd == -1 && e->mask == IN_Q_OVERFLOW && count > 1000);
	SHOW(pwrite(fd, "x", 1, 0));
	n = read(ino, buf, sizeof(buf));
	YES("the queue goes on", n == sizeof(*e) && ((struct inotify_event *)buf)->wd == wd);
	close(fd);
	unlink("f");
}

int main(void)
{
	if (enter_tree() < 0)
		return 1;
	ino = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	errors();
	close(ino);
	ino = inotify_init1(IN_NONBLOCK);
	a_file();
	names();
	folders();
	nameless();
	flags();
	queue();
	overflow();
	SHOW(close(ino));
	return 0;
}
