/*
 * fsbench: what a file system does in a second, and marks between which somebody outside counts
 * instructions.
 *
 *   fsbench [-m DEVICE:TYPE[:OPTIONS]] [-d FOLDER] [-s MIB] [-n FILES] [-i]
 *
 * An ordinary program: the same source runs natively, on a Linux guest and in an image of ours, so
 * figures of the same QEMU compare. Each is a line "fsbench NAME VALUE UNIT" on standard output. -m
 * mounts the device on the folder first and is a figure itself; -i does the operations whose
 * instructions are counted instead: between "mark NAME begin COUNT" and "mark NAME end" nothing
 * else runs, and after each mark it is quiet for a while.
 *
 * Reads from the disk follow a posix_fadvise(DONTNEED), and what is written counts when fsync() is
 * done.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CHUNK     (128 << 10)
#define BLOCK     4096
#define RANDOM    2000    /* random reads and writes */
#define SYNCS     200
#define MARKED    20000   /* operations between two marks */
#define MARKED_CREATES 2000
#define QUIET_MS  500

static const char *folder = "/tmp";
static size_t file_mib = 32;
static int file_count = 2000;
static char *buffer;

static void die(const char *what)
{
	fprintf(stderr, "fsbench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void figure(const char *name, double value, const char *unit)
{
	printf("fsbench %s %.1f %s\n", name, value, unit);
	fflush(stdout);
}

static const char *path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static int open_file(const char *name, int flags)
{
	int fd = open(path_of(name), flags, 0644);

	if (fd < 0)
		die(name);
	return fd;
}

/* A reproducible order of the file's blocks: each once, far from the one before. */
static off_t scattered(unsigned i)
{
	size_t blocks = (file_mib << 20) / BLOCK;

	return (off_t)((i * 7919ull + 13) % blocks) * BLOCK;
}

/* ---- bytes ---- */

static void forget(int fd)
{
	if (fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		die("fsync");
}

static void write_in_order(int fd)
{
	double begin = now();

	for (size_t done = 0; done < file_mib << 20; done += CHUNK) {
		memset(buffer, (int)(done / CHUNK), CHUNK);
		if (write(fd, buffer, CHUNK) != CHUNK)
			die("write");
	}
	if (fsync(fd))
		die("fsync");
	figure("seq_write_mb_s", (double)(file_mib << 20) / 1e6 / (now() - begin), "MB/s");
}

static void read_in_order(int fd)
{
	double begin;

	forget(fd);
	begin = now();
	for (size_t done = 0; done < file_mib << 20; done += CHUNK) {
		if (pread(fd, buffer, CHUNK, (off_t)done) != CHUNK ||
		    buffer[CHUNK - 1] != (char)(done / CHUNK))
			die("read");
	}
	figure("seq_read_mb_s", (double)(file_mib << 20) / 1e6 / (now() - begin), "MB/s");
}

static void read_scattered(int fd)
{
	double begin;

	forget(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	begin = now();
	for (unsigned i = 0; i < RANDOM; i++) {
		if (pread(fd, buffer, BLOCK, scattered(i)) != BLOCK)
			die("read");
	}
	figure("rand_read_4k_per_s", RANDOM / (now() - begin), "reads/s");
	posix_fadvise(fd, 0, 0, POSIX_FADV_NORMAL);
}

static void write_scattered(int fd)
{
	double begin = now();

	for (unsigned i = 0; i < RANDOM; i++) {
		if (pwrite(fd, buffer, BLOCK, scattered(i)) != BLOCK)
			die("write");
	}
	if (fsync(fd))
		die("fsync");
	figure("rand_write_4k_per_s", RANDOM / (now() - begin), "writes/s");
}

static void sync_often(int fd)
{
	double begin = now();

	for (unsigned i = 0; i < SYNCS; i++) {
		if (pwrite(fd, buffer, BLOCK, scattered(i)) != BLOCK || fsync(fd))
			die("fsync");
	}
	figure("fsync_per_s", SYNCS / (now() - begin), "calls/s");
}

static void measure_bytes(void)
{
	int fd = open_file("bytes", O_CREAT | O_TRUNC | O_RDWR);

	write_in_order(fd);
	read_in_order(fd);
	read_scattered(fd);
	write_scattered(fd);
	sync_often(fd);
	close(fd);
	unlink(path_of("bytes"));
}

/* ---- names ---- */

static const char *numbered(int i)
{
	static char name[32];

	snprintf(name, sizeof(name), "files/%06d", i);
	return name;
}

static void create_files(int count)
{
	for (int i = 0; i < count; i++)
		close(open_file(numbered(i), O_CREAT | O_EXCL | O_WRONLY));
}

static void stat_files(int count)
{
	struct stat st;

	for (int i = 0; i < count; i++) {
		if (stat(path_of(numbered(i % file_count)), &st))
			die("stat");
	}
}

static void unlink_files(int count)
{
	for (int i = 0; i < count; i++) {
		if (unlink(path_of(numbered(i))))
			die("unlink");
	}
}

static void measure_names(void)
{
	static const struct {
		const char *name;
		void (*run)(int count);
	} steps[] = { { "create_per_s", create_files },
		      { "stat_per_s", stat_files },
		      { "unlink_per_s", unlink_files } };

	mkdir(path_of("files"), 0755);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		double begin = now();

		steps[i].run(file_count);
		figure(steps[i].name, file_count / (now() - begin), "calls/s");
	}
	rmdir(path_of("files"));
}

/* ---- instructions ---- */

static void mark(const char *name, const char *end, int count)
{
	struct timespec quiet = { 0, QUIET_MS * 1000000l };

	printf("mark %s %s %d\n", name, end, count);
	fflush(stdout);
	nanosleep(&quiet, NULL);
}

static void count_reads(void)
{
	int fd = open_file("cached", O_CREAT | O_TRUNC | O_RDWR);

	for (int i = 0; i < 64; i++) {
		if (write(fd, buffer, BLOCK) != BLOCK)
			die("write");
	}
	fsync(fd);
	mark("cached_read_4k", "begin", MARKED);
	for (int i = 0; i < MARKED; i++) {
		if (pread(fd, buffer, BLOCK, i % 64 * BLOCK) != BLOCK)
			die("read");
	}
	mark("cached_read_4k", "end", MARKED);
	close(fd);
	unlink(path_of("cached"));
}

static void count_names(void)
{
	char path[256];
	struct stat st;

	mkdir(path_of("files"), 0755);
	file_count = MARKED_CREATES;
	mark("create", "begin", MARKED_CREATES);
	create_files(MARKED_CREATES);
	mark("create", "end", MARKED_CREATES);
	snprintf(path, sizeof(path), "%s", path_of(numbered(7)));
	mark("stat", "begin", MARKED);
	for (int i = 0; i < MARKED; i++) {
		if (stat(path, &st))
			die("stat");
	}
	mark("stat", "end", MARKED);
	unlink_files(MARKED_CREATES);
	rmdir(path_of("files"));
}

/* ---- */

static void mount_device(char *what)
{
	char *type = strchr(what, ':'), *options = type ? strchr(type + 1, ':') : NULL;
	double begin = now();

	if (!type) {
		fprintf(stderr, "fsbench: -m wants DEVICE:TYPE[:OPTIONS]\n");
		exit(2);
	}
	*type++ = '\0';
	if (options)
		*options++ = '\0';
	mkdir(folder, 0755);
	if (mount(what, folder, type, 0, options))
		die(what);
	figure("mount_ms", (now() - begin) * 1000, "ms");
}

int main(int argc, char **argv)
{
	char *device = NULL;
	bool counting = false;
	int c;

	while ((c = getopt(argc, argv, "m:d:s:n:i")) >= 0) {
		switch (c) {
		case 'm': device = optarg; break;
		case 'd': folder = optarg; break;
		case 's': file_mib = (size_t)atoi(optarg); break;
		case 'n': file_count = atoi(optarg); break;
		case 'i': counting = true; break;
		default:
			fprintf(stderr,
				"usage: fsbench [-d FOLDER] [-m DEVICE:TYPE[:OPTIONS]] [-s MIB] [-n FILES] [-i]\n");
			return 2;
		}
	}
	if (!(buffer = malloc(CHUNK)) || !file_mib || file_count <= 0)
		return 2;
	memset(buffer, 1, CHUNK);
	if (device)
		mount_device(device);
	if (counting) {
		count_reads();
		count_names();
	} else {
		measure_bytes();
		measure_names();
	}
	if (device && umount(folder))
		die("umount");
	printf("fsbench done\n");
	return 0;
}
