/*
 * The orderly end; <libos/power.h> says what it promises.
 */
#include <core/arch.h>
#include <core/log.h>
#include <core/sync.h>
#include <core/thread.h>
#include <core/time.h>

#include "power.h"

static struct list hooks[POWER_LEVELS] = {
	LIST_INIT(hooks[POWER_APP]), LIST_INIT(hooks[POWER_FILES]),
	LIST_INIT(hooks[POWER_NETWORK]), LIST_INIT(hooks[POWER_DEVICES]),
};
static struct spinlock hooks_lock = SPINLOCK_INIT;
static uint32_t ending; /* atomic; a word, since there are no byte exchanges */

void power_hook_add(struct power_hook *h)
{
	spin_lock(&hooks_lock);
	list_push_front(&hooks[h->level], &h->link);
	spin_unlock(&hooks_lock);
}

static struct power_hook *next_hook(enum power_level level)
{
	struct list *link;

	spin_lock(&hooks_lock);
	link = list_pop_front(&hooks[level]);
	spin_unlock(&hooks_lock);
	return link ? list_entry(link, struct power_hook, link) : NULL;
}

void power_run_hooks_of(enum power_level level)
{
	struct power_hook *h;

	while ((h = next_hook(level)) != NULL)
		h->run(h);
}

static void run_hooks(void)
{
	for (enum power_level level = 0; level < POWER_LEVELS; level++)
		power_run_hooks_of(level);
}

/* The first caller goes on; others, the application's threads among them, sleep until the end. */
static void claim_the_end(void)
{
	if (!__atomic_exchange_n(&ending, 1, __ATOMIC_ACQ_REL))
		return;
	for (;;)
		thread_sleep_until(DEADLINE_NEVER);
}

void system_poweroff(int status)
{
	claim_the_end();
	log_info("power: off, status %d", status);
	run_hooks();
	arch_poweroff(status);
}

void system_reboot(void)
{
	claim_the_end();
	log_info("power: reboot");
	run_hooks();
	arch_reboot();
}
