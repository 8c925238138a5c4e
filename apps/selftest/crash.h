/* What crash= in bootargs asks for; returns when nothing was asked. */
#ifndef SELFTEST_CRASH_H
#define SELFTEST_CRASH_H

void crash_on_demand(void);

#endif
