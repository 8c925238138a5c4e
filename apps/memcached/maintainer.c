/*
 * The maintainer: one timer.
 *
 * A pass goes through the slab classes and juggles each: the old end of HOT goes to WARM when it
 * was asked for twice, else to COLD when HOT is over its share of the class or older than it should
 * be; the old end of WARM likewise; what is dead goes. A pass is cut into steps of JUGGLES items,
 * which a few ten microseconds suffice for, with the timer in between, so that a request waits for
 * one step at most. While pages move or a crawl runs, their steps come with it.
 *
 * When there was nothing to do the next pass is later, up to a second; and when nothing was stored
 * or moved for a while, up to a minute, or never while the cache is empty: an idle cache costs
 * nothing. Then maintainer_rests, and whoever stores something wakes it.
 */
#include "maintainer.h"

#include "cache.h"
#include "crawler.h"
#include "lru.h"
#include "memory.h"
#include "mover.h"
#include "reclaim.h"
#include "settings.h"
#include "slab.h"
#include "stats.h"
#include "table.h"

enum {
	JUGGLES = 64,              /* items moved in a step */
	CLASS_JUGGLES = 500,       /* and of one class in a pass */
	CRAWLS = 200,              /* items crawled in a step */
	DEAD_TRIES = 5,            /* dead items taken out at once */
	QUIET_SECONDS = 30,        /* without anything stored or moved, until passes become rare */
	CRAWLS_A_SLEEP = 1000,     /* items that lru_crawler_sleep is for, as in memcached */
};

static const uint64_t US = 1000, MS = 1000000, S = 1000000000;
static const uint64_t STEP_NS = 200000;            /* to the next step of a pass */

bool maintainer_rests = false;

static struct stream_loop *loop;
static struct stream_timer timer;
static uint64_t pause_ns;          /* from pass to pass */
static uint64_t next_pass_ns;
static bool passing;               /* in the middle of a pass, */
static unsigned class, juggled;    /* at this class, of which so many were moved */
static bool pass_moved;
static reltime_t last_second;
static reltime_t active;           /* when something was last stored or moved */
static uint64_t stored_before;     /* stats.total_items at the pass before */

static void fire(struct stream_timer *t);

static void arm(uint64_t ns)
{
	stream_timer_arm(loop, &timer, stream_now_ns() + ns, fire);
}

/* Dead items at the old end of a list go. Returns how many. */
static unsigned drop_dead(unsigned id, enum lru_segment segment)
{
	unsigned n = 0;
	struct item *it;

	while (n < DEAD_TRIES && (it = lru_oldest(id, segment)) && cache_is_dead(it)) {
		reclaim_dead(it);
		n++;
	}
	return n;
}

/* The old end of HOT or WARM, if the list is larger than `limit` or the item older than `age`. */
static unsigned pull_upper(unsigned id, enum lru_segment segment, uint64_t limit, double age)
{
	unsigned n = drop_dead(id, segment);
	struct item *it = lru_oldest(id, segment);

	if (!it)
		return n;
	if (it->flags & ITEM_ACTIVE) {
		it->flags &= (uint8_t)~ITEM_ACTIVE;
		if (segment == LRU_WARM)
			stats_of(it)->moves_within_lru++;
		else
			stats_of(it)->moves_to_warm++;
		lru_move(it, LRU_WARM);
	} else if (lru_segment_bytes(id, segment) > limit || item_idle(it) > age) {
		stats_of(it)->moves_to_cold++;
		lru_move(it, LRU_COLD);
	} else {
		return n;
	}
	return n + 1;
}

static unsigned pull_cold(unsigned id)
{
	unsigned n = drop_dead(id, LRU_COLD);
	struct item *it = lru_oldest(id, LRU_COLD);

	if (!it || !(it->flags & ITEM_ACTIVE) || !settings.lru_segmented)
		return n;
	it->flags &= (uint8_t)~ITEM_ACTIVE;
	stats_of(it)->moves_to_warm++;
	lru_move(it, LRU_WARM);
	return n + 1;
}

