/* What libc's start-up asks of libos/posix. */
#ifndef POSIX_START_H
#define POSIX_START_H

/*
 * Makes the calling thread the application's first, with descriptors 0, 1 and 2. 0 or negative
 * errno.
 */
int posix_start(void);

#endif
