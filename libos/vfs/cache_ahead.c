/*
 * Reading ahead, and getting a page that may have to be read.
 *
 * A window of pages goes before a sequential reader. The first miss of one reads a few pages more
 * than asked; each window after it is twice as large, up to WINDOW_MAX, and is asked for when the
 * reader reaches the trigger, the first page that came ahead: so one window is under way while the
 * one before is being used. A miss elsewhere than behind the last read shuts the window, and only
 * what was asked for is read.
 */
#include <core/errno.h>

#include "cache_parts.h"

#define WINDOW_FIRST 4u
#define WINDOW_MAX   64u /* 256 KiB */

static uint64_t pages_of(const struct cache *c)
{
	return ((uint64_t)cache_size(c) + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

static void fill_range(struct cache *c, uint64_t index, uint64_t end)
{
	end = MIN(end, pages_of(c));
	while (index < end) {
		int n = cache_has_page(c, index)
				? 1
				: cache_fill(c, index, (unsigned)MIN(end - index, CACHE_RUN_MAX),
					     NULL);

		if (n < 0)
			return;
		cache_count(CACHE_COUNT_AHEAD, (unsigned)n);
		index += (unsigned)MAX(n, 1);
	}
}

void cache_read_ahead(struct cache *c, int64_t from, int64_t to)
{
	if (HAS_DISKS && c->ops && from < to)
		fill_range(c, (uint64_t)from >> PAGE_SHIFT,
			   ((uint64_t)to + PAGE_SIZE - 1) >> PAGE_SHIFT);
}

/* Whole pages that nobody needs: those that are dirty or held stay. */
void cache_drop(struct cache *c, int64_t from, int64_t to)
{
	uint64_t index = cache_index_end(from), end = (uint64_t)to >> PAGE_SHIFT;
	struct cache_page *p;

	if (!HAS_DISKS || !c->ops)
		return;
	spin_lock(&c->lock);
	while ((p = cache_index_next(c, index, CACHE_ANY)) && p->index < end) {
		index = p->index + 1;
		if (cache_page_is_idle(p, 1))
			cache_page_drop_locked(c, p);
	}
	spin_unlock(&c->lock);
}

static unsigned window_max(const struct file_view *v)
{
	return v->advice == FILE_IN_ORDER ? 2 * WINDOW_MAX : WINDOW_MAX;
}

void cache_window_next(struct cache *c, struct file_view *v)
{
	uint64_t from = v->asked;

	if (!v->window)
		return;
	v->window = MIN(2 * v->window, window_max(v));
	v->asked += v->window;
	v->trigger = from;
	fill_range(c, from, v->asked);
}

/* How many pages to read at a miss of `index`, where `wanted` are asked for. */
static unsigned window_at_miss(struct file_view *v, uint64_t index, unsigned wanted)
{
	unsigned count;

	if ((index != v->next && index) || v->advice == FILE_IN_NO_ORDER) {
		v->window = 0;
		return wanted;
	}
	v->window = v->window ? 2 * v->window : MAX(WINDOW_FIRST, 2 * wanted);
	v->window = MIN(v->window, window_max(v));
	count = MAX(wanted, v->window);
	v->asked = index + count;
	v->trigger = index + wanted;
	return count;
}

/*
 * Begins reading `index` and what goes with it: pages begun from there, 0 when it is there by now,
 * or an errno.
 */
static int fill_at(struct cache *c, uint64_t index, unsigned wanted, struct file_view *v,
		   struct cache_page **first)
{
	unsigned count = v ? window_at_miss(v, index, wanted) : wanted;
	uint64_t left = pages_of(c) - MIN(index, pages_of(c));
	int n;

	count = (unsigned)CLAMP(left, 1u, count);
	n = cache_fill(c, index, count, first);
	if (n > 0 && (unsigned)n < count)
		fill_range(c, index + (unsigned)n, index + count);
	return n;
}

/*
 * A request that failed may have done so for a page further on: whose page was lost with others
 * asks once more, for it alone.
 */
int cache_page_read(struct cache *c, uint64_t index, unsigned wanted, struct file_view *v,
		    struct cache_page **out)
{
	bool alone = false;
	int error;

	for (;;) {
		int n = 0;

		*out = cache_page_find(c, index);
		if (!*out) {
			n = alone ? cache_fill(c, index, 1, out)
				  : fill_at(c, index, wanted, v, out);
			alone = alone || n == 1;
		}
		if (n < 0)
			return n;
		if (!*out)
			continue;
		error = cache_page_wait(*out);
		if (!error)
			return 0;
		cache_page_put(*out);
		if (error != -EAGAIN && alone)
			return error;
		alone = alone || error != -EAGAIN;
	}
}
