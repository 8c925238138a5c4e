/*
 * What there is below a folder, printed so that two systems' views of it can be compared.
 *
 * sums= is for a test that has the same tree on its own machine. list= leaves out nothing that
 * stat() and the extended attributes tell but what belongs to the mount (device) or to the look
 * itself; directories come in the order of names.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fstest.h"

/* As Python's zlib.crc32(). */
static uint32_t crc32(uint32_t sum, const uint8_t *bytes, size_t len)
{
	sum = ~sum;
	for (size_t i = 0; i < len; i++) {
		sum ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			sum = sum >> 1 ^ (sum & 1 ? 0xedb88320 : 0);
	}
	return ~sum;
}

static uint32_t sum_of(const char *path, long long *size)
{
	static uint8_t bytes[32768];
	uint32_t sum = 0;
	int fd = open(path, O_RDONLY);
	ssize_t n;

	*size = 0;
	if (fd < 0)
		die(path);
	while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
		sum = crc32(sum, bytes, (size_t)n);
		*size += n;
	}
	if (n < 0)
		die(path);
	close(fd);
	return sum;
}

static const char *target_of(const char *path)
{
	static char target[4096];
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	if (n < 0)
		die(path);
	target[n] = '\0';
	return target;
}

void walk(const char *folder, void (*visit)(const char *path, mode_t mode))
{
	struct dirent **entries;
	int count = scandir(folder, &entries, NULL, alphasort);

	if (count < 0)
		die(folder);
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;
		char *path = strdup(in(folder, "%s", name));
		struct stat st;

		if (strcmp(name, ".") && strcmp(name, "..")) {
			if (lstat(path, &st))
				die(path);
			if (S_ISDIR(st.st_mode))
				walk(path, visit);
			visit(path, st.st_mode);
		}
		free(path);
		free(entries[i]);
	}
	free(entries);
}

/* ---- sums ---- */

static void say(const char *path, mode_t mode)
{
	long long size;
	uint32_t sum;

	if (S_ISDIR(mode)) {
		printf("folder %s\n", path);
	} else if (S_ISLNK(mode)) {
		printf("link %s -> %s\n", path, target_of(path));
	} else if (S_ISREG(mode)) {
		sum = sum_of(path, &size);
		printf("sum %08x %lld %s\n", sum, size, path);
	}
}

void sums(const char *folder)
{
	walk(folder, say);
}

/* ---- list ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list_attributes(const char *path)
{
	static char names[65536], value[65536];
	ssize_t len = llistxattr(path, names, sizeof(names)), n;
	char *sorted[256];
	size_t count = 0;

	if (len < 0)
		die(path);
	for (char *name = names; name < names + len && count < 256; name += strlen(name) + 1)
		sorted[count++] = name;
	qsort(sorted, count, sizeof(sorted[0]), by_text);
	for (size_t i = 0; i < count; i++) {
		n = lgetxattr(path, sorted[i], value, sizeof(value));
		if (n < 0)
			die(path);
		printf(" %s=%zd:%08x", sorted[i], n, crc32(0, (const uint8_t *)value, (size_t)n));
	}
}

static void list_content(const char *path, const struct stat *st)
{
	long long size = 0;
	uint32_t sum = 0;

	if (S_ISLNK(st->st_mode))
		printf(" -> %s", target_of(path));
	if (!S_ISREG(st->st_mode))
		return;
	sum = sum_of(path, &size);
	printf(" sum %08x of %lld", sum, size);
}

static void list_time(const char *name, const struct timespec *t)
{
	printf(" %s %lld.%09ld", name, (long long)t->tv_sec, t->tv_nsec);
}

static void list_one(const char *path, mode_t mode)
{
	struct stat st;

	(void)mode;
	if (lstat(path, &st))
		die(path);
	printf("entry %s inode %llu mode %o links %u owner %u:%u size %lld blocks %lld device %u:%u",
	       path, (unsigned long long)st.st_ino, st.st_mode, (unsigned)st.st_nlink, st.st_uid,
	       st.st_gid, (long long)st.st_size, (long long)st.st_blocks, major(st.st_rdev),
	       minor(st.st_rdev));
	list_time("atime", &st.st_atim);
	list_time("mtime", &st.st_mtim);
	list_time("ctime", &st.st_ctim);
	list_content(path, &st);
	list_attributes(path);
	printf("\n");
}

void list(const char *folder)
{
	list_one(folder, 0);
	walk(folder, list_one);
}
