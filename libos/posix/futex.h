/* Waiting on a word of memory. See futex.c. */
#ifndef POSIX_FUTEX_H
#define POSIX_FUTEX_H

#include <core/types.h>

/* Wakes at most `max` threads that wait on `address`; how many. Threads. */
int futex_wake_address(const void *address, int max);

#endif
