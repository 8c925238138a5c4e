/* What the scheduler's interrupt handler calls. */
#ifndef SCHED_HART_CALL_H
#define SCHED_HART_CALL_H

void hart_call_interrupt(void);

#endif
