/*
 * The descriptor table: small numbers for open files, the lowest free one first.
 * A descriptor holds one reference to its file; fd_get() adds one for the call in progress.
 */
#ifndef POSIX_FD_H
#define POSIX_FD_H

#include <core/types.h>
#include <libos/file.h>

#define FD_LIMIT_MAX 65536u

struct file *fd_get(int fd); /* NULL: no such descriptor. Give back with file_put() */

/*
 * A descriptor >= `lowest` for `f`, whose reference it takes over. -EMFILE or -ENOMEM: `f` has been
 * put.
 */
int fd_install(struct file *f, bool close_on_exec, int lowest);
/*
 * Makes `fd` refer to `f` (whose reference it takes over), closing what it was. `fd` or -EBADF,
 * -ENOMEM.
 */
int fd_replace(int fd, struct file *f, bool close_on_exec);
bool fd_is_open(int fd);
int fd_close(int fd);                               /* 0 or -EBADF */

int fd_flags(int fd, bool *close_on_exec);          /* 0 or -EBADF */
int fd_set_flags(int fd, bool close_on_exec);

unsigned fd_limit(void);                            /* RLIMIT_NOFILE */
void fd_set_limit(unsigned limit);
unsigned fd_end(void); /* above the highest descriptor that may be open */

#endif
