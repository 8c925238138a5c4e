/*
 * Random operations on a small tree of files, always the same ones: what each answered goes into a
 * sum that is printed now and then, and at the end the whole tree is. Runs in an empty folder of a
 * tmpfs, named by TREE in the environment (else /tmp).
 */
#define _GNU_SOURCE
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROUNDS 20000

static uint64_t state = 42, sum;

static unsigned below(unsigned limit)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(state >> 33) % limit;
}

static void note(long value)
{
	uint64_t v = (uint64_t)(value < 0 ? -errno : value);

	sum = (sum ^ v) * 0x100000001b3ull;
}

/* One to three components of few names, so that operations meet. */
static const char *path(char *buf)
{
	static const char *const names[] = { "a", "b", "c", "d", "link", "..", ".", "a/", "b//c" };
	unsigned depth = 1 + below(3);

	buf[0] = '\0';
	for (unsigned i = 0; i < depth; i++) {
		const char *name = names[below(20) ? below(5) : below(9)];

		/* not out of the folder */
		if (!strcmp(name, "..") && i == 0)
			name = "d";
		if (i)
			strcat(buf, "/");
		strcat(buf, name);
		if (!strcmp(name, "..") && i + 1 < depth)
			break;
	}
	return buf;
}

static long put(const char *name)
{
	char byte = (char)('a' + below(26));
	/* one call each: compilers order the operands of | as they like */
	unsigned chance = below(512);
	int flags = O_RDWR | (chance & 1 ? O_CREAT | (chance & 6 ? 0 : O_EXCL) : 0) |
		    (chance & 24 ? 0 : O_TRUNC) | (chance & 96 ? 0 : O_APPEND) |
		    (chance & 384 ? 0 : O_NOFOLLOW);
	int fd = open(name, flags, 0644);
	long ret;

	if (fd < 0)
		return -1;
	ret = pwrite(fd, &byte, 1, below(10000));
	close(fd);
	return ret;
}

static long get(const char *name)
{
	char bytes[500];
	int fd = open(name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : pread(fd, bytes, sizeof(bytes), below(9000));
	int saved = errno;

	for (ssize_t i = 0; i < n; i++)
		note(bytes[i]);
	if (fd >= 0)
		close(fd);
	errno = saved;
	return n;
}

static long look(const char *name)
{
	struct stat st;

	if ((below(2) ? stat(name, &st) : lstat(name, &st)) < 0)
		return -1;
	note(st.st_mode);
	note(st.st_nlink);
	return S_ISDIR(st.st_mode) ? 0 : (long)st.st_size;
}

static long act(void)
{
	static const char *const targets[] = { "a", "b/c", "../a", "link", "nowhere", ".", "d/" };
	static const unsigned flags[] = { 0, 0, 0, 1, 2 };
	char one[100], two[100], text[100];
	const char *target = targets[below(7)];

	path(one), path(two);
	switch (below(13)) {
	case 0: case 1:
		return put(one);
	case 2:
		return get(one);
	case 3: case 4:
		return mkdir(one, 0755);
	case 5:
		return rmdir(one);
	case 6:
		return unlink(one);
	case 7:
		return link(one, two);
	case 8: case 9:
		return syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, two, flags[below(5)]);
	case 10:
		return symlink(target, below(2) ? one : "link");
	case 11:
		return below(2) ? readlink(one, text, sizeof(text)) : truncate(one, below(20000));
	default:
		return look(one);
	}
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void list(const char *dir, int depth)
{
	struct dirent **entries;
	int n = scandir(dir, &entries, NULL, by_name);

	for (int i = 0; i < n; i++) {
		char name[600], target[100] = "";
		struct stat st;

		snprintf(name, sizeof(name), "%.300s/%.255s", dir, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.' && lstat(name, &st) == 0) {
			if (S_ISLNK(st.st_mode) && readlink(name, target, sizeof(target) - 1) < 0)
				printf("unreadable ");
			printf("%*s%s %o %d %lld %s\n", depth * 2, "", entries[i]->d_name,
			       (unsigned)st.st_mode, (int)st.st_nlink,
			       S_ISDIR(st.st_mode) ? 0LL : (long long)st.st_size, target);
			if (S_ISDIR(st.st_mode))
				list(name, depth + 1);
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

int main(void)
{
	if (enter_tree() < 0)
		return 2;
	if (mkdir("random", 0755) < 0 || chdir("random") < 0)
		return 2;
	for (int i = 0; i < ROUNDS; i++) {
		errno = 0;
		note(act());
		if (i % 200 == 199)
			printf("%d: %016llx\n", i + 1, (unsigned long long)sum);
	}
	list(".", 0);
	return 0;
}
