/*
 * The direct door: what happens around a handler when a system call is a function call.
 *
 * Before: the pages of the caller's stack that a handler may use are touched, so that none is
 * touched for the first time while a handler holds a spinlock. After: signals that have become due
 * run their handlers, and an interrupted call starts again or ends with -EINTR, as Linux would have
 * it. Without signals this costs a few loads and two branches.
 */
#ifndef SYSCALL_DOOR_H
#define SYSCALL_DOOR_H

#include <core/types.h>

/*
 * What a handler may use of its caller's stack (a call that reaches a disk's file system uses
 * more), and the smallest stack that clone accepts. tests/abi/stack_depth.py adds up the deepest
 * chain of an image and holds it to the former.
 */
#define DOOR_STACK_BYTES (IS_ENABLED(CONFIG_VFS) ? KIB(16) : KIB(8))
#define THREAD_STACK_MIN (DOOR_STACK_BYTES + KIB(4))

extern uint32_t signal_threads_waiting;   /* threads that have a signal to take */

/* Comes back in registers, so that calls have their result in one, too. */
struct delivered {
	long result;   /* of the call, from now on */
	bool again;    /* the call starts again */
};

/* Runs the handlers that are due after a call of this result. */
struct delivered signal_deliver(long result);

static inline void door_touch_stack(void)
{
	const volatile char *frame = __builtin_frame_address(0);

	for (size_t below = PAGE_SIZE; below <= DOOR_STACK_BYTES; below += PAGE_SIZE)
		(void)frame[-(long)below];
}

static inline bool door_is_interrupted(long result)
{
	return (unsigned long)(result + 516) <=
	       4; /* ERESTARTSYS ... ERESTARTNOHAND and their kin */
}

#define DOOR(call)                                                                              \
	do {                                                                                    \
		struct delivered end_;                                                          \
		door_touch_stack();                                                             \
		do {                                                                            \
			end_ = (struct delivered){ .result = (call) };                          \
			if (unlikely(__atomic_load_n(&signal_threads_waiting, __ATOMIC_RELAXED) || \
				     door_is_interrupted(end_.result)))                         \
				end_ = signal_deliver(end_.result);                             \
		} while (unlikely(end_.again));                                                 \
		return end_.result;                                                             \
	} while (0)

#endif