/* Moves some items of the class. Returns how many; 0: all is in order. */
static unsigned juggle(unsigned id)
{
	uint64_t bytes = 0;
	double cold_age = 0;
	unsigned n = settings.temp_lru ? drop_dead(id, LRU_TEMP) : 0;

	if (settings.lru_segmented) {
		bytes = lru_segment_bytes(id, LRU_HOT) + lru_segment_bytes(id, LRU_WARM) +
			lru_segment_bytes(id, LRU_COLD);
		cold_age = lru_segment_age(id, LRU_COLD);
	}
	n += pull_upper(id, LRU_HOT, bytes * settings.hot_lru_pct / 100,
			cold_age * settings.hot_max_factor);
	n += pull_upper(id, LRU_WARM, bytes * settings.warm_lru_pct / 100,
			cold_age * settings.warm_max_factor);
	return n + pull_cold(id);
}

/* A step of the pass. True: it is not over. */
static bool pass_step(void)
{
	unsigned budget = JUGGLES;

	while (class <= slab_classes()) {
		unsigned n = lru_length(class) > 0 && juggled < CLASS_JUGGLES ? juggle(class) : 0;

		if (n == 0) {
			class++;
			juggled = 0;
			continue;
		}
		pass_moved = true;
		juggled += n;
		if (n >= budget)
			return true;
		budget -= n;
	}
	return false;
}

static void pass_begin(void)
{
	passing = true;
	pass_moved = false;
	class = 1;
	juggled = 0;
	stats.lru_maintainer_juggles++;
}

/* How long until the next pass. */
static uint64_t pass_end(void)
{
	bool stored = stats.total_items != stored_before;

	stored_before = stats.total_items;
	passing = false;
	if (pass_moved || pause_ns == 0)
		pause_ns = 10 * MS;
	else
		pause_ns *= 2;
	if (stored || pass_moved)
		active = clock_now;
	if (pause_ns > S && clock_now - active < QUIET_SECONDS + settings.slab_automove_window)
		pause_ns = S;
	if (pause_ns > 64 * S)
		pause_ns = 64 * S;
	return pause_ns;
}

static void second(void)
{
	if (clock_now == last_second)
		return;
	last_second = clock_now;
	crawler_second();
	if (mover_second())
		active = clock_now;
}

/* Pages and crawls. Returns when they want the next step; UINT64_MAX: there are none. */
static uint64_t work_step(void)
{
	uint64_t next = UINT64_MAX;

	if (crawler_is_running() && crawler_step(CRAWLS))
		next = settings.lru_crawler_sleep * US * CRAWLS / CRAWLS_A_SLEEP;
	if (mover_step())
		next = 0;
	else if (mover_is_running() && next > MS)
		next = MS;
	return next < STEP_NS ? STEP_NS : next;
}

/* Goes on with the pass, or begins the next one when it is time. Returns when to come back. */
static uint64_t juggle_step(uint64_t now)
{
	if (!settings.lru_maintainer) {
		next_pass_ns = now + S; /* for crawls and automove */
		return S;
	}
	if (!passing && now >= next_pass_ns)
		pass_begin();
	if (passing) {
		if (pass_step())
			return STEP_NS;
		next_pass_ns = now + pass_end();
	}
	return next_pass_ns > now ? next_pass_ns - now : 0;
}

static void fire(struct stream_timer *t)
{
	uint64_t juggles, work;

	(void)t;
	clock_update();
	second();
	work = work_step();
	juggles = juggle_step(stream_now_ns());
	maintainer_rests = juggles >= S && work == UINT64_MAX;
	if (maintainer_rests && juggles > S && table_items() == 0 && !memory_is_over_limit())
		return;
	arm(work < juggles ? work : juggles);
}

void maintainer_wake(void)
{
	maintainer_rests = false;
	pause_ns = next_pass_ns = 0;
	if (loop)
		arm(STEP_NS);
}

void maintainer_start(struct stream_loop *serving)
{
	loop = serving;
	stored_before = stats.total_items;
	arm(10 * MS);
}
