/*
 * /dev: numbers and modes of what every system has, links to the standard descriptors. With DISKS
 * in the environment it lists the names of disks instead, for tests of the image.
 */
#define _GNU_SOURCE
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void show_device(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		printf("%s: %s\n", path, errno_name(errno));
	else
		printf("%s: %s %u:%u, mode %o\n", path,
		       S_ISCHR(st.st_mode)   ? "character"
		       : S_ISBLK(st.st_mode) ? "block"
					     : "?",
		       major(st.st_rdev), minor(st.st_rdev), (unsigned)st.st_mode & 07777);
}

static void show_link(const char *path)
{
	char text[100];
	ssize_t n = readlink(path, text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = 0;
	printf("%s -> %s\n", path, n < 0 ? errno_name(errno) : text);
}

static void write_to(const char *path, int flags)
{
	int fd = open(path, O_WRONLY | flags, 0666);
	char line[64];

	snprintf(line, sizeof(line), "written to %s\n", path);
	if (fd < 0 || write(fd, line, strlen(line)) < 0 || close(fd) < 0)
		printf("%s: %s\n", path, errno_name(errno));
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void list(const char *folder)
{
	struct dirent **names;
	int count = scandir(folder, &names, NULL, by_name);

	for (int i = 0; i < count; i++) {
		char path[600];

		snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
		if (names[i]->d_type == DT_LNK)
			show_link(path);
		else if (names[i]->d_type == DT_BLK)
			show_device(path);
		free(names[i]);
	}
	if (count < 0)
		printf("%s: %s\n", folder, errno_name(errno));
	else
		free(names);
}

static int disks(void)
{
	char line[200];
	FILE *f = fopen("/proc/partitions", "r");

	while (f && fgets(line, sizeof(line), f))
		fputs(line, stdout);
	list("/dev");
	list("/dev/disk/by-id");
	list("/dev/disk/by-partuuid");
	list("/dev/disk/by-partlabel");
	list("/dev/disk/by-uuid");
	list("/dev/disk/by-label");
	return 0;
}

int main(void)
{
	static const char *const common[] = { "null", "zero", "full", "random", "urandom", "tty" };
	char path[64], text[8] = "";
	int fd;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (getenv("DISKS"))
		return disks();
	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
		snprintf(path, sizeof(path), "/dev/%s", common[i]);
		show_device(path);
	}
	show_link("/dev/fd");
	show_link("/dev/stdin");
	show_link("/dev/stdout");
	show_link("/dev/stderr");
	write_to("/dev/stdout", O_APPEND);
	write_to("/dev/stdout", O_CREAT | O_TRUNC);
	write_to("/dev/fd/1", 0);
	write_to("/dev/null", O_TRUNC);
	fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	SHOW(write(fd, "inside", 6));
	snprintf(path, sizeof(path), "/dev/fd/%d", fd);
	fd = open(path, O_RDONLY);
	SHOW(read(fd, text, sizeof(text) - 1));
	printf("'%s'\n", text);
	SHOW(open("/dev/nothing", O_RDONLY));
	SHOW(mkdir("/dev/null", 0755));
	SHOW(open("/dev/null", O_RDONLY | O_DIRECTORY));
	SHOW(open("/dev/null/x", O_RDONLY));
	return 0;
}
