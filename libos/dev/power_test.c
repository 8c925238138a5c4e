/*
 * The orderly end: hooks run by level, the latest of a level first, and once.
 */
#include <core/test.h>
#include <libos/power.h>

#include "power.h"

static char order[8];
static unsigned ran;

struct noting_hook {
	struct power_hook hook;
	char name;
};

static void note(struct power_hook *h)
{
	order[ran++] = container_of(h, struct noting_hook, hook)->name;
}

TEST(power_runs_hooks_from_applications_down_to_devices)
{
	static struct noting_hook hooks[] = {
		{ { .level = POWER_DEVICES, .run = note }, 'd' },
		{ { .level = POWER_APP, .run = note }, 'a' },
		{ { .level = POWER_FILES, .run = note }, 'f' },
		{ { .level = POWER_FILES, .run = note }, 'g' },
	};

	ran = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(hooks); i++)
		power_hook_add(&hooks[i].hook);
	power_run_hooks_of(POWER_APP);
	power_run_hooks_of(POWER_FILES);
	CHECK_EQ(ran, 3);
	CHECK(order[0] == 'a' && order[1] == 'g' && order[2] == 'f');
	list_remove(&hooks[0].hook.link); /* the devices of other tests are not to be reset */
	power_run_hooks_of(POWER_FILES);
	CHECK_EQ(ran, 3);
}
