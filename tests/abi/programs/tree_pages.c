/*
 * What programs do with cached bytes: copies between files, hints, syncs, private mappings, and
 * their errors.
 */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#define LEN 70000

static char bytes[LEN], back[LEN];

static int file_of(const char *name, int flags)
{
	return open(name, flags, 0644);
}

static void copies(int from, int to)
{
	loff_t in = 1000, out = 5;
	off_t at = 60000;
	int ends[2];

	printf("-- copies\n");
	SHOW(copy_file_range(from, &in, to, &out, 50000, 0));
	printf("%lld %lld\n", (long long)in, (long long)out);
	SHOW(pread(to, back, LEN, 5));
	printf("the same: %d\n", !memcmp(back, bytes + 1000, 50000));
	SHOW(copy_file_range(from, &in, to, NULL, LEN, 0));
	SHOW(lseek(to, 0, SEEK_CUR));
	SHOW(sendfile(to, from, &at, LEN));
	printf("%lld\n", (long long)at);
	SHOW(pread(to, back, 10000, 19000));
	printf("the same: %d\n", !memcmp(back, bytes + 60000, 10000));
	SHOW(sendfile(to, from, &at, LEN));
	SHOW(lseek(from, LEN - 100, SEEK_SET));
	SHOW(pipe(ends));
	SHOW(sendfile(ends[1], from, NULL, LEN));
	SHOW(lseek(from, 0, SEEK_CUR));
	SHOW(read(ends[0], back, LEN));
	printf("the same: %d\n", !memcmp(back, bytes + LEN - 100, 100));
	SHOW(sendfile(to, ends[0], NULL, 10));
	SHOW(copy_file_range(ends[0], NULL, to, NULL, 10, 0));
	SHOW(copy_file_range(from, NULL, to, NULL, 10, 1));
	in = 0, out = 50;
	SHOW(copy_file_range(to, &in, to, &out, 100, 0));
	out = 100;
	SHOW(copy_file_range(to, &in, to, &out, 100, 0));
	SHOW(sendfile(to, -1, NULL, 10));
	close(ends[0]);
	close(ends[1]);
}

static void holes(int from, int to)
{
	off_t at = 0;

	printf("-- holes\n");
	SHOW(ftruncate(from, 0));
	SHOW(ftruncate(from, LEN));
	SHOW(pwrite(from, "x", 1, 30000));
	SHOW(ftruncate(to, 0));
	SHOW(lseek(to, 0, SEEK_SET));
	SHOW(sendfile(to, from, &at, LEN));
	SHOW(pread(to, back, LEN, 0));
	memset(bytes, 0, LEN);
	bytes[30000] = 'x';
	printf("the same: %d\n", !memcmp(back, bytes, LEN));
}

static void hints(int fd)
{
	int ends[2];

	printf("-- hints and syncs\n");
	SHOW(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
	SHOW(posix_fadvise(fd, 0, 4096, POSIX_FADV_WILLNEED));
	SHOW(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	SHOW(posix_fadvise(fd, 0, 0, 17));
	SHOW(posix_fadvise(fd, 0, -1, POSIX_FADV_NORMAL));
	SHOW(posix_fadvise(-1, 0, 0, POSIX_FADV_NORMAL));
	SHOW(readahead(-1, 0, 4096));
	SHOW(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER));
	SHOW(sync_file_range(fd, 0, 0, 64));
	SHOW(sync_file_range(fd, -1, 0, 0));
	SHOW(syncfs(fd));
	SHOW(syncfs(-1));
	SHOW(fsync(fd));
	SHOW(fdatasync(fd));
	sync();
	SHOW(pipe(ends));
	SHOW(posix_fadvise(ends[0], 0, 0, POSIX_FADV_NORMAL));
	SHOW(readahead(ends[0], 0, 4096));
	SHOW(sync_file_range(ends[1], 0, 0, SYNC_FILE_RANGE_WRITE));
	SHOW(fsync(ends[1]));
	close(ends[0]);
	close(ends[1]);
}

static void mappings(const char *name, int fd)
{
	int only = open(name, O_WRONLY), ends[2];
	char *p = mmap(NULL, LEN, PROT_READ, MAP_PRIVATE, fd, 0), *q;

	printf("-- mappings\n");
	printf("the same: %d\n", p != MAP_FAILED && !memcmp(p, bytes, LEN));
	q = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 28672);
	printf("%d\n", q != MAP_FAILED && q[30000 - 28672] == 'x');
	q[0] = 'q';
	SHOW(pread(fd, back, 1, 28672));
	printf("private: %d\n", back[0] == 0);
	SHOW(munmap(p, LEN));
	SHOW(munmap(q, 8192));
	printf("%d\n",
	       mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, only, 0) == MAP_FAILED && errno == EACCES);
	printf("%d\n",
	       mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, -1, 0) == MAP_FAILED && errno == EBADF);
	printf("%d\n",
	       mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 1) == MAP_FAILED && errno == EINVAL);
	SHOW(pipe(ends));
	printf("%d\n", mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, ends[0], 0) == MAP_FAILED &&
			       errno == ENODEV);
	close(only);
}

int main(void)
{
	int from, to;

	if (getenv("TREE") && chdir(getenv("TREE")))
		return 1;
	from = file_of("from", O_CREAT | O_RDWR);
	to = file_of("to", O_CREAT | O_RDWR);
	for (int i = 0; i < LEN; i++)
		bytes[i] = (char)(i * 7 + i / 1000);
	SHOW(write(from, bytes, LEN));
	copies(from, to);
	holes(from, to);
	hints(from);
	mappings("from", from);
	return 0;
}
