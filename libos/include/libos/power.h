/*
 * The orderly end: what must happen before the machine is switched off, in which order.
 *
 * A part that holds something worth saving, or a device that writes into memory, adds a hook.
 * system_poweroff() runs the hooks level by level and then ends the machine. A hook may sleep for a
 * bounded time; it runs once, in the thread that asked for the end.
 */
#ifndef LIBOS_POWER_H
#define LIBOS_POWER_H

#include <core/list.h>
#include <core/types.h>

enum power_level {
	POWER_APP,      /* applications and services stop */
	POWER_FILES,    /* file systems flush and unmount */
	POWER_NETWORK,  /* the stack lets go of its devices */
	POWER_DEVICES,  /* devices are reset: no more access to memory */
	POWER_LEVELS
};

struct power_hook {
	struct list link;
	enum power_level level;
	void (*run)(struct power_hook *h);
};

void power_hook_add(struct power_hook *h);  /* threads; within a level the latest runs first */

/*
 * The end, with every hook run: `status` as for arch_poweroff(). A second caller only waits.
 * Threads.
 */
NORETURN void system_poweroff(int status);
NORETURN void system_reboot(void);

#endif
