/*
 * The console: firmware's until a UART driver registers, then that driver's.
 *
 * Lock: console_lock, a leaf, taken with interrupts off; a panic goes past it.
 */
#include <core/arch.h>
#include <core/console.h>
#include <core/string.h>
#include <core/sync.h>
#include "console.h"

#define INPUT_SIZE 256u /* a power of two */

static struct spinlock console_lock = SPINLOCK_INIT;
static const struct console_driver *driver; /* [I] after its registration */
static void (*input_notify)(void);

/* Written by the driver's interrupt, read by console_read(); positions run freely. */
static struct {
	struct spinlock lock;
	uint8_t bytes[INPUT_SIZE];
	uint32_t head, tail;   /* [lock] */
} input;

void console_register(const struct console_driver *d)
{
	__atomic_store_n(&driver, d, __ATOMIC_RELEASE);
}

void console_put_raw(const char *bytes, size_t len)
{
	const struct console_driver *d = __atomic_load_n(&driver, __ATOMIC_ACQUIRE);

	if (d)
		d->put(bytes, len);
	else
		arch_console_put(bytes, len);
}

void console_write(const char *bytes, size_t len)
{
	irqflags_t flags = spin_lock_irq(&console_lock);

	console_put_raw(bytes, len);
	spin_unlock_irq(&console_lock, flags);
}

void console_input(uint8_t byte)
{
	irqflags_t flags = spin_lock_irq(&input.lock);

	if (input.head - input.tail < INPUT_SIZE)
		input.bytes[input.head++ % INPUT_SIZE] = byte;
	spin_unlock_irq(&input.lock, flags);
}

void console_input_done(void)
{
	void (*notify)(void) = __atomic_load_n(&input_notify, __ATOMIC_ACQUIRE);

	if (notify)
		notify();
}

size_t console_read(char *buf, size_t max)
{
	irqflags_t flags = spin_lock_irq(&input.lock);
	size_t n = 0;

	while (n < max && input.tail != input.head)
		buf[n++] = (char)input.bytes[input.tail++ % INPUT_SIZE];
	spin_unlock_irq(&input.lock, flags);
	return n;
}

bool console_can_read(void)
{
	return __atomic_load_n(&input.head, __ATOMIC_RELAXED) !=
	       __atomic_load_n(&input.tail, __ATOMIC_RELAXED);
}

void console_set_notify(void (*notify)(void))
{
	__atomic_store_n(&input_notify, notify, __ATOMIC_RELEASE);
}
