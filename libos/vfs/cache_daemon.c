/*
 * When dirty pages are written without anybody asking: by age, and when they are too many.
 *
 * Caches with dirty pages stand in a list, the longest dirty first. The write-back thread looks
 * every five seconds for those older than thirty, and at once when dirty pages pass a tenth of the
 * memory that pages may use; writers wait while they are more than a fifth (Linux's figures). It
 * sleeps without a timer while nothing is dirty.
 *
 * A cache that is being written is pinned: cache_destroy() waits for it.
 *
 * A cache stays in the list while it is being written. Each time that it comes to the end of the
 * list it gets a new number, by which a pass over all of them knows where it began. So it may leave
 * out a cache that another pass has moved meanwhile. Who waits for everything must not: such passes
 * have numbers, too, and a cache knows the last one that is done with it.
 *
 * Locks: dirty_lock, then a cache's.
 */
#include <core/assert.h>
#include <core/log.h>

#include "cache_parts.h"

#define BACKGROUND_PART 10u
#define THROTTLE_PART   5u
#define THROTTLE_LEAST  64u  /* pages */

uint64_t cache_look_period_ns = 5 * NSEC_PER_SEC, cache_dirty_age_ns = 30 * NSEC_PER_SEC;

static struct spinlock dirty_lock = SPINLOCK_INIT;
static struct list dirty_caches = LIST_INIT(dirty_caches); /* [dirty_lock] */
static uint64_t joins, syncs;                              /* [dirty_lock] */
static struct thread *writer;                              /* [starting] */
static struct mutex starting = MUTEX_INIT(starting);
/* atomic: somebody cannot wait for the period */
static uint32_t wanted;
static struct waitq sleepers = WAITQ_INIT(sleepers);

static uint64_t dirty_now(void)
{
	return cache_counted(CACHE_COUNT_DIRTY) + cache_counted(CACHE_COUNT_WRITING);
}

static bool too_many(uint64_t pages, unsigned part)
{
	return pages > MAX(cache_memory_pages() / part, THROTTLE_LEAST);
}

/* ---- the list ---- */

static void join_locked(struct cache *c)
{
	list_remove(&c->dirty_link);
	list_push_back(&dirty_caches, &c->dirty_link);
	c->dirty_since_ns = clock_ns();
	c->joined = ++joins;
}

/* What a pass over the list looks at. */
struct pass {
	struct blkdev *dev;      /* NULL: of all devices */
	uint64_t sync;           /* its number, if it waits for all that there is; else 0, and: */
	uint64_t until;          /* caches that joined later are not meant */
	uint64_t dirty_before_ns;
};

static struct pass pass_begin(struct blkdev *dev, uint64_t dirty_before_ns)
{
	struct pass p = { .dev = dev, .dirty_before_ns = dirty_before_ns };

	spin_lock(&dirty_lock);
	p.until = joins;
	spin_unlock(&dirty_lock);
	return p;
}

static struct pass sync_begin(struct blkdev *dev)
{
	struct pass p = { .dev = dev };

	spin_lock(&dirty_lock);
	p.sync = ++syncs;
	spin_unlock(&dirty_lock);
	return p;
}

static bool is_meant(const struct pass *p, const struct cache *c)
{
	if (p->dev && c->dev != p->dev)
		return false;
	return p->sync ? c->synced < p->sync
		       : c->joined <= p->until && c->dirty_since_ns <= p->dirty_before_ns;
}

/* The next cache, pinned; NULL: the pass is over. */
static struct cache *pass_next(const struct pass *p)
{
	struct cache *c, *found = NULL;

	spin_lock(&dirty_lock);
	list_for_each(c, &dirty_caches, dirty_link) {
		if (is_meant(p, c)) {
			__atomic_fetch_add(&c->pins, 1, __ATOMIC_RELAXED);
			found = c;
			break;
		}
	}
	spin_unlock(&dirty_lock);
	return found;
}

