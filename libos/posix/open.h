/* What there is to open without a file system. */
#ifndef POSIX_OPEN_H
#define POSIX_OPEN_H

#include <libos/file.h>

/* Descriptors 0, 1 and 2 before main(): 0 or -ENOMEM. */
int open_standard_files(void);

/* A file in /etc: 0 and *out, -ENOENT, -EACCES, -ENOMEM. */
int etc_open(const char *path, uint32_t flags, struct file **out);

#endif
