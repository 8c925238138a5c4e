/* What is opened otherwise with file systems (path_calls.c) than without (open.c). */
#ifndef POSIX_OPEN_H
#define POSIX_OPEN_H

#include <libos/file.h>

/* What descriptors 0, 1 and 2 name before main(); NULL: no memory. */
struct file *open_console(void);

/* A file in /etc: 0 and *out, -ENOENT, -EACCES, -ENOMEM. */
int etc_open(const char *path, uint32_t flags, struct file **out);

#endif
