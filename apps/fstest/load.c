/*
 * Work for power cuts: threads that replace files as careful programs do, and print what they were
 * promised.
 *
 * Each thread has a folder with a few names. A round writes the name's next version into a new
 * file, syncs it, gives it the name, syncs the folder, and prints
 *
 *   promise THREAD NAME VERSION
 *
 * From then on the name has that version or a newer one, whole, whatever happens to the power.
 * Every few rounds the name is removed instead, which is version 0 of it: "promise THREAD NAME
 * VERSION gone". In between files are written that nobody syncs, so that there is more under way
 * than what is promised. The bytes of a version follow from its number; the test outside computes
 * the same (tests/qemu/blklog.py).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fstest.h"

#define THREADS 4
#define NAMES   6
#define SIZES   40000

static const char *where;

/* A line "THREAD VERSION\n", again and again. */
static size_t make_bytes(char *out, int thread, int version)
{
	size_t size = (size_t)((unsigned)version * 7919u + (unsigned)thread * 104729u) % SIZES,
	       line;
	char text[32];

	line = (size_t)snprintf(text, sizeof(text), "%d %d\n", thread, version);
	for (size_t at = 0; at < size; at++)
		out[at] = text[at % line];
	return size;
}

static int open_at(const char *path)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);

	if (fd < 0)
		die(path);
	return fd;
}

static void write_version(int fd, int thread, int version)
{
	static __thread char bytes[SIZES];
	size_t size = make_bytes(bytes, thread, version);

	if (write(fd, bytes, size) != (ssize_t)size)
		die("write");
}

static void replace(const char *folder, int thread, int name, int version)
{
	int fd = open_at(in(folder, "new"));

	write_version(fd, thread, version);
	if (fsync(fd))
		die("fsync");
	close(fd);
	if (rename(in(folder, "new"), in(folder, "%d", name)))
		die("rename");
}

/* Bytes and a name that nobody waits for. */
static void scribble(const char *folder, int thread, int version)
{
	int fd = open_at(in(folder, "loose-%d", version % 5));

	write_version(fd, thread, version + 1);
	close(fd);
}

static void *work(void *arg)
{
	int thread = (int)(intptr_t)arg, dir;
	const char *folder = strdup(in(where, "%d", thread));

	mkdir(folder, 0755);
	dir = open(folder, O_RDONLY | O_DIRECTORY);
	if (dir < 0)
		die(folder);
	for (int version = 1;; version++) {
		int name = version % NAMES;
		int gone = version % 11 == 0;

		scribble(folder, thread, version);
		if (gone && unlink(in(folder, "%d", name)) && errno != ENOENT)
			die("unlink");
		if (!gone)
			replace(folder, thread, name, version);
		if (fsync(dir))
			die("fsync of a folder");
		printf("promise %d %d %d%s\n", thread, name, version, gone ? " gone" : "");
		fflush(stdout);
	}
	return NULL;
}

void load(const char *folder)
{
	pthread_t threads[THREADS];

	where = folder;
	for (int i = 0; i < THREADS; i++) {
		if (pthread_create(&threads[i], NULL, work, (void *)(intptr_t)i))
			die("pthread_create");
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}
