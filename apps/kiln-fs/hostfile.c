/* Files of the machine that kiln-fs runs on, for copying trees. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kiln-fs.h"

int host_look(const char *path, enum host_kind *kind, uint32_t *mode)
{
	struct stat st;

	if (lstat(path, &st))
		return -errno;
	*kind = S_ISDIR(st.st_mode) ? HOST_FOLDER : S_ISREG(st.st_mode) ? HOST_FILE :
		S_ISLNK(st.st_mode) ? HOST_LINK : HOST_OTHER;
	*mode = st.st_mode & 07777;
	return 0;
}

int host_read_link(const char *path, char *buf, size_t size)
{
	ssize_t n = readlink(path, buf, size - 1);

	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return 0;
}

int host_make_link(const char *target, const char *path)
{
	return symlink(target, path) ? -errno : 0;
}

/* Its owner has to write into it. */
int host_make_folder(const char *path, uint32_t mode)
{
	return mkdir(path, mode | S_IRWXU) ? -errno : 0;
}

int host_make_file(const char *path, uint32_t mode, FILE **out)
{
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, mode);

	*out = fd < 0 ? NULL : fdopen(fd, "wb");
	return *out ? 0 : -errno;
}

int host_each(const char *path, int (*each)(void *arg, const char *name), void *arg)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int error = 0;

	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		int one = strcmp(e->d_name, ".") && strcmp(e->d_name, "..") ? each(arg, e->d_name)
									    : 0;

		error = error ? error : one;
	}
	closedir(d);
	return error;
}
