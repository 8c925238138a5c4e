/*
 * A file of the build machine as a disk. Commands end in a task, as those of a driver do; a flush
 * is fdatasync().
 */
#define _GNU_SOURCE /* F_OFD_SETLK */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <core/executor.h>
#include <core/sync.h>
#include <libos/blkdev.h>

#include "kiln-fs.h"

#define SECTOR 512
#define CHUNK  4096 /* what FILEDISK_PRIVATE keeps at a time */

static struct filedisk {
	struct blkdev dev;
	struct task task;
	struct spinlock lock;
	struct list started; /* [lock] commands */
	int fd;
	char **changed;      /* FILEDISK_PRIVATE: chunks that were written; else NULL */
} disk;

/*
 * The chunk's copy in memory, made from the file before its first change. NULL: there is none, or
 * no memory.
 */
static char *chunk(uint64_t at, bool make)
{
	char **c = &disk.changed[at / CHUNK];

	if (*c || !make)
		return *c;
	*c = calloc(1, CHUNK);
	if (*c && pread(disk.fd, *c, CHUNK, (off_t)(at / CHUNK * CHUNK)) < 0) {
		free(*c);
		*c = NULL;
	}
	return *c;
}

/* [at, at + len) lies in one chunk. */
static int transfer_private(bool reading, char *p, size_t len, uint64_t at)
{
	char *c = chunk(at, !reading);

	if (reading && !c)
		return pread(disk.fd, p, len, (off_t)at) == (ssize_t)len ? 0 : -EIO;
	if (!c)
		return -EIO;
	memcpy(reading ? p : c + at % CHUNK, reading ? c + at % CHUNK : p, len);
	return 0;
}

static int perform_private(const struct blk_command *c)
{
	uint64_t at = c->offset;
	int error = 0;

	for (size_t i = 0; i < c->vec_count && !error; i++) {
		for (size_t done = 0, n; done < c->vecs[i].len && !error; done += n, at += n) {
			n = MIN(c->vecs[i].len - done, CHUNK - at % CHUNK);
			error = transfer_private(c->op == BLK_READ, (char *)c->vecs[i].base + done,
						 n, at);
		}
	}
	return error;
}

static int transfer(const struct blk_command *c, const struct blk_vec *v, off_t at)
{
	for (size_t done = 0; done < v->len;) {
		char *p = (char *)v->base + done;
		ssize_t n = c->op == BLK_READ ? pread(disk.fd, p, v->len - done, at + (off_t)done)
					      : pwrite(disk.fd, p, v->len - done, at + (off_t)done);

		if (n <= 0)
			return n < 0 && errno == ENOSPC ? -ENOSPC : -EIO;
		done += (size_t)n;
	}
	return 0;
}

static int perform(const struct blk_command *c)
{
	off_t at = (off_t)c->offset;
	int error = 0;

	if (disk.changed)
		return perform_private(c);
	if (c->op == BLK_FLUSH)
		return fdatasync(disk.fd) ? -EIO : 0;
	for (size_t i = 0; i < c->vec_count && !error; at += (off_t)c->vecs[i++].len)
		error = transfer(c, &c->vecs[i], at);
	return error;
}

static struct blk_command *next_command(void)
{
	struct list *link;

	spin_lock(&disk.lock);
	link = list_pop_front(&disk.started);
	spin_unlock(&disk.lock);
	return link ? list_entry(link, struct blk_command, link) : NULL;
}

static void run(struct task *t)
{
	struct blk_command *c;

	(void)t;
	while ((c = next_command()))
		blk_command_done(&disk.dev, c, perform(c));
	blkdev_kick(&disk.dev);
}

static void start(struct blkdev *d, struct blk_command *c)
{
	(void)d;
	spin_lock(&disk.lock);
	list_push_back(&disk.started, &c->link);
	spin_unlock(&disk.lock);
}

static void kick(struct blkdev *d)
{
	(void)d;
	task_wake(&disk.task);
}

/*
 * A lock that is refused, or there when it is asked for, is another's; where there are no locks
 * nobody can tell.
 */
static bool lock_is_refused(int command, short type, off_t from, off_t bytes)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = from, .l_len = bytes };

	if (!fcntl(disk.fd, command, &l))
		return command == F_OFD_GETLK && l.l_type != F_UNLCK;
	return errno == EAGAIN || errno == EACCES;
}

/*
 * Whether somebody else uses the file in a way that does not go with this one: two writers would
 * spoil the disk, and who reads while another writes sees damage where there is none. A writer
 * locks all bytes. A reader does as QEMU does (block/file-posix.c): byte 201 says that nobody else
 * may write, and a lock of byte 101 that its owner writes.
 */
static bool is_in_use(enum filedisk_mode mode)
{
	if (mode == FILEDISK_WRITE)
		return lock_is_refused(F_OFD_SETLK, F_WRLCK, 0, 0);
	return lock_is_refused(F_OFD_SETLK, F_RDLCK, 201, 1) ||
	       lock_is_refused(F_OFD_GETLK, F_WRLCK, 101, 1);
}

/*
 * How many bytes there are in the file or on the disk of that name; -1 with errno, EBUSY: another
 * has it.
 */
static off_t file_open(const char *path, enum filedisk_mode mode)
{
	struct stat st;

	/* O_EXCL alone refuses disks that are mounted (open(2)), and means nothing for files. */
	disk.fd = open(path, mode == FILEDISK_WRITE ? O_RDWR | O_EXCL : O_RDONLY);
	if (disk.fd < 0 || fstat(disk.fd, &st))
		return -1;
	if (S_ISDIR(st.st_mode) || is_in_use(mode)) {
		errno = S_ISDIR(st.st_mode) ? EISDIR : EBUSY;
		return -1;
	}
	return lseek(disk.fd, 0, SEEK_END);
}

/* The disk is called as its file is, if that is short enough: so messages name it. */
static void set_name(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	strcpy(disk.dev.name, strlen(name) < sizeof(disk.dev.name) ? name : "disk");
}

struct blkdev *filedisk_open(const char *path, enum filedisk_mode mode)
{
	static const struct blkdev_ops ops = { .start = start, .kick = kick };
	off_t bytes = file_open(path, mode);

	if (bytes < 0) {
		fprintf(stderr, "%s: %s: %s\n", program_name, path,
			errno == EBUSY ? "in use by another program" : strerror(errno));
		return NULL;
	}
	spin_init(&disk.lock);
	list_init(&disk.started);
	task_init(&disk.task, "filedisk", run);
	disk.dev = (struct blkdev){
		.bytes = (uint64_t)bytes / SECTOR * SECTOR, .block_bytes = SECTOR,
		.read_only = mode == FILEDISK_READ, .write_cache = true, .max_vecs = 64,
		.max_vec_bytes = MIB(1), .max_bytes = MIB(1), .depth = 8, .ops = &ops,
	};
	set_name(path);
	if (!disk.dev.bytes) {
		fprintf(stderr, "%s: %s is empty: a disk with ext4 was expected\n", program_name,
			path);
		return NULL;
	}
	if (mode == FILEDISK_PRIVATE)
		disk.changed = calloc((size_t)(disk.dev.bytes / CHUNK + 1), sizeof(*disk.changed));
	return mode == FILEDISK_PRIVATE && !disk.changed ? NULL
	       : blkdev_register(&disk.dev)              ? NULL
							 : &disk.dev;
}
