/*
 * The time of day at boot, from QEMU's "goldfish" real-time clock: nanoseconds since 1970 in two
 * registers. Reading the low half latches the high one.
 */
#include <core/boot.h>
#include <core/errno.h>
#include <core/init.h>
#include <core/time.h>
#include <core/vm.h>

#define RTC_TIME_LOW  0
#define RTC_TIME_HIGH 1
#define RTC_SIZE      8u

static int goldfish_rtc_init(void)
{
	const struct fdt *f = boot_fdt();
	fdt_node_t n = fdt_next_compatible(f, -1, "google,goldfish-rtc");
	volatile uint32_t *registers;
	uint64_t addr, size, low;

	if (n < 0)
		return 0; /* the clock counts from 1970 until somebody sets it */
	if (!fdt_reg(f, n, 0, &addr, &size) || size < RTC_SIZE || !IS_ALIGNED(addr, 4UL))
		return -EINVAL;
	registers = vm_map_device(addr, RTC_SIZE);
	if (!registers)
		return -ENOMEM;
	low = registers[RTC_TIME_LOW];
	clock_set_wall_ns((uint64_t)registers[RTC_TIME_HIGH] << 32 | low);
	return 0;
}
INIT(INIT_CORE, goldfish_rtc_init);
