/*
 * Reading counters: the linker gathers every COUNTER() into one array.
 */
#include <core/counter.h>

uint64_t counter_read(const struct counter *c)
{
	uint64_t sum = 0;

	for (hart_t h = 0; h < HARTS_MAX; h++)
		sum += __atomic_load_n(&c->slots[h], __ATOMIC_RELAXED);
	return sum;
}

void counter_for_each(void (*visit)(const struct counter *c, uint64_t value, void *arg), void *arg)
{
	for (const struct counter *c = __start_counters; c < __stop_counters; c++)
		visit(c, counter_read(c), arg);
}
