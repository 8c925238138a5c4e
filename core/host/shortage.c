/*
 * Memory that runs out where a test wants it: allocations are counted, and some in a row fail. The
 * linker sends calls from one file to another here (--wrap, tools/build/unit.mk).
 */
#include <arch/shortage.h>
#include <core/kmem.h>
#include <core/page.h>
#include <core/thread.h>

static uint64_t count, fails_at, failures; /* atomic; 0: never */
static const struct thread *spared;

void host_shortage(uint64_t number, uint64_t how_many)
{
	failures = how_many;
	spared = thread_current();
	__atomic_store_n(&count, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&fails_at, number, __ATOMIC_RELEASE);
}

uint64_t host_allocations(void)
{
	return __atomic_load_n(&count, __ATOMIC_RELAXED);
}

static bool is_short(void)
{
	uint64_t at = __atomic_load_n(&fails_at, __ATOMIC_ACQUIRE), number;

	if (!spared || thread_current() == spared)
		return false;
	number = __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
	return at && number >= at && number - at < failures;
}

#define WRAP(name, parameters, arguments)                           \
	void *__real_##name parameters;                             \
	void *__wrap_##name parameters;                             \
	void *__wrap_##name parameters                              \
	{                                                           \
		return is_short() ? NULL : __real_##name arguments; \
	}

WRAP(kmalloc, (size_t bytes), (bytes))
WRAP(kzalloc, (size_t bytes), (bytes))
WRAP(kmem_cache_alloc, (struct kmem_cache *c), (c))
WRAP(kmem_cache_alloc_zero, (struct kmem_cache *c), (c))
WRAP(page_alloc, (unsigned order, enum page_owner owner), (order, owner))
WRAP(page_alloc_zero, (unsigned order, enum page_owner owner), (order, owner))
