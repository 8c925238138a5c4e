/*
 * Sampling: a timer per hart whose handler counts the stack that it has interrupted.
 *
 * Life: OFF -> profile_start() -> SAMPLING -> profile_stop() -> STOPPED -> profile_end() -> OFF.
 * One at a time: whoever starts it reads and ends it. Each hart arms its own timer (hart_call()),
 * since a timer fires where it was armed; a handler arms it again as long as sampling goes on.
 *
 * A sampler is its hart's alone while the timer may fire, and the reader's afterwards:
 * profile_stop() returns when no handler runs any more.
 */
#include <core/arch.h>
#include <core/assert.h>
#include <core/errno.h>
#include <core/fmt.h>
#include <core/hart.h>
#include <core/page.h>
#include <core/profile.h>
#include <core/sched.h>
#include <core/string.h>
#include <core/symbols.h>
#include <core/thread.h>
#include <core/time.h>

#include "profile_table.h"

#define DEPTH_MAX   32
#define TABLE_BYTES KIB(CONFIG_PROFILE_KIB)

struct sampler {
	struct ktimer timer;
	struct profile_table table;   /* words: NULL while there is none */
	uint64_t idle;
	/* when the next sample should be taken, a little late at most */
	uint64_t due_ticks;
} CACHE_ALIGNED;

static struct sampler samplers[HARTS_MAX];
static uint32_t is_owned;             /* atomic: 1 from a start to its end */
static bool is_sampling;              /* atomic */
static uint64_t period_ns, period_ticks; /* [I] while sampling */

extern char image_start[];

static void count_stack(struct sampler *s)
{
	vaddr_t pcs[DEPTH_MAX];
	uint32_t offsets[DEPTH_MAX];
	size_t depth = arch_backtrace(arch_interrupted_frame(), pcs, DEPTH_MAX);

	for (size_t i = 0; i < depth; i++)
		offsets[i] = (uint32_t)(pcs[i] - (vaddr_t)image_start);
	profile_table_add(&s->table, (uint32_t)thread_id(thread_current()), offsets,
			  (uint32_t)depth);
}

static void arm_timer(struct sampler *s)
{
	s->due_ticks = arch_ticks() + period_ticks;
	ktimer_arm(&s->timer, clock_ns() + period_ns);
}

/*
 * Interrupt context. The next sample is a period away from now: a hart that was late does not catch
 * up.
 */
static void sample(struct ktimer *timer)
{
	struct sampler *s = container_of(timer, struct sampler, timer);

	if (sched_was_idle(s->due_ticks))
		s->idle++;
	else
		count_stack(s);
	if (__atomic_load_n(&is_sampling, __ATOMIC_ACQUIRE))
		arm_timer(s);
}

/* On the sampler's hart. */
static void arm(void *arg)
{
	arm_timer(arg);
}

static void free_tables(void)
{
	for (hart_t h = 0; h < HARTS_MAX; h++) {
		if (samplers[h].table.words)
			page_free_exact(samplers[h].table.words, TABLE_BYTES);
		samplers[h] = (struct sampler){ 0 };
	}
}

static bool make_tables(void)
{
	for (hart_t h = 0; h < hart_count(); h++) {
		uint32_t *words = page_alloc_exact(TABLE_BYTES, PAGE_KERNEL);

		if (!words)
			return false;
		memset(words, 0, TABLE_BYTES);
		profile_table_init(&samplers[h].table, words, TABLE_BYTES / sizeof(*words));
		ktimer_init(&samplers[h].timer, sample);
	}
	return true;
}

int profile_start(unsigned hz)
{
	if (!hz || hz > PROFILE_HZ_MAX)
		return -EINVAL;
	if (__atomic_exchange_n(&is_owned, 1, __ATOMIC_ACQUIRE))
		return -EBUSY;
	if (!make_tables()) {
		profile_end();
		return -ENOMEM;
	}
	period_ns = NSEC_PER_SEC / hz;
	period_ticks = arch_tick_hz() / hz;
	__atomic_store_n(&is_sampling, true, __ATOMIC_RELEASE);
	for (hart_t h = 0; h < hart_count(); h++)
		hart_call(h, arm, &samplers[h]);
	return 0;
}

