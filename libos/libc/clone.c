/*
 * Starting and ending threads, where musl has assembler around a trap.
 *
 * musl calls __clone() from pthread_create() with the new thread's structure filled in, so the
 * lowest address of its stack is known here, which clone() alone would not tell.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdarg.h>
#include "pthread_impl.h"
#include "syscall.h"

long process_clone(int (*entry)(void *), void *arg, void *stack, size_t stack_bytes,
		   unsigned long flags, int *parent_tid, uintptr_t tls, int *child_tid);
_Noreturn void process_unmap_and_exit(void *base, size_t len);

#define THREAD_FLAGS (CLONE_VM | CLONE_THREAD | CLONE_SETTLS)

int __clone(int (*entry)(void *), void *stack_top, int flags, void *arg, ...)
{
	struct pthread *new;
	char *tls, *lowest;
	int *parent_tid, *child_tid;
	va_list ap;

	va_start(ap, arg);
	parent_tid = va_arg(ap, int *);
	tls = va_arg(ap, char *);
	child_tid = va_arg(ap, int *);
	va_end(ap);
	if ((flags & THREAD_FLAGS) != THREAD_FLAGS)
		return -ENOSYS; /* there is no second process */
	new = (struct pthread *)(tls - sizeof(struct pthread));
	lowest = (char *)new->stack - new->stack_size;
	stack_top = (void *)((uintptr_t)stack_top & -16);
	return process_clone(entry, arg, lowest, (char *)stack_top - lowest, (unsigned)flags,
			     parent_tid, (uintptr_t)tls, child_tid);
}

_Noreturn void __unmapself(void *base, size_t size)
{
	process_unmap_and_exit(base, size);
}

pid_t vfork(void)
{
	return __syscall_ret(-ENOSYS);
}

/* Signal handlers return to their caller here; musl only takes these addresses. */
void __restore(void)
{
}

void __restore_rt(void)
{
}
