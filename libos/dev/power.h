/*
 * Inside libos/dev: the levels of the end, one at a time, for tests.
 */
#ifndef POWER_H
#define POWER_H

#include <libos/power.h>

void power_run_hooks_of(enum power_level level);

#endif
