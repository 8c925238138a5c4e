/*
 * Thread cancellation in system calls.
 *
 * musl's own way looks at the program counter: its signal handler for SIGCANCEL asks whether the
 * thread was between __cp_begin and __cp_end, that is, at the trap of a cancellable call. Here a
 * signal handler runs where a call returns. So a cancellable call tells libos that handlers are to
 * see __cp_begin as the interrupted pc (posix_set_call_pc); musl's handler then moves the pc to
 * __cp_cancel, which libos takes as the wish to end the call with -EINTR; and what musl did at
 * __cp_cancel is done in __cancellation_leave().
 *
 * __cancel() comes from musl's pthread_cancel.c, if the program has that; the weak one is never
 * called.
 */
#include "pthread_impl.h"
#include "syscall.h"

void posix_set_call_pc(uintptr_t pc);

hidden long __cancel(void);

static long no_cancel(void)
{
	return 0;
}
weak_alias(no_cancel, __cancel);

/* Addresses that are compared and never run. */
__asm__(".pushsection .rodata.__cp_begin, \"a\"\n"
	".hidden __cp_begin, __cp_end, __cp_cancel\n"
	".global __cp_begin, __cp_end, __cp_cancel\n"
	"__cp_begin: .byte 0\n"
	"__cp_end: .byte 0\n"
	"__cp_cancel: .byte 0\n"
	".popsection");
extern hidden const char __cp_begin[1];

/* musl's pthread_cancel.c refers to it in a function that nobody calls. */
hidden long __syscall_cp_asm(void);
long __syscall_cp_asm(void)
{
	return -ENOSYS;
}

static int is_cancellable(const struct pthread *self, long n)
{
	int state = self->canceldisable;

	return state == PTHREAD_CANCEL_ENABLE || (state == PTHREAD_CANCEL_MASKED && n != SYS_close);
}

/* 0: make the call. Does not return if the thread has been cancelled. */
hidden long __cancellation_enter(long n)
{
	struct pthread *self = __pthread_self();

	if (!is_cancellable(self, n))
		return 0;
	if (self->cancel)
		return __cancel();
	posix_set_call_pc((uintptr_t)__cp_begin);
	return 0;
}

/* Apart, so that calls that nothing has interrupted have a small frame. */
static __attribute__((noinline)) long leave_interrupted(long n)
{
	struct pthread *self = __pthread_self();

	posix_set_call_pc(0);
	if (n != SYS_close && self->cancel && self->canceldisable != PTHREAD_CANCEL_DISABLE)
		return __cancel();
	return -EINTR;
}

hidden long __cancellation_leave(long n, long result)
{
	if (result == -EINTR)
		return leave_interrupted(n);
	posix_set_call_pc(0);
	return result;
}
