/*
 * The stack's memory: everything lwIP allocates comes from the kernel heap and is counted here, so
 * that a flood of segments, connections or fragments ends in refused work and not in a machine
 * without memory. What lwIP cannot get it drops, and peers send again.
 *
 * The last eighth of the bound is kept for what finishes old work: when net_memory_is_short(), new
 * connections are refused and received data is no longer copied aside.
 *
 * Locks: the stack lock guards the count.
 */
#include <core/assert.h>
#include <core/counter.h>
#include <core/kmem.h>
#include <core/page.h>

#include "lwip/opt.h"
#include "packet.h"
#include "stack.h"

COUNTER(net_drop_memory, "allocations of the network stack refused by its bound or the heap");

static size_t used_bytes;  /* [stack lock] */
static size_t limit_bytes; /* [stack lock] */

size_t net_memory_used(void)
{
	return used_bytes;
}

size_t net_memory_limit(void)
{
	return limit_bytes;
}

/* 0: a third of what is free now, which leaves the greater part to the application. */
void net_memory_set_limit(size_t bytes)
{
	struct page_stats stats;

	if (!bytes) {
		page_stats(&stats);
		bytes = MAX(stats.free_pages * PAGE_SIZE / 3, KIB(512));
	}
	limit_bytes = bytes;
}

bool net_memory_is_short(void)
{
	return used_bytes > limit_bytes - limit_bytes / 8;
}

bool net_memory_take(size_t bytes)
{
	if (used_bytes + bytes > limit_bytes)
		return false;
	used_bytes += bytes;
	return true;
}

void net_memory_give_back(size_t bytes)
{
	assert(used_bytes >= bytes);
	used_bytes -= bytes;
}

void *net_memory_alloc(size_t bytes)
{
	void *p = used_bytes + bytes <= limit_bytes ? kmalloc(bytes) : NULL;

	if (!p) {
		counter_inc(net_drop_memory);
		return NULL;
	}
	used_bytes += kmalloc_usable(p);
	return p;
}

void *net_memory_alloc_zero(size_t count, size_t bytes)
{
	void *p = net_memory_alloc(count * bytes);

	if (p)
		__builtin_memset(p, 0, count * bytes);
	return p;
}

/* A segment inside a packet goes with its packet, whose pbuf lwIP frees as well. */
void net_memory_free(void *p)
{
	if (packet_owns_segment(p))
		return;
	net_memory_give_back(kmalloc_usable(p));
	kfree(p);
}
