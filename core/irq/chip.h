/*
 * What an interrupt controller offers to core/irq/irq.c. Sources are numbered from 1.
 */
#ifndef IRQ_CHIP_H
#define IRQ_CHIP_H

#include <core/types.h>

struct irq_chip {
	const char *name;
	unsigned sources;              /* highest number */
	void (*mask)(unsigned irq);    /* any context */
	void (*unmask)(unsigned irq);
	/* interrupt context: a source that waits for this hart, 0 none */
	unsigned (*claim)(void);
	void (*complete)(unsigned irq);
};

/* Boot (INIT_CORE): 0 or -ENOMEM. */
int irq_chip_register(const struct irq_chip *chip);

#endif
