/*
 * The start of the scheduler. Order at boot (core/boot):
 *
 *   entry          gp = &boot_thread: the boot flow is hart 0's idle thread from its first
 *                  instruction, so hart_id() and spinlocks work at once (all of it zero but the
 *                  arch part)
 *   page_reserve() ..., page_add_ram() ...   frames, once the direct map covers them
 *   kmem_init()                              heap
 *   clock_init()                             once arch_tick_hz() answers
 *   sched_init()                             threads may be created; none runs yet
 *   init_run(INIT_EARLY), init_run(INIT_CORE)
 *   thread_create(main thread), thread_start()
 *   sched_hart_main()                        the boot flow becomes hart 0's idle loop; the main
 *                                            thread runs
 *
 * and the main thread: init_run(INIT_HARTS), sched_start_harts(), the later levels, main().
 */
#ifndef CORE_SCHED_H
#define CORE_SCHED_H

#include <core/hart.h>
#include <core/thread.h>

void sched_init(void);

/*
 * Interrupt context: whether this hart had nothing to run at `ticks`, which is now or was while
 * interrupts were off. A hart that wakes up may go on with interrupts off for a while.
 */
bool sched_was_idle(uint64_t ticks);

/*
 * Makes an idle thread for each other hart of arch_hart_count() (at most HARTS_MAX) and starts it,
 * or logs why not. Does not wait for them to arrive. Main thread only.
 */
void sched_start_harts(void);

#endif
