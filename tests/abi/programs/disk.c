/*
 * A disk, or a file in its place, and a file that comes with the system: the environment names
 * both, DISK=disk:file. The disk has at least a mebibyte and nobody else uses it.
 */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SIZE_OF_DISK 0x80081272 /* BLKGETSIZE64 */

static unsigned char out[200000], in[200000];

static void fill(unsigned seed)
{
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (unsigned char)((i * 2654435761u + seed) >> 13);
}

static uint64_t size_of(int fd)
{
	struct stat st;
	uint64_t size = 0;

	if (ioctl(fd, SIZE_OF_DISK, &size) == 0)
		return size;
	return fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static void transfers(int fd)
{
	static const struct { long at; size_t len; } some[] = {
		{ 0, 512 }, { 1, 1 }, { 511, 2 }, { 4000, 5000 }, { 65536, 200000 },
		{ 300001, 99999 },
	};

	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		fill((unsigned)i);
		memset(in, 0, sizeof(in));
		printf("%zu bytes at %ld: ", some[i].len, some[i].at);
		printf("%zd ", pwrite(fd, out, some[i].len, some[i].at));
		printf("%zd ", pread(fd, in, some[i].len, some[i].at));
		printf("%s\n", memcmp(in, out, some[i].len) ? "differ" : "same");
	}
}

static void positions(int fd)
{
	struct iovec v[2] = { { in, 3 }, { in + 10, 4 } };

	fill(7);
	SHOW(lseek(fd, 1000, SEEK_SET));
	SHOW(write(fd, out, 100));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(lseek(fd, -100, SEEK_CUR));
	SHOW(readv(fd, v, 2));
	YES("vectors hold what was written", !memcmp(in, out, 3) && !memcmp(in + 10, out + 3, 4));
	SHOW(lseek(fd, 0, SEEK_CUR));
	YES("the end is the size", (uint64_t)lseek(fd, 0, SEEK_END) == size_of(fd));
	SHOW(read(fd, in, 1));
	SHOW(lseek(fd, -1, SEEK_SET));
	SHOW(lseek(fd, 0, 99));
	SHOW(pread(fd, in, 1, -1));
	SHOW(pwrite(fd, (void *)1, 10, 0));
	SHOW(pread(fd, (void *)1, 10, 0));
}

static void keeps(const char *path)
{
	int fd = open(path, O_RDONLY);

	YES("opened again, without writing", fd >= 0);
	SHOW(write(fd, "x", 1));
	fill(7);
	SHOW(pread(fd, in, 100, 1000));
	YES("the bytes are there", !memcmp(in, out, 100));
	SHOW(close(fd));
}

static void disk(const char *path)
{
	int fd = open(path, O_RDWR);

	YES("the disk opens", fd >= 0);
	YES("it has a mebibyte", size_of(fd) >= 1 << 20);
	transfers(fd);
	positions(fd);
	SHOW(fsync(fd));
	SHOW(fdatasync(fd));
	SHOW(close(fd));
	keeps(path);
}

static void file(const char *path)
{
	char text[200] = { 0 };
	struct stat st, by_name;
	FILE *f = fopen(path, "r");

	YES("the file opens", f != NULL);
	if (!f)
		return;
	YES("it has a line", fgets(text, sizeof(text), f) != NULL);
	printf("%s", text);
	YES("a regular file", fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode));
	printf("%lld bytes\n", (long long)st.st_size);
	YES("the same by name", stat(path, &by_name) == 0 && by_name.st_size == st.st_size);
	fclose(f);
	SHOW(open("/no/such/file", O_RDONLY));
}

int main(void)
{
	char *paths = getenv("DISK"), *colon = paths ? strchr(paths, ':') : NULL;

	if (!colon)
		return 2;
	*colon = 0;
	disk(paths);
	file(colon + 1);
	return 0;
}
