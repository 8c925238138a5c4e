/*
 * Crashes on demand: `crash=NAME` in bootargs makes the selftest image do what no code should, so
 * that system tests see the machine layer catch it and a panic name the place. Nothing here returns
 * when the protection it probes is in order.
 */
#include <core/arch.h>
#include <core/assert.h>
#include <core/boot.h>
#include <core/log.h>
#include <core/string.h>
#include "crash.h"

BOOT_OPTION(
	crash,
	"crash=assert|null|stack|guard|text|alias|data: break a rule instead of running the tests");

static void crash_assert(void)
{
	volatile int one = 1;

	assert(one == 2);
}

/* Page 0 is never mapped. */
static void crash_null(void)
{
	volatile int *volatile nothing = NULL;

	*nothing = 1;
}

/* Endless recursion runs into the guard page under the stack. */
static __attribute__((noinline)) int crash_stack_deeper(volatile char *above)
{
	volatile char here[512];

	here[0] = above ? above[0] : 1;
	return here[0] ? crash_stack_deeper(here) + here[0] : 0;
}

static void crash_stack(void)
{
	crash_stack_deeper(NULL);
}

/* A write behind a local array changes the stack guard. */
static __attribute__((noinline)) void crash_guard(void)
{
	char small[16];
	volatile size_t len = 64;

	for (volatile char *p = small; len; len--)
		*p++ = 'x';
}

static void write_code(void *code)
{
	*(volatile uint16_t *)code = 0;
}

static void crash_text(void)
{
	write_code((void *)crash_assert);
}

/* The direct map shows the image's code a second time; that is not writable either. */
static void crash_alias(void)
{
	paddr_t pa;
	unsigned prot;

	if (arch_translate((vaddr_t)crash_assert, &pa, &prot))
		write_code(arch_direct_map(pa));
}

static void crash_data(void)
{
	static uint16_t code[] = { 0x8082 }; /* ret */

	((void (*)(void))code)();
}

void crash_on_demand(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} crashes[] = {
		{ "assert", crash_assert }, { "null", crash_null }, { "stack", crash_stack },
		{ "guard", crash_guard }, { "text", crash_text }, { "alias", crash_alias },
		{ "data", crash_data },
	};
	const char *wanted = boot_option("crash");

	if (!wanted)
		return;
	for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++) {
		if (str_equal(crashes[i].name, wanted))
			crashes[i].run();
	}
	log_error("selftest: crash=%s did no harm", wanted);
	arch_poweroff(99);
}
