/*
 * Making and unmaking the machine's part of a thread.
 */
#include <core/arch.h>
#include <core/errno.h>
#include <core/string.h>
#include <core/vm.h>

#define THREAD_TRAP_STACK_BYTES KIB(8)

void thread_begin(void);

int arch_thread_init(struct thread *thread, void *stack_top, void (*entry)(void *), void *arg,
		     uintptr_t tls)
{
	struct arch_thread *t = (struct arch_thread *)thread;

	*t = (struct arch_thread){
		.ra = (uintptr_t)thread_begin,
		.sp = ALIGN_DOWN((uintptr_t)stack_top, 16UL),
		.s = { (uintptr_t)entry, (uintptr_t)arg },
		.tp = tls,
		.hart = t->hart,
	};
	if (!IS_ENABLED(CONFIG_PREEMPT))
		return 0;
	t->trap_stack = vm_stack_alloc(THREAD_TRAP_STACK_BYTES);
	if (!t->trap_stack)
		return -ENOMEM;
	t->trap_sp = (uintptr_t)t->trap_stack + THREAD_TRAP_STACK_BYTES;
	return 0;
}

void arch_thread_release(struct thread *thread)
{
	struct arch_thread *t = (struct arch_thread *)thread;

	if (t->trap_stack)
		vm_stack_free(t->trap_stack, THREAD_TRAP_STACK_BYTES);
	t->trap_stack = NULL;
}
