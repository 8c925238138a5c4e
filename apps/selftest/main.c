/*
 * selftest: runs every unit test of the image on the machine itself, in the main thread, and powers
 * off with the number of failures as status. `test=NAME` in bootargs runs those whose name or file
 * has it.
 */
#include <core/arch.h>
#include <core/boot.h>
#include <core/init.h>
#include <core/test.h>
#include "crash.h"

BOOT_OPTION(test, "test=NAME: run only the tests whose name or file contains NAME");

static int selftest_run(void)
{
	crash_on_demand();
	arch_poweroff(test_run_all(boot_option("test")));
}
INIT(INIT_APP, selftest_run);
