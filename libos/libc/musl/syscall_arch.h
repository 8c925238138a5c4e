/*
 * How musl makes system calls inside an appliance: it calls them. Found before musl's own header of
 * this name, when musl is compiled (tools/build/musl) and when libos/libc is.
 *
 * direct_call() is generated (libos/syscall/generate): where the number is a constant, which is
 * nearly everywhere, it becomes a call of that one door, so that an image has only the doors that
 * its program uses.
 *
 * musl's cancellation points call __syscall_cp() with a number at run time, which would need every
 * door. Here it is an inline function around the same constant; musl's later declaration of it as a
 * function agrees with that, and its later definition, which nobody calls, is not linked.
 */
#define __SYSCALL_LL_E(x) (x)
#define __SYSCALL_LL_O(x) (x)

#include "syscall_direct.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE long __syscall0(long n)
{
	return direct_call(n, 0, 0, 0, 0, 0, 0);
}

ALWAYS_INLINE long __syscall1(long n, long a)
{
	return direct_call(n, a, 0, 0, 0, 0, 0);
}

ALWAYS_INLINE long __syscall2(long n, long a, long b)
{
	return direct_call(n, a, b, 0, 0, 0, 0);
}

ALWAYS_INLINE long __syscall3(long n, long a, long b, long c)
{
	return direct_call(n, a, b, c, 0, 0, 0);
}

ALWAYS_INLINE long __syscall4(long n, long a, long b, long c, long d)
{
	return direct_call(n, a, b, c, d, 0, 0);
}

ALWAYS_INLINE long __syscall5(long n, long a, long b, long c, long d, long e)
{
	return direct_call(n, a, b, c, d, e, 0);
}

ALWAYS_INLINE long __syscall6(long n, long a, long b, long c, long d, long e, long f)
{
	return direct_call(n, a, b, c, d, e, f);
}

/* libos/libc/cancel.c */
__attribute__((visibility("hidden"))) long __cancellation_enter(long n);
__attribute__((visibility("hidden"))) long __cancellation_leave(long n, long result);

extern inline __attribute__((gnu_inline, always_inline))
long __syscall_cp(long n, long a, long b, long c, long d, long e, long f)
{
	long result = __cancellation_enter(n);

	return result ? result : __cancellation_leave(n, direct_call(n, a, b, c, d, e, f));
}

/* Inlined always, so that the numbers that its callers pass stay constants. */
ALWAYS_INLINE long __alt_socketcall(int sys, int sock, int cp, long a, long b, long c, long d,
				    long e, long f);

#define IPC_64 0
