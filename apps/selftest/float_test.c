/*
 * Floating-point registers belong to threads. core itself may not use them, so this test lives with
 * an application: threads that look like one (they have a thread pointer) compute and give way to
 * each other.
 */
#include <core/sync.h>
#include <core/test.h>
#include <core/thread.h>

#define THREADS 3
#define STEPS   3000

static uint32_t wrong; /* atomic */

static void compute(void *arg)
{
	double seed = (double)(uintptr_t)arg, a = seed, b = seed * 0.5, c = 1.0 / seed,
	       d = seed + 0.25;

	for (int i = 1; i <= STEPS; i++) {
		a += 1.0;
		b += 0.5;
		d -= 0.25;
		if (i % 7 == 0)
			thread_yield();
	}
	if (a != seed + STEPS || b != (seed + STEPS) * 0.5 || c != 1.0 / seed ||
	    d != seed + 0.25 - STEPS * 0.25)
		__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
}

TEST(floating_point_registers_survive_switches)
{
	static const struct thread_attr attr = {
		.name = "float", .priority = THREAD_PRIORITY_APP, .hart = 0
	};
	static uint64_t thread_pointer[2];
	struct thread *threads[THREADS];

	wrong = 0;
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK_EQ(thread_create(&attr, compute, (void *)(3 + 10 * i),
				       (uintptr_t)thread_pointer, &threads[i]),
			 0);
	for (size_t i = 0; i < THREADS; i++)
		thread_start(threads[i]);
	for (size_t i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	CHECK_EQ(wrong, 0);
}
