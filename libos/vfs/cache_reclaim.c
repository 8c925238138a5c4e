/*
 * Memory back from the page cache.
 *
 * Pages with a backing stand in two lists. A new page enters the inactive one; reclaim looks at its
 * oldest pages: one that was used at least twice moves to the active list, any other that is clean
 * and that nobody holds leaves its file. While the active list is the longer one, its oldest pages
 * go back, to be judged anew by what happens until they come to the end. So a file that is read
 * once from end to end does not push out what is used again and again.
 *
 * A page leaves under its cache's lock, but is picked under the lists'. In between the cache is
 * pinned, so that it does not go; pages that changed meanwhile just stay.
 *
 * Two occasions. When fewer frames than a mark are free, a task brings them back to twice as many.
 * And an allocation that finds none (of a page fault, of the kernel's heap) takes clean pages at
 * once, in whatever context it is: it leaves out the caches whose lock is taken, perhaps by itself.
 *
 * Locks: a cache's, then list_lock.
 */
#include <core/assert.h>
#include <core/executor.h>
#include <core/init.h>
#include <core/page.h>

#include "cache_parts.h"

#define BATCH      32u
#define LOW_PART   64u   /* of memory: below it pages are asked back */
#define LOW_LEAST  128u  /* pages */
#define LOW_MOST   8192u
/* pages of a cache whose lock is taken, before one who cannot wait gives up */
#define LOCKED_MAX 256u

struct page_list {
	struct list pages;   /* oldest first */
	size_t count;
};

static struct spinlock list_lock = SPINLOCK_INIT;
static struct page_list inactive = { .pages = LIST_INIT(inactive.pages) }; /* [list_lock] */
static struct page_list active = { .pages = LIST_INIT(active.pages) };     /* [list_lock] */

static size_t low_pages;                                    /* [I] after boot */
static struct mutex shrinkers_lock = MUTEX_INIT(shrinkers_lock);
static struct list shrinkers = LIST_INIT(shrinkers);        /* [shrinkers_lock] */

static struct page_list *list_of(const struct cache_page *p)
{
	return p->on_list == CACHE_LIST_ACTIVE ? &active : &inactive;
}

static void list_put(struct cache_page *p, uint8_t which)
{
	p->on_list = which;
	list_push_back(&list_of(p)->pages, &p->link);
	list_of(p)->count++;
}

static void list_take(struct cache_page *p)
{
	list_remove(&p->link);
	list_of(p)->count--;
	p->on_list = CACHE_LIST_NONE;
}

void cache_list_add(struct cache_page *p)
{
	spin_lock(&list_lock);
	list_put(p, CACHE_LIST_INACTIVE);
	spin_unlock(&list_lock);
	cache_count(CACHE_COUNT_PAGES, 1);
}

void cache_list_remove(struct cache_page *p)
{
	spin_lock(&list_lock);
	list_take(p);
	spin_unlock(&list_lock);
	cache_count(CACHE_COUNT_PAGES, -1);
}

/* ---- picking ---- */

static struct cache_page *oldest(struct page_list *l)
{
	return list_is_empty(&l->pages) ? NULL : list_first(&l->pages, struct cache_page, link);
}

/*
 * The next page to judge, held, its cache pinned; it goes to its list's end, so that each is judged
 * in turn.
 */
static struct cache_page *pick_locked(void)
{
	struct cache_page *p;

	assert(spin_is_held(&list_lock));
	while (active.count > inactive.count && (p = oldest(&active))) {
		list_take(p);
		list_put(p, CACHE_LIST_INACTIVE);
	}
	p = oldest(&inactive);
	if (!p)
		return NULL;
	list_take(p);
	list_put(p, CACHE_LIST_INACTIVE);
	cache_page_hold(p);
	__atomic_fetch_add(&p->cache->pins, 1, __ATOMIC_RELAXED);
	return p;
}

static void activate(struct cache_page *p)
{
	spin_lock(&list_lock);
	list_take(p);
	list_put(p, CACHE_LIST_ACTIVE);
	spin_unlock(&list_lock);
}

/* With the cache's lock: true when the page left. */
static bool judge_locked(struct cache *c, struct cache_page *p)
{
	if (p->state & CACHE_GONE)
		return false;
	if (p->state & CACHE_AGAIN) {
		cache_page_change_locked(p, 0, CACHE_USED | CACHE_AGAIN);
		activate(p);
		return false;
	}
	if (!cache_page_is_idle(p, 2))
		return false;
	cache_page_drop_locked(c, p);
	return true;
}