/*
 * The pass is done with it. A cache that has become dirty again goes to the end of the list, as
 * young.
 */
static void pass_leave(const struct pass *p, struct cache *c)
{
	spin_lock(&dirty_lock);
	c->synced = MAX(c->synced, p->sync);
	if (cache_is_dirty(c))
		join_locked(c);
	else
		list_remove(&c->dirty_link);
	__atomic_fetch_sub(&c->pins, 1, __ATOMIC_RELEASE);
	spin_unlock(&dirty_lock);
	cache_wake(c);
}

/* Off the list first, or a pass could find it after we have waited. */
void cache_back_leave(struct cache *c)
{
	spin_lock(&dirty_lock);
	list_remove(&c->dirty_link);
	spin_unlock(&dirty_lock);
	cache_wait(c, !__atomic_load_n(&c->pins, __ATOMIC_ACQUIRE));
	assert(!list_is_linked(&c->dirty_link));
}

int cache_sync_device(struct blkdev *dev, bool wait)
{
	struct pass p = wait ? sync_begin(dev) : pass_begin(dev, UINT64_MAX);
	struct cache *c;
	int error = 0;

	while ((c = pass_next(&p))) {
		int e = cache_sync(c, 0, INT64_MAX, wait);

		error = error ? error : e;
		pass_leave(&p, c);
	}
	return error;
}

/* ---- the thread ---- */

static void write_old(void)
{
	uint64_t now = clock_ns();
	struct pass p = pass_begin(NULL, now - MIN(now, cache_dirty_age_ns));
	struct cache *c;

	while ((c = pass_next(&p))) {
		cache_sync(c, 0, INT64_MAX, false);
		pass_leave(&p, c);
	}
}

static void write_until_few(void)
{
	struct pass p = pass_begin(NULL, UINT64_MAX);
	struct cache *c;

	while (too_many(cache_counted(CACHE_COUNT_DIRTY), BACKGROUND_PART) && (c = pass_next(&p))) {
		cache_sync(c, 0, INT64_MAX, false);
		pass_leave(&p, c);
	}
}

static uint64_t next_look(void)
{
	bool none;

	spin_lock(&dirty_lock);
	none = list_is_empty(&dirty_caches);
	spin_unlock(&dirty_lock);
	return none ? DEADLINE_NEVER : clock_ns() + cache_look_period_ns;
}

static void write_back(void *arg)
{
	(void)arg;
	for (;;) {
		waitq_wait(&sleepers, __atomic_exchange_n(&wanted, 0, __ATOMIC_ACQ_REL),
			   next_look(), false);
		write_old();
		write_until_few();
	}
}

void cache_back_wake(void)
{
	__atomic_store_n(&wanted, 1, __ATOMIC_RELEASE);
	waitq_wake_all(&sleepers);
}

static void start_once(void)
{
	static const struct thread_attr attr = {
		.name = "write-back", .priority = THREAD_PRIORITY_APP, .hart = -1, .detached = true
	};

	mutex_lock(&starting);
	if (!writer && thread_create(&attr, write_back, NULL, 0, &writer) == 0)
		thread_start(writer);
	mutex_unlock(&starting);
}

void cache_back_join(struct cache *c)
{
	bool first;

	start_once();
	spin_lock(&dirty_lock);
	first = list_is_empty(&dirty_caches);
	if (!list_is_linked(&c->dirty_link)) {
		join_locked(c);
		c->synced = syncs; /* what it has now is younger than every pass */
	}
	spin_unlock(&dirty_lock);
	if (first)
		cache_back_wake(); /* it sleeps without an end */
}

void cache_throttle(void)
{
	if (likely(!too_many(cache_counted(CACHE_COUNT_DIRTY), BACKGROUND_PART)))
		return;
	cache_back_wake();
	if (!too_many(dirty_now(), THROTTLE_PART))
		return;
	cache_count(CACHE_COUNT_THROTTLED, 1);
	cache_wait(cache_counts, !too_many(dirty_now(), THROTTLE_PART));
}
