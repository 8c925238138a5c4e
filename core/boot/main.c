/*
 * Boot order: from the first line of C at its final address to the application.
 *
 * kernel_main() runs on the boot thread with interrupts off, brings core up far enough for threads,
 * and becomes hart 0's idle thread. The rest of the boot is the main thread's.
 */
#include <core/arch.h>
#include <core/assert.h>
#include <core/boot.h>
#include <core/init.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/sched.h>
#include <core/thread.h>
#include <core/time.h>
#include "boot.h"

extern const struct init_hook __start_init_hooks[], __stop_init_hooks[];

NORETURN void kernel_main(void);

void init_run(enum init_level level)
{
	for (const struct init_hook *h = __start_init_hooks; h < __stop_init_hooks; h++) {
		int err;

		if (h->level != level)
			continue;
		err = h->run();
		if (err)
			log_warn("boot: %s failed with %d; its part is absent", h->name, err);
	}
}

static void main_thread(void *unused)
{
	(void)unused;
	init_run(INIT_HARTS);
	sched_start_harts();
	init_run(INIT_DRIVERS);
	init_run(INIT_SERVICES);
	init_run(INIT_APP);
	log_debug("boot: %lu us from reset to the application", (unsigned long)(clock_ns() / 1000));
	arch_poweroff(boot_app_main());
}

void kernel_main(void)
{
	static const struct thread_attr attr = {
		.name = "main",
		.priority = THREAD_PRIORITY_APP,
		.stack_bytes = KIB(CONFIG_MAIN_STACK_KIB),
		.detached = true,
		.hart = -1,
	};
	struct thread *main = NULL;

	boot_args_init();
	arch_init();
	kmem_init();
	clock_init();
	sched_init();
	init_run(INIT_EARLY);
	init_run(INIT_CORE);
	if (thread_create(&attr, main_thread, NULL, 0, &main))
		panic("there is too little memory for the main thread's stack");
	thread_start(main);
	sched_hart_main();
}
