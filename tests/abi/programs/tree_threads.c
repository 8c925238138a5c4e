/*
 * Threads that meet in the same names: what is renamed is always there under one name or the other,
 * what is replaced always there, what goes is there as a whole or not at all; and nothing else
 * comes of it. Runs in an empty folder of a tmpfs, named by TREE (else /tmp).
 */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROUNDS   400
#define EXCHANGE 2

static atomic_int bad;          /* outcomes that must not be */
static atomic_bool over;        /* the one who changes is through */

static void *look(void *looks)
{
	unsigned turn = 0;

	do
		((void (*)(unsigned))looks)(turn++);
	while (!over);
	return NULL;
}

/* Runs `changes` once beside three that look until it is through. */
static void meet(const char *what, void (*changes)(void), void (*looks)(unsigned turn))
{
	pthread_t threads[3];

	bad = 0;
	over = false;
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, look, (void *)looks);
	changes();
	over = true;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	printf("%s: %d wrong\n", what, (int)bad);
}

/* Counts an outcome that is neither success nor one of the two errnos. */
static int allow(int ret, int one, int other)
{
	if (ret < 0 && errno != one && errno != other) {
		printf("unexpected %s\n", errno_name(errno));
		bad++;
	}
	return ret;
}

static int make(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0644);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -1 : close(fd);
}

static int opens(const char *path)
{
	int fd = open(path, O_RDONLY);

	return fd < 0 ? -1 : close(fd);
}

/* ---- a file that changes its place ---- */

static void moves_a_file(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		allow(rename("a/f", "b/f"), 0, 0);
		allow(rename("b/f", "a/f"), 0, 0);
	}
}

static void looks_for_it(unsigned turn)
{
	struct stat st;

	allow(stat(turn % 2 ? "a/f" : "b/f", &st), ENOENT, ENOENT);
	if (turn % 16 == 0)
		allow(link(turn % 32 ? "a/f" : "b/f", "other"), ENOENT, EEXIST);
	if (turn % 16 == 8)
		allow(unlink("other"), ENOENT, ENOENT);
}

/* ---- names that are always there ---- */

static void replaces(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		allow(make("new", "x"), 0, 0);
		allow(rename("new", "a/f"), 0, 0);
		allow((int)syscall(SYS_renameat2, AT_FDCWD, "p", AT_FDCWD, "q", EXCHANGE), 0, 0);
	}
}

static void finds_always(unsigned turn)
{
	static const char *const names[] = { "a/f", "p", "q" };

	allow(opens(names[turn % 3]), 0, 0);
}

/* ---- folders that come and go ---- */

static void makes_folders(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		allow(mkdir("d", 0755), 0, 0);
		while (rmdir("d") < 0) {
			allow(-1, ENOTEMPTY, ENOTEMPTY);
			unlink("d/f");
		}
	}
}

static void works_in_them(unsigned turn)
{
	int dir = open("d", O_RDONLY | O_DIRECTORY), fd;

	if (dir < 0) {
		allow(-1, ENOENT, ENOENT);
		return;
	}
	fd = allow(openat(dir, "f", O_CREAT | O_RDWR, 0644), ENOENT, ENOENT);
	if (fd >= 0)
		close(fd);
	if (turn % 2)
		allow(unlinkat(dir, "f", 0), ENOENT, ENOENT);
	allow(faccessat(dir, "..", F_OK, 0), ENOENT, ENOENT);
	close(dir);
}

/* ---- a folder that changes its place ---- */

static void moves_a_folder(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		allow(rename("a/sub", "b/sub"), 0, 0);
		allow(rename("b/sub", "a/sub"), 0, 0);
	}
}

static void walks_through_it(unsigned turn)
{
	struct stat st;
	int dir = open(turn % 2 ? "a/sub/in" : "b/sub/in", O_RDONLY);

	if (dir < 0) {
		allow(-1, ENOENT, ENOENT);
		return;
	}
	allow(fstatat(dir, "../../../p", &st, 0), 0, 0);
	allow(fstatat(dir, "../in/f", &st, 0), ENOENT, ENOENT);
	allow(renameat(dir, "f", dir, "g"), ENOENT, ENOENT);
	allow(renameat(dir, "g", dir, "f"), ENOENT, ENOENT);
	close(dir);
}

/* ---- the working directory ---- */

static void changes_directory(void)
{
	int top = open(".", O_RDONLY);

	for (int i = 0; i < ROUNDS; i++)
		allow(chdir(i % 2 ? "../a" : i ? "../b" : "b"), 0, 0);
	allow(fchdir(top), 0, 0);
	close(top);
}

static void asks_where(unsigned turn)
{
	char text[4096];

	(void)turn;
	bad += !getcwd(text, sizeof(text)) || text[0] != '/';
}

/* ---- more names than are remembered ---- */

static void renames_much(void)
{
	char from[40], to[40];

	for (int i = 0; i < ROUNDS; i++) {
		snprintf(from, sizeof(from), "a/name-%d", i);
		snprintf(to, sizeof(to), "b/name-%d", i);
		allow(make(from, ""), 0, 0);
		allow(rename(from, to), 0, 0);
		allow(unlink(to), 0, 0);
	}
}

static void asks_for_nothing(unsigned turn)
{
	char name[40];

	for (unsigned i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "%s/none-%u-%u", turn % 2 ? "a" : "b", turn, i);
		bad += access(name, F_OK) == 0;
	}
}

int main(void)
{
	if (enter_tree() < 0)
		return 2;
	SHOW(mkdir("a", 0755) + mkdir("b", 0755) + mkdir("a/sub", 0755) + mkdir("a/sub/in", 0755));
	SHOW(make("a/f", "x") + make("p", "x") + make("q", "x") + make("a/sub/in/f", "x"));
	meet("a file that moves", moves_a_file, looks_for_it);
	meet("names that are replaced", replaces, finds_always);
	meet("folders that come and go", makes_folders, works_in_them);
	unlink("a/sub/in/g");
	make("a/sub/in/f", "x");
	meet("a folder that moves", moves_a_folder, walks_through_it);
	meet("the working directory", changes_directory, asks_where);
	meet("names without end", renames_much, asks_for_nothing);
	unlink("other"), unlink("a/f"), unlink("p"), unlink("q"), unlink("a/sub/in/f"),
		unlink("a/sub/in/g");
	SHOW(rmdir("a/sub/in") + rmdir("a/sub") + rmdir("a") + rmdir("b"));
	return 0;
}
