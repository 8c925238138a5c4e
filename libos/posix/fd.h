/*
 * The descriptor table: small numbers for open files, the lowest free one first.
 * A descriptor holds one reference to its file; fd_get() adds one for the call in progress.
 */
#ifndef POSIX_FD_H
#define POSIX_FD_H

#include <core/types.h>
#include <libos/file.h>

#define FD_LIMIT_MAX 65536u

/*
 * NULL: no such descriptor. Give back with file_put(). One opened with O_PATH is none for most
 * calls; those that only ask for its place, or copy the descriptor, take any.
 */
struct file *fd_get(int fd);
struct file *fd_get_any(int fd);

/*
 * A descriptor >= `lowest` for `f`, whose reference it takes over. -EMFILE or -ENOMEM: `f` has been
 * put.
 */
int fd_install(struct file *f, bool close_on_exec, int lowest);
/*
 * Takes the lowest free number before there is a file, so that what may fail for want of one does
 * nothing: or -EMFILE.
 */
int fd_reserve(bool close_on_exec);
void fd_fill(int fd, struct file *f); /* a reserved one; NULL gives it back */
/*
 * Makes `fd` refer to `f` (whose reference it takes over), closing what it was. `fd` or -EBADF,
 * -ENOMEM, -EBUSY (it is reserved).
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
