/*
 * Boot order is data. A part that must run at boot places a hook with INIT(level, function); core
 * runs the hooks level by level, within a level in link order, on the boot hart, in a thread with
 * interrupts on from INIT_DRIVERS onward. A hook returns 0, or a negative errno, which is logged
 * with the hook's name; boot goes on, so the hook's part must then answer as absent.
 */
#ifndef CORE_INIT_H
#define CORE_INIT_H

#include <core/types.h>

enum init_level {
	INIT_EARLY,    /* console, memory: no allocation before core/mm's own hooks here */
	INIT_CORE,     /* scheduler, timers, interrupt controller: may allocate, may not sleep */
	INIT_HARTS,    /* the other harts start at the end of this level */
	INIT_DRIVERS,  /* buses probe, devices register */
	INIT_SERVICES, /* network stack, file systems, operator's door */
	INIT_APP,      /* the application's main() follows this level */
};

struct init_hook {
	enum init_level level;
	const char *name;
	int (*run)(void);
};

/* Joined by the linker: sections .init_hooks.<level>, sorted by name. */
#define INIT(lvl, fn)                                                                              \
	static const struct init_hook init_hook_##fn __attribute__((                               \
		used, no_reorder, section(".init_hooks." #lvl), aligned(8))) = { lvl, #fn, fn }

void init_run(enum init_level level);

#endif
