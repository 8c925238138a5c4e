/*
 * Interrupts of devices. Numbers are the interrupt controller's source numbers, as in the device
 * tree. A handler runs in interrupt context on the trap stack: it quiets the device, wakes a task
 * (core/executor.h) and returns.
 */
#ifndef CORE_IRQ_H
#define CORE_IRQ_H

#include <core/types.h>

#define IRQ_HART 0 /* the hart that devices interrupt */

typedef void (*irq_handler_t)(void *arg);

/*
 * 0, -EINVAL for a number the controller does not have, -EBUSY when taken. Threads. Enabled on
 * return.
 */
int irq_request(unsigned irq, irq_handler_t handler, void *arg, const char *name);
void irq_release(unsigned irq);     /* on return the handler is not running */
void irq_mask(unsigned irq);        /* any context */
void irq_unmask(unsigned irq);

/*
 * For code that looks at its device by itself, interrupts off, in the place of the trap: takes the
 * source that waits for this hart, if there is one. `irq` calls quiet(arg) instead of its handler;
 * any other source is handled as always.
 */
void irq_take(unsigned irq, void (*quiet)(void *arg), void *arg);

/* True in an interrupt handler. */
bool irq_in_handler(void);

#endif