/* A handler that saw is_sampling before may arm its timer once more: hence two rounds. */
void profile_stop(void)
{
	__atomic_store_n(&is_sampling, false, __ATOMIC_SEQ_CST);
	for (unsigned round = 0; round < 2; round++) {
		for (hart_t h = 0; h < HARTS_MAX; h++) {
			if (samplers[h].table.words)
				ktimer_cancel(&samplers[h].timer);
		}
	}
}

void profile_end(void)
{
	profile_stop();
	free_tables();
	__atomic_store_n(&is_owned, 0, __ATOMIC_RELEASE);
}

uint64_t profile_lost(void)
{
	uint64_t lost = 0;

	for (hart_t h = 0; h < HARTS_MAX; h++)
		lost += samplers[h].table.lost;
	return lost;
}

/* ---- as text ---- */

struct name_wanted {
	uint32_t id;
	char name[THREAD_NAME_SIZE];
};

static void find_name(const struct thread_info *info, void *arg)
{
	struct name_wanted *w = arg;

	if ((uint32_t)info->id == w->id)
		str_copy(w->name, sizeof(w->name), info->name);
}

/*
 * Of a thread that has ended only its number is known. Blanks and semicolons have a meaning in the
 * format.
 */
static struct name_wanted thread_name_of(uint32_t id)
{
	struct name_wanted w = { .id = id };

	fmt_print(w.name, sizeof(w.name), "thread/%u", id);
	thread_for_each(find_name, &w);
	for (char *c = w.name; *c; c++) {
		if (*c <= ' ' || *c == ';')
			*c = '_';
	}
	return w;
}

static size_t frame_text(char *buf, size_t size, uint32_t offset, bool is_innermost,
			 bool in_addresses)
{
	vaddr_t pc = (vaddr_t)image_start + offset;
	size_t distance;
	const char *name = in_addresses ? NULL : symbol_find(is_innermost ? pc : pc - 1, &distance);

	if (name)
		return fmt_print(buf, size, ";%s", name);
	return fmt_print(buf, size, ";%lx", (unsigned long)(pc - arch_placement()));
}

/* Names may be longer than the line: then the innermost frames, which come last, are missing. */
static size_t stack_line(const struct profile_reader *r, const struct profile_entry *e, char *line)
{
	enum { COUNT_ROOM = 16 };
	struct name_wanted thread = thread_name_of(e->thread_id);
	size_t len = fmt_print(line, PROFILE_LINE_MAX, "hart/%u;%s", r->hart, thread.name);

	for (uint32_t i = e->depth; i-- > 0;) {
		size_t room = PROFILE_LINE_MAX - COUNT_ROOM - len;
		size_t add = frame_text(line + len, room, e->pcs[i], i == 0, r->in_addresses);

		if (add >= room)
			break;
		len += add;
	}
	return len + fmt_print(line + len, COUNT_ROOM, " %u\n", e->count);
}

size_t profile_line(struct profile_reader *r, char line[PROFILE_LINE_MAX])
{
	for (; r->hart < HARTS_MAX; r->hart++, r->stack = NULL, r->idle_is_told = false) {
		const struct sampler *s = &samplers[r->hart];

		if (!s->table.words)
			continue;
		if (!r->idle_is_told && s->idle) {
			r->idle_is_told = true;
			return fmt_print(line, PROFILE_LINE_MAX, "hart/%u;idle %llu\n", r->hart,
					 (unsigned long long)s->idle);
		}
		r->stack = profile_table_next(&s->table, r->stack);
		if (r->stack)
			return stack_line(r, r->stack, line);
	}
	return 0;
}
