/* Locks on files, for descriptors.c and fd.c. */
#ifndef POSIX_LOCK_CALLS_H
#define POSIX_LOCK_CALLS_H

#include <libos/file.h>

enum { F_GETLK = 5, F_SETLK, F_SETLKW, F_OFD_GETLK = 36, F_OFD_SETLK, F_OFD_SETLKW };

long fcntl_lock(struct file *f, int fd, int command, void *user); /* `fd` was found to be `f` */
/* A descriptor of `f` has been closed: the process's record locks on that file go. */
void locks_descriptor_closed(struct file *f);

#endif
