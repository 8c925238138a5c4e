/*
 * The balanced tree against a sorted array, and its shape.
 */
#include <core/test.h>
#include <core/tree.h>

#define ITEMS 512

struct item {
	struct tree_node node;
	uint32_t key;
	bool in;
};

static struct item items[ITEMS];

static uint32_t key_of(const struct tree_node *n)
{
	return tree_entry(n, struct item, node)->key;
}

static bool less(const struct tree_node *a, const struct tree_node *b)
{
	return key_of(a) < key_of(b);
}

static int compare(const void *key, const struct tree_node *n)
{
	uint32_t k = *(const uint32_t *)key;

	return k < key_of(n) ? -1 : k > key_of(n);
}

/* Height if balanced and properly linked below n, -1 otherwise. */
static int checked_height(const struct tree_node *n)
{
	int left, right;

	if (!n)
		return 0;
	for (int i = 0; i < 2; i++) {
		if (n->child[i] && n->child[i]->parent != n)
			return -1;
	}
	left = checked_height(n->child[0]);
	right = checked_height(n->child[1]);
	if (left < 0 || right < 0 || left - right > 1 || right - left > 1)
		return -1;
	return MAX(left, right) + 1 == n->height ? n->height : -1;
}

static size_t count_in_order(const struct tree *t)
{
	size_t count = 0;

	for (struct tree_node *n = tree_first(t), *next; n; n = next) {
		next = tree_next(n);
		if (next && (less(next, n) || tree_prev(next) != n))
			return SIZE_MAX;
		count++;
	}
	return count;
}

static bool neighbours_agree(const struct tree *t, uint32_t key)
{
	const struct item *after = NULL, *before = NULL;
	struct tree_node *n;

	for (int i = 0; i < ITEMS; i++) {
		const struct item *it = &items[i];

		if (!it->in)
			continue;
		if (it->key >= key && (!after || it->key < after->key))
			after = it;
		if (it->key <= key && (!before || it->key > before->key))
			before = it;
	}
	n = tree_find_at_or_after(t, &key, compare);
	if (!n != !after || (n && key_of(n) != after->key))
		return false;
	n = tree_find_at_or_before(t, &key, compare);
	if (!n != !before || (n && key_of(n) != before->key))
		return false;
	n = tree_find(t, &key, compare);
	return !n == !(after && after->key == key);
}

TEST(tree_stays_sorted_and_balanced_under_random_changes)
{
	struct tree t = TREE_INIT;
	size_t count = 0;

	for (int i = 0; i < ITEMS; i++)
		items[i] = (struct item){ .key = (uint32_t)test_random_below(1000) };
	for (int step = 0; step < 20000; step++) {
		struct item *it = &items[test_random_below(ITEMS)];

		if (it->in)
			tree_remove(&t, &it->node);
		else
			tree_insert(&t, &it->node, less);
		it->in = !it->in;
		count += it->in ? 1 : -1;
		CHECK_EQ(tree_is_linked(&it->node), it->in);
		if (step % 64 == 0) {
			CHECK(checked_height(t.root) >= 0);
			CHECK_EQ(count_in_order(&t), count);
			CHECK(neighbours_agree(&t, (uint32_t)test_random_below(1002)));
		}
	}
}

TEST(tree_of_sorted_keys_is_shallow)
{
	struct tree t = TREE_INIT;

	for (uint32_t i = 0; i < ITEMS; i++) {
		items[i] = (struct item){ .key = i };
		tree_insert(&t, &items[i].node, less);
	}
	CHECK(checked_height(t.root) > 0);
	CHECK(t.root->height <= 12); /* 1.44 log2(512) */
	for (uint32_t i = 0; i < ITEMS; i++) {
		CHECK(tree_first(&t) == &items[i].node);
		tree_remove(&t, &items[i].node);
	}
	CHECK(tree_is_empty(&t) && !tree_last(&t));
}

TEST(tree_keeps_equal_keys_in_order_of_arrival)
{
	struct tree t = TREE_INIT;
	struct tree_node *n;

	for (int i = 0; i < 8; i++) {
		items[i] = (struct item){ .key = 7 };
		tree_insert(&t, &items[i].node, less);
	}
	n = tree_first(&t);
	for (int i = 0; i < 8; i++, n = tree_next(n))
		CHECK(n == &items[i].node);
}
