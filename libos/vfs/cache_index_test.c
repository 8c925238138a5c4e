/*
 * The tree of pages against a plain model: near and far indices, dirty ones, an empty tree has no
 * memory.
 */
#include <core/kmem.h>
#include <core/string.h>
#include <core/test.h>

#include "cache_parts.h"

#define PLACES 48u
#define ROUNDS 4000u

static uint64_t places[PLACES];

/* Neighbours, and places so far away that the tree grows to its full height. */
static void places_choose(void)
{
	for (unsigned i = 0; i < PLACES; i++)
		places[i] = i < 24 ? i : (1ull << (i + 2)) + i;
	places[PLACES - 1] = INT64_MAX >> PAGE_SHIFT;
}

static bool has_mark(const struct cache_page *p, enum cache_mark mark)
{
	return mark == CACHE_ANY ||
	       p->state & (mark == CACHE_TO_WRITE ? CACHE_DIRTY : CACHE_WRITING);
}

static struct cache_page *next_of_model(struct cache_page *const *model, uint64_t index,
					enum cache_mark mark)
{
	for (unsigned i = 0; i < PLACES; i++) {
		if (places[i] >= index && model[i] && has_mark(model[i], mark))
			return model[i];
	}
	return NULL;
}

static uint64_t behind_of_model(struct cache_page *const *model, enum cache_mark mark)
{
	uint64_t behind = 0;

	for (unsigned i = 0; i < PLACES; i++) {
		if (model[i] && has_mark(model[i], mark))
			behind = places[i] + 1;
	}
	return behind;
}

static struct cache_page *page_at(uint64_t index)
{
	struct cache_page *p = kzalloc(sizeof(*p));

	p->index = index;
	return p;
}

TEST(cache_index_finds_what_a_plain_model_finds)
{
	struct cache_page *model[PLACES] = { NULL };
	struct cache c;

	places_choose();
	cache_init(&c, &(int64_t){ 0 }, NULL);
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned i = (unsigned)test_random_below(PLACES);

		if (!model[i]) {
			model[i] = page_at(places[i]);
			CHECK_EQ(cache_index_insert(&c, model[i]), 0);
		} else if (test_random() & 1) {
			enum cache_mark mark = test_random() & 1 ? CACHE_TO_WRITE : CACHE_UNDER_WAY;

			model[i]->state ^= mark == CACHE_TO_WRITE ? CACHE_DIRTY : CACHE_WRITING;
			cache_index_mark(&c, model[i], mark, has_mark(model[i], mark));
		} else {
			cache_index_remove(&c, model[i]);
			kfree(model[i]);
			model[i] = NULL;
		}
		uint64_t from = places[test_random_below(PLACES)] + test_random_below(2);
		enum cache_mark mark = (enum cache_mark)test_random_below(CACHE_MARKS);

		CHECK(cache_index_find(&c, places[i]) == model[i]);
		CHECK(cache_index_next(&c, from, mark) == next_of_model(model, from, mark));
		CHECK_EQ(cache_index_behind(&c, mark), behind_of_model(model, mark));
	}
	for (unsigned i = 0; i < PLACES; i++) {
		if (model[i])
			cache_index_remove(&c, model[i]);
		kfree(model[i]);
	}
	CHECK(!c.root);
	CHECK_EQ(c.height, 0);
}
