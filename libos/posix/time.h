/* Deadlines from what applications pass: see time.c. */
#ifndef POSIX_TIME_H
#define POSIX_TIME_H

#include <core/time.h>
#include <core/types.h>
#include <libos/abi.h>

bool timespec_is_valid(const struct abi_timespec *t);
uint64_t timespec_to_ns(const struct abi_timespec *t);            /* saturates */
struct abi_timespec timespec_from_ns(uint64_t ns);

/* clock_ns() deadline of a relative timespec in user memory; NULL: never. 0, -EFAULT, -EINVAL. */
int deadline_read_relative(uint64_t *deadline_ns, const void *user_timespec);
uint64_t deadline_after(uint64_t ns);                             /* saturates */

/*
 * The clock's reading in ns, and the clock_ns() time at which it will read `ns`. -EINVAL: no such
 * clock.
 */
int clock_read(int clock, uint64_t *ns);
int clock_deadline(int clock, uint64_t ns, uint64_t *deadline_ns);

#endif
