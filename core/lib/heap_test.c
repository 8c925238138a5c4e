/*
 * The pairing heap against the least of an array.
 */
#include <core/heap.h>
#include <core/test.h>

#define ITEMS 256

struct item {
	struct heap_node node;
	uint64_t key;
};

static struct item items[ITEMS];

static bool less(const struct heap_node *a, const struct heap_node *b)
{
	return heap_entry(a, struct item, node)->key < heap_entry(b, struct item, node)->key;
}

static uint64_t least(void)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < ITEMS; i++) {
		if (heap_node_is_linked(&items[i].node))
			least = MIN(least, items[i].key);
	}
	return least;
}

TEST(heap_top_is_the_least_under_random_changes)
{
	struct heap h;

	heap_init(&h, less);
	for (int i = 0; i < ITEMS; i++)
		heap_node_init(&items[i].node);
	for (int step = 0; step < 20000; step++) {
		struct item *it = &items[test_random_below(ITEMS)];

		if (heap_node_is_linked(&it->node)) {
			heap_remove(&h, &it->node);
		} else {
			it->key = test_random_below(500);
			heap_insert(&h, &it->node);
		}
		if (h.top)
			CHECK_EQ(heap_entry(h.top, struct item, node)->key, least());
		else
			CHECK_EQ(least(), UINT64_MAX);
	}
}

TEST(heap_pops_in_order)
{
	struct heap h;
	uint64_t last = 0;

	heap_init(&h, less);
	for (int i = 0; i < ITEMS; i++) {
		items[i].key = test_random();
		heap_node_init(&items[i].node);
		heap_insert(&h, &items[i].node);
	}
	for (int i = 0; i < ITEMS; i++) {
		struct item *it = heap_entry(heap_pop(&h), struct item, node);

		CHECK(it->key >= last && !heap_node_is_linked(&it->node));
		last = it->key;
	}
	CHECK(!heap_pop(&h));
}
