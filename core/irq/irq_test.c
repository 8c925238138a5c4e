/*
 * Requests for interrupts that cannot be granted.
 */
#include <core/errno.h>
#include <core/irq.h>
#include <core/test.h>

static void never(void *arg)
{
	(void)arg;
}

TEST(irq_numbers_the_controller_lacks_are_refused)
{
	CHECK_EQ(irq_request(0, never, NULL, "test"), -EINVAL);
	CHECK_EQ(irq_request(100000, never, NULL, "test"), -EINVAL);
	CHECK(!irq_in_handler());
}

TEST(irq_has_one_handler_at_a_time)
{
	enum { FREE_IRQ = 95 }; /* the last of QEMU's PLIC, which no device uses */
	int err = irq_request(FREE_IRQ, never, NULL, "test");

	if (err == -EINVAL) /* another machine */
		return;
	CHECK_EQ(err, 0);
	CHECK_EQ(irq_request(FREE_IRQ, never, NULL, "test"), -EBUSY);
	irq_release(FREE_IRQ);
	CHECK_EQ(irq_request(FREE_IRQ, never, NULL, "test"), 0);
	irq_release(FREE_IRQ);
}
