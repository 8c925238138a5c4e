/*
 * fstest: an image does with its disks what the test outside asks for, and says what it saw.
 *
 *   fstest COMMAND=FOLDER...      one after the other
 *
 *   sums=FOLDER     "sum CRC SIZE PATH" for each file below it, "link PATH -> TARGET", "folder
 *                   PATH"
 *   list=FOLDER     all that can be known of it and of what is below it, in lines that begin with
 *                   "entry PATH"
 *   write=FOLDER    files of many sizes, a hole, long names, links, folders; each is read back
 *   remove=FOLDER   everything below it
 *   full=FOLDER     fills the disk: every call says ENOSPC, and what is removed can be used again
 *   load=FOLDER     threads that create, write, sync and rename for ever, and print what they were
 *                   promised
 *   churn=FOLDER    a thread that does everything else that can be done to names and files, while
 *                   the next command runs
 *   crowd=FOLDER    a thread that gives names to a large directory and takes them, as long
 *   trim=FOLDER     FITRIM: "trim: N bytes" were free, and the disk has been told
 *   orphan=FOLDER   leaves an open file without a name behind, and a dirty one
 *   end=STATUS      ends at once
 *
 * It is an ordinary program, and natively it does the same.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fstest.h"

void die(const char *what)
{
	printf("fstest: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

const char *in(const char *folder, const char *fmt, ...)
{
	static __thread char buffers[4][1200];
	static __thread unsigned next;
	char *path = buffers[next++ % 4];
	int n = snprintf(path, sizeof(buffers[0]), "%s/", folder);
	va_list args;

	va_start(args, fmt);
	vsnprintf(path + n, sizeof(buffers[0]) - (size_t)n, fmt, args);
	va_end(args);
	return path;
}

/* ---- write ---- */

static void write_file(const char *path, size_t size, off_t at)
{
	uint8_t *bytes = malloc(size), *back = malloc(size);
	int fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0640);

	if (fd < 0 || !bytes || !back)
		die(path);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 31 + (i >> 8) * 7 + size);
	if (pwrite(fd, bytes, size, at) != (ssize_t)size ||
	    pread(fd, back, size, at) != (ssize_t)size)
		die(path);
	if (memcmp(bytes, back, size)) {
		printf("fstest: %s reads back differently\n", path);
		_exit(1);
	}
	close(fd);
	free(bytes);
	free(back);
}

static void write_all(const char *folder)
{
	static const size_t sizes[] = { 0, 1, 1023, 4096, 4097, 70000, 1000000 };
	char name[256];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		write_file(in(folder, "bytes-%zu", sizes[i]), sizes[i], 0);
	write_file(in(folder, "hole"), 5000, 3000000);
	memset(name, 'n', 255);
	name[255] = '\0';
	write_file(in(folder, "%s", name), 10, 0);
	if (mkdir(in(folder, "many"), 0755) || mkdir(in(folder, "many/deep"), 0700))
		die("mkdir");
	for (int i = 0; i < 300; i++)
		write_file(in(folder, "many/file-number-%d", i), (size_t)i * 13, 0);
	for (int i = 0; i < 300; i += 3) {
		if (unlink(in(folder, "many/file-number-%d", i)))
			die("unlink");
	}
	if (link(in(folder, "hole"), in(folder, "many/hole-too")) ||
	    symlink("many/deep", in(folder, "short-link")) ||
	    symlink(name, in(folder, "long-link")) ||
	    rename(in(folder, "many/deep"), in(folder, "deep")))
		die("names");
}

static void remove_one(const char *path, mode_t mode)
{
	if (S_ISDIR(mode) ? rmdir(path) : unlink(path))
		die(path);
}

static void remove_all(const char *folder)
{
	walk(folder, remove_one);
}

static void orphan(const char *folder)
{
	int fd = open(in(folder, "nameless"), O_CREAT | O_RDWR, 0600);

	write_file(in(folder, "dirty"), 20000, 0);
	if (fd < 0 || write(fd, "gone", 4) != 4 || unlink(in(folder, "nameless")))
		die("orphan");
}

/* As linux/fs.h has it. */
struct fstrim_range {
	uint64_t start, len, minlen;
};
#define FITRIM _IOWR('X', 121, struct fstrim_range)

static void trim(const char *folder)
{
	struct fstrim_range range = { 0, UINT64_MAX, 0 };
	int fd = open(folder, O_RDONLY | O_DIRECTORY);

	sync(); /* what was removed is free */
	if (fd < 0 || ioctl(fd, FITRIM, &range))
		die("trim");
	close(fd);
	printf("trim: %llu bytes\n", (unsigned long long)range.len);
}

static void end(const char *status)
{
	exit(atoi(status));
}

static const struct {
	const char *name;
	void (*run)(const char *folder);
} commands[] = {
	{ "sums", sums }, { "list", list }, { "write", write_all }, { "remove", remove_all },
	{ "full", full }, { "load", load }, { "churn", churn }, { "crowd", crowd },
	{ "trim", trim }, { "orphan", orphan }, { "end", end },
};

static void run(const char *text)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		size_t len = strlen(commands[i].name);

		if (strncmp(text, commands[i].name, len) || text[len] != '=')
			continue;
		commands[i].run(text + len + 1);
		printf("fstest: %s is done\n", text);
		fflush(stdout);
		return;
	}
	printf("fstest: there is no command %s\n", text);
	exit(2);
}

int main(int argc, char **argv)
{
	printf("fstest begins\n");
	for (int i = 1; i < argc; i++)
		run(argv[i]);
	printf("fstest ends\n");
	return 0;
}
