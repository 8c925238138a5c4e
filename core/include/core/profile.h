/*
 * Profile: which functions the harts are in, by looking many times a second.
 *
 * A timer on each hart interrupts whatever runs, and the stack found there is counted. A hart that
 * has nothing to do is counted as idle, without a stack. What interrupts cannot interrupt is seen
 * late: time in sections with interrupts off is charged to the place that switches them on again.
 * Costs nothing while off. With CONFIG_PROFILE.
 */
#ifndef CORE_PROFILE_H
#define CORE_PROFILE_H

#include <core/types.h>

#define PROFILE_HZ_DEFAULT 997    /* a prime, so as not to keep step with the load */
#define PROFILE_HZ_MAX     10000

/* Threads. 0, -EBUSY when somebody else is at it (until profile_end()), -EINVAL, -ENOMEM. */
int profile_start(unsigned hz);
void profile_stop(void);     /* no more samples; what there is can be read */
void profile_end(void);      /* forgets everything */

/*
 * The result as text, between profile_stop() and profile_end(): one stack a line,
 *
 *	hart/0;main;outer_function;inner_function 42
 *
 * the outermost first, as flame graph tools read it, and "hart/0;idle 17". Frames are names, or
 * link addresses in hexadecimal: of the innermost the instruction, of the others the one behind the
 * call.
 */
struct profile_reader {
	const void *stack;       /* NULL: before the first */
	hart_t hart;
	bool idle_is_told;
	bool in_addresses;       /* set by the caller */
};
#define PROFILE_LINE_MAX 2048
/* Writes the next line, with its end but no zero, and returns its length; 0 behind the last. */
size_t profile_line(struct profile_reader *r, char line[PROFILE_LINE_MAX]);

/* Samples for whose stack there was no room. */
uint64_t profile_lost(void);

#endif
