/*
 * Trace rings: one per hart, taken from the frames when tracing is first switched on and kept.
 *
 * Only its own hart writes a ring, with interrupts off, so a record needs no lock: it is filled,
 * then `head` moves past it (release). A reader copies the newest records and then looks at `head`
 * again: what the writer may have overtaken meanwhile, it drops. Records cut by that are never
 * shown. Records are numbered from the first ever written, so a reader goes on where it was.
 */
#include <core/assert.h>
#include <core/atomic.h>
#include <core/hart.h>
#include <core/page.h>
#include <core/string.h>
#include <core/thread.h>
#include <core/trace.h>

struct ring {
	uint64_t head;                 /* atomic: records ever written */
	struct trace_record *records;  /* [I] once set */
} CACHE_ALIGNED;

static struct ring rings[HARTS_MAX];
static uint64_t since_ns;
bool trace_is_on;

/* A power of two, so that a position is a mask away. */
static uint64_t capacity(void)
{
	return 1ull << (63 - __builtin_clzll(CONFIG_TRACE_RECORDS));
}

void trace_write(enum trace_kind kind, const char *name, uint64_t value)
{
	irqflags_t flags = arch_irq_save();
	hart_t hart = hart_id();
	struct ring *r = &rings[hart];
	uint64_t head = r->head;

	if (r->records) {
		r->records[head & (capacity() - 1)] = (struct trace_record){
			.time_ns = clock_ns(),
			.name = name,
			.value = value,
			.thread_id = (uint32_t)thread_id(thread_current()),
			.kind = (uint8_t)kind,
			.hart = (uint8_t)hart,
		};
		store_release(&r->head, head + 1);
	}
	arch_irq_restore(flags);
}

void trace_enable(bool on)
{
	for (hart_t h = 0; on && h < hart_count(); h++) {
		size_t bytes = capacity() * sizeof(struct trace_record);

		if (!rings[h].records)
			rings[h].records = page_alloc_exact(bytes, PAGE_KERNEL);
	}
	if (on && !trace_is_on)
		since_ns = clock_ns();
	store_release(&trace_is_on, on);
}

uint64_t trace_since_ns(void)
{
	return since_ns;
}

/*
 * The number of the oldest record that no writer can be at: the slot behind the newest may be torn.
 */
static uint64_t oldest(uint64_t head)
{
	return head + 1 > capacity() ? head + 1 - capacity() : 0;
}

size_t trace_read(hart_t hart, uint64_t *position, struct trace_record *out, size_t max)
{
	struct ring *r = &rings[hart];
	uint64_t head, first, overtaken;
	size_t count;

	assert(hart < HARTS_MAX);
	if (!r->records)
		return 0;
	head = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE);
	first = MAX(*position, oldest(head));
	count = MIN(head - MIN(first, head), (uint64_t)max);
	for (size_t i = 0; i < count; i++)
		out[i] = r->records[(first + i) & (capacity() - 1)];
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	head = __atomic_load_n(&r->head, __ATOMIC_RELAXED);
	overtaken = MIN(MAX(oldest(head), first) - first, (uint64_t)count);
	memmove(out, out + overtaken, (count - overtaken) * sizeof(*out));
	*position = first + count;
	return count - overtaken;
}
