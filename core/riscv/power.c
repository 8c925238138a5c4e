/*
 * The end: firmware's system reset, and QEMU's test device where the device tree has one, since it
 * alone can end QEMU with an exit code.
 */
#include <core/arch.h>
#include "csr.h"
#include "power.h"
#include "sbi.h"

#define TEST_FAIL 0x3333u /* with the code in the upper half-word; 0 would read as success */
#define TEST_PASS 0x5555u

static volatile uint32_t *test_device; /* [I] after boot */

void power_set_test_device(void *registers)
{
	test_device = registers;
}

static NORETURN void stop_here(void)
{
	arch_irq_disable();
	csr_write(sie, 0);
	for (;;)
		__asm__ volatile("wfi");
}

void arch_poweroff(int status)
{
	unsigned code = (unsigned)status & 0xff;

	if (test_device)
		*test_device = status == 0 ? TEST_PASS : (code ? code : 1) << 16 | TEST_FAIL;
	sbi_call(SBI_SRST, 0, SBI_SRST_SHUTDOWN, status ? SBI_SRST_FAILURE : SBI_SRST_NO_REASON, 0);
	stop_here();
}

void arch_reboot(void)
{
	sbi_call(SBI_SRST, 0, SBI_SRST_COLD_REBOOT, SBI_SRST_NO_REASON, 0);
	stop_here();
}