static bool lock_get(struct spinlock *l, bool patient)
{
	if (!patient)
		return spin_try_lock(l);
	spin_lock(l);
	return true;
}

enum judged { NO_PAGE, STAYS, LEFT, LOCKED };

static enum judged reclaim_one(bool patient)
{
	enum judged left = LOCKED;
	struct cache_page *p;
	struct cache *c;

	if (!lock_get(&list_lock, patient))
		return NO_PAGE;
	p = pick_locked();
	spin_unlock(&list_lock);
	if (!p)
		return NO_PAGE;
	c = p->cache;
	if (lock_get(&c->lock, patient)) {
		left = judge_locked(c, p) ? LEFT : STAYS;
		spin_unlock(&c->lock);
	}
	cache_page_put(p);
	__atomic_fetch_sub(&c->pins, 1, __ATOMIC_RELEASE);
	cache_wake(c);
	return left;
}

/* Each page is judged twice at most: one that was in use may have fallen out of it since. */
static size_t reclaim(size_t count, bool patient)
{
	uint64_t judge = 2 * cache_counted(CACHE_COUNT_PAGES);
	unsigned locked = 0;
	size_t freed = 0;
	enum judged left;

	while (freed < count && locked < LOCKED_MAX && judge-- &&
	       (left = reclaim_one(patient)) != NO_PAGE) {
		freed += left == LEFT;
		locked += left == LOCKED;
	}
	cache_count(CACHE_COUNT_RECLAIMED, (int64_t)freed);
	return freed;
}

size_t cache_reclaim(size_t count)
{
	return reclaim(count, true);
}

/* ---- others who can do without ---- */

void cache_shrinker_add(struct cache_shrinker *s)
{
	mutex_lock(&shrinkers_lock);
	list_push_back(&shrinkers, &s->link);
	mutex_unlock(&shrinkers_lock);
}

void cache_shrinker_remove(struct cache_shrinker *s)
{
	mutex_lock(&shrinkers_lock);
	list_remove(&s->link);
	mutex_unlock(&shrinkers_lock);
}

static void shrink_others(size_t pages)
{
	struct cache_shrinker *s;

	mutex_lock(&shrinkers_lock);
	list_for_each(s, &shrinkers, link)
		s->shrink(s, pages);
	mutex_unlock(&shrinkers_lock);
}

/* ---- memory is short ---- */

uint64_t cache_memory_pages(void)
{
	return page_free_count() + cache_counted(CACHE_COUNT_PAGES);
}

/* Back to twice the mark; what is dirty must go to the disk first. */
static void refill(struct task *t)
{
	size_t free = page_free_count(), wanted;

	(void)t;
	if (free >= low_pages)
		return;
	wanted = 2 * low_pages - free;
	shrink_others(wanted / 8);
	if (cache_reclaim(wanted) < wanted && cache_counted(CACHE_COUNT_DIRTY))
		cache_back_wake();
}

static struct task refill_task;

static void is_low(void)
{
	task_wake(&refill_task);
}

size_t cache_give_back(size_t pages)
{
	return reclaim(pages, false);
}

static struct page_keeper keeper = { .low = is_low, .give_back = cache_give_back };

/* In time, so that pages of the cache come from the cache before others run short. */
void cache_make_room(unsigned count)
{
	if (unlikely(page_free_count() < low_pages + count))
		cache_reclaim(count + BATCH);
}

static int cache_reclaim_init(void)
{
	struct page_stats s;

	page_stats(&s);
	low_pages = CLAMP(s.total_pages / LOW_PART, LOW_LEAST, LOW_MOST);
	keeper.low_pages = low_pages;
	task_init(&refill_task, "cache reclaim", refill);
	page_keeper_set(&keeper);
	return 0;
}
INIT(INIT_SERVICES, cache_reclaim_init);

void cache_stats(struct cache_stats *out)
{
	*out = (struct cache_stats){
		.pages = cache_counted(CACHE_COUNT_PAGES),
		.dirty = cache_counted(CACHE_COUNT_DIRTY),
		.writing = cache_counted(CACHE_COUNT_WRITING),
		.filled = cache_counted(CACHE_COUNT_FILLED),
		.read_ahead = cache_counted(CACHE_COUNT_AHEAD),
		.written = cache_counted(CACHE_COUNT_WRITTEN),
		.reclaimed = cache_counted(CACHE_COUNT_RECLAIMED),
		.throttled = cache_counted(CACHE_COUNT_THROTTLED),
	};
}
