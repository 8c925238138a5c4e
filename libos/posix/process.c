/*
 * The process and its threads: start, end, and what Linux does between (tids, CLEARTID).
 *
 * A thread's stack is the application's: it may be unmapped or reused as soon as the thread's
 * joiner learns of its end. So everything that announces the end happens in thread_released(),
 * which a kernel task calls when the thread is off its stack for good.
 *
 * System calls run on the caller's stack, below what the program itself uses, and while they hold a
 * spinlock a first touch of the stack could not be served. So a new thread's stack is filled when
 * it is created, up to STACK_FILL; the door touches what a call may need (libos/syscall/door.h).
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/thread.h>
#include <core/vm.h>
#include <libos/power.h>
#include <libos/uio.h>

#include "door.h"
#include "futex.h"
#include "process.h"
#include "signal.h"
#include "syscalls.h"

#define STACK_FILL KIB(256)

#define CLONE_VM             0x00000100ul
#define CLONE_SIGHAND        0x00000800ul
#define CLONE_THREAD         0x00010000ul
#define CLONE_SETTLS         0x00080000ul
#define CLONE_PARENT_SETTID  0x00100000ul
#define CLONE_CHILD_CLEARTID 0x00200000ul
#define CLONE_CHILD_SETTID   0x01000000ul

struct process process = {
	.lock = SPINLOCK_INIT,
	.threads = LIST_INIT(process.threads),
	.queued = LIST_INIT(process.queued),
};

static struct posix_thread *posix_thread_create(void)
{
	struct posix_thread *p = kzalloc(sizeof(*p));

	if (p) {
		list_init(&p->link);
		list_init(&p->queued);
	}
	return p;
}

static void process_add_thread(struct posix_thread *p)
{
	irqflags_t flags = spin_lock_irq(&process.lock);

	list_push_back(&process.threads, &p->link);
	process.thread_count++;
	spin_unlock_irq(&process.lock, flags);
}

int process_adopt_thread(void)
{
	struct posix_thread *p = posix_thread_create();

	if (!p)
		return -ENOMEM;
	p->thread = thread_current();
	thread_set_user(p->thread, p);
	process_add_thread(p);
	return 0;
}

NORETURN void process_exit(int status)
{
	system_poweroff(status);
}

long sys_exit_group(int status)
{
	process_exit(status & 0xff);
}

/* The thread is off its stack: now its joiner may know, and its stack may go. */
static void thread_released(void *user)
{
	static const int zero;
	struct posix_thread *p = user;

	if (p->own_stack)
		vm_anon_unmap((vaddr_t)p->own_stack, p->own_stack_len);
	if (p->clear_tid && user_write(p->clear_tid, &zero, sizeof(zero)) == 0)
		futex_wake_address(p->clear_tid, 1);
	kfree(p);
}

static NORETURN void thread_end(int status)
{
	struct posix_thread *p = posix_thread_current();
	irqflags_t flags = spin_lock_irq(&process.lock);
	bool last = --process.thread_count == 0;

	list_remove(&p->link);
	signal_forget_thread_locked(p);
	spin_unlock_irq(&process.lock, flags);
	if (last)
		process_exit(status & 0xff);
	thread_exit();
}

long sys_exit(int status)
{
	thread_end(status);
}

NORETURN void process_unmap_and_exit(void *base, size_t len)
{
	struct posix_thread *p = posix_thread_current();

	p->own_stack = base;
	p->own_stack_len = len;
	thread_end(0);
}

static void thread_entry(void *arg)
{
	struct posix_thread *p = arg;

	p->entry(p->arg);
	thread_end(0);
}

static bool clone_flags_are_known(unsigned long flags)
{
	const unsigned long needed = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;

	return (flags & needed) == needed;
}

/* Fills the pages that the thread will use; -EFAULT when they are not memory. */
static int stack_fill(uint8_t *stack, size_t bytes)
{
	size_t fill = MIN(bytes, STACK_FILL);

	for (size_t back = 1; back <= fill; back += PAGE_SIZE) {
		uint8_t byte;

		if (user_read(&byte, stack + bytes - back, 1) < 0 ||
		    user_write(stack + bytes - back, &byte, 1) < 0)
			return -EFAULT;
	}
	return 0;
}

static int stack_check(void *stack, size_t bytes)
{
	if (bytes < THREAD_STACK_MIN) {
		log_warn("clone: a stack of %zu bytes is refused, system calls need %zu", bytes,
			 THREAD_STACK_MIN);
		return -EINVAL;
	}
	return stack_fill(stack, bytes);
}

long process_clone(int (*entry)(void *), void *arg, void *stack, size_t stack_bytes,
		   unsigned long flags, int *parent_tid, uintptr_t tls, int *child_tid)
{
	struct thread_attr attr = { .name = "app", .priority = THREAD_PRIORITY_APP, .stack = stack,
				    .stack_bytes = stack_bytes, .detached = true, .hart = -1,
				    .released = thread_released };
	struct posix_thread *p;
	struct thread *t;
	int ret = stack_check(stack, stack_bytes), id;

	if (!clone_flags_are_known(flags))
		return -EINVAL;
	if (ret)
		return ret;
	p = posix_thread_create();
	if (!p)
		return -ENOMEM;
	p->entry = entry;
	p->arg = arg;
	p->mask = posix_thread_current()->mask;
	p->clear_tid = flags & CLONE_CHILD_CLEARTID ? child_tid : NULL;
	ret = thread_create(&attr, thread_entry, p, flags & CLONE_SETTLS ? tls : 0, &t);
	if (ret < 0) {
		kfree(p);
		return ret;
	}
	p->thread = t;
	id = thread_id(t);
	thread_set_user(t, p);
	if ((flags & CLONE_PARENT_SETTID && user_write(parent_tid, &id, sizeof(id)) < 0) ||
	    (flags & CLONE_CHILD_SETTID && user_write(child_tid, &id, sizeof(id)) < 0))
		log_warn("clone: no memory where the thread's id should go");
	process_add_thread(p);
	thread_start(t);
	return id;
}

long sys_set_tid_address(int *address)
{
	posix_thread_current()->clear_tid = address;
	return thread_id(thread_current());
}

long sys_gettid(void)
{
	return thread_id(thread_current());
}

/* musl keeps robust lists for itself, and nobody dies without its thread's consent here. */
long sys_set_robust_list(void *head, size_t len)
{
	(void)head;
	return len == 3 * sizeof(long) ? 0 : -EINVAL;
}

