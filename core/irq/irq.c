/*
 * Interrupts of devices: from the controller's source number to a handler.
 *
 * The controller (one per machine, found at INIT_CORE) tells how many sources there are; the table
 * of handlers has one entry for each. A handler is read without a lock in the interrupt; release
 * waits until no hart is inside it.
 *
 * Lock: irq_lock, for changes of the table; threads only, no interrupt handler takes it.
 */
#include <core/arch.h>
#include <core/assert.h>
#include <core/counter.h>
#include <core/errno.h>
#include <core/irq.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/sync.h>
#include <core/trace.h>
#include "chip.h"

COUNTER(interrupts, "device interrupts taken");

struct irq {
	irq_handler_t handler; /* atomic: NULL when free */
	void *arg;             /* [I] once the handler is visible */
	const char *name;
	uint32_t running;      /* atomic: harts inside the handler */
};

static const struct irq_chip *chip; /* [I] after INIT_CORE */
static struct irq *table;           /* [I] after INIT_CORE: sources + 1 entries */
static struct mutex irq_lock = MUTEX_INIT(irq_lock);
static bool in_handler[CONFIG_HARTS_MAX];

int irq_chip_register(const struct irq_chip *c)
{
	table = kzalloc((c->sources + 1) * sizeof(*table));
	if (!table)
		return -ENOMEM;
	chip = c;
	return 0;
}

int irq_request(unsigned irq, irq_handler_t handler, void *arg, const char *name)
{
	int err = 0;

	if (!chip || irq == 0 || irq > chip->sources)
		return -EINVAL;
	mutex_lock(&irq_lock);
	if (table[irq].handler) {
		err = -EBUSY;
	} else {
		table[irq].arg = arg;
		table[irq].name = name;
		__atomic_store_n(&table[irq].handler, handler, __ATOMIC_RELEASE);
		chip->unmask(irq);
	}
	mutex_unlock(&irq_lock);
	return err;
}

void irq_release(unsigned irq)
{
	assert(chip && irq > 0 && irq <= chip->sources);
	mutex_lock(&irq_lock);
	chip->mask(irq);
	__atomic_store_n(&table[irq].handler, (irq_handler_t)NULL, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&table[irq].running, __ATOMIC_SEQ_CST))
		arch_relax();
	mutex_unlock(&irq_lock);
}

void irq_mask(unsigned irq)
{
	assert(chip && irq > 0 && irq <= chip->sources);
	chip->mask(irq);
}

void irq_unmask(unsigned irq)
{
	assert(chip && irq > 0 && irq <= chip->sources);
	chip->unmask(irq);
}

bool irq_in_handler(void)
{
	return in_handler[hart_id()];
}

static void handle(unsigned irq)
{
	struct irq *i = &table[irq];
	irq_handler_t handler;

	__atomic_fetch_add(&i->running, 1, __ATOMIC_SEQ_CST);
	handler = __atomic_load_n(&i->handler, __ATOMIC_SEQ_CST);
	if (handler) {
		handler(i->arg);
	} else {
		chip->mask(irq);
		log_warn("irq: %u has no handler and is masked", irq);
	}
	__atomic_fetch_sub(&i->running, 1, __ATOMIC_SEQ_CST);
}

static void handle_claimed(unsigned irq)
{
	counter_inc(interrupts);
	trace_hart_begin("interrupt", irq);
	in_handler[hart_id()] = true;
	if (irq <= chip->sources)
		handle(irq);
	in_handler[hart_id()] = false;
	chip->complete(irq);
	trace_hart_end("interrupt");
}

/*
 * One source a call: if another waits, the hart is interrupted again, which costs less than asking
 * the controller each time whether there is one.
 */
void irq_external(void)
{
	unsigned irq = chip ? chip->claim() : 0;

	if (irq)
		handle_claimed(irq);
}

void irq_take(unsigned irq, void (*quiet)(void *arg), void *arg)
{
	unsigned claimed;

	if (hart_id() != IRQ_HART || !chip)
		return;
	claimed = chip->claim();
	if (likely(claimed == irq)) {
		quiet(arg);
		chip->complete(irq);
	} else if (claimed) {
		handle_claimed(claimed);
	}
}
