/*
 * The AVL tree behind tree.h.
 *
 * A node knows its parent, so that removal and stepping need no stack; its height is 1 for a leaf,
 * so that 0 can mean "in no tree". After a change, rebalance() walks up from the lowest touched
 * node and stops where a subtree's height comes out as it was.
 */
#include <core/assert.h>
#include <core/tree.h>

enum { LEFT, RIGHT };

static int height(const struct tree_node *n)
{
	return n ? n->height : 0;
}

static void update_height(struct tree_node *n)
{
	n->height = 1 + MAX(height(n->child[LEFT]), height(n->child[RIGHT]));
}

/* Makes `with` (may be NULL) the child of n's parent in n's place. */
static void replace_child(struct tree *t, struct tree_node *n, struct tree_node *with)
{
	struct tree_node *parent = n->parent;

	if (!parent)
		t->root = with;
	else
		parent->child[parent->child[RIGHT] == n] = with;
	if (with)
		with->parent = parent;
}

/* Lifts n's child on side `up` into n's place; n becomes that child's child on the other side. */
static struct tree_node *rotate(struct tree *t, struct tree_node *n, int up)
{
	struct tree_node *top = n->child[up], *moved = top->child[!up];

	replace_child(t, n, top);
	top->child[!up] = n;
	n->parent = top;
	n->child[up] = moved;
	if (moved)
		moved->parent = n;
	update_height(n);
	update_height(top);
	return top;
}

/*
 * Repairs one node whose subtrees are sound and differ by at most two; returns the subtree's top.
 */
static struct tree_node *repair(struct tree *t, struct tree_node *n)
{
	int lean = height(n->child[RIGHT]) - height(n->child[LEFT]);
	int heavy = lean > 0 ? RIGHT : LEFT;
	struct tree_node *c = n->child[heavy];

	if (lean >= -1 && lean <= 1) {
		update_height(n);
		return n;
	}
	assert(lean == 2 || lean == -2);
	if (height(c->child[!heavy]) > height(c->child[heavy]))
		rotate(t, c, !heavy);
	return rotate(t, n, heavy);
}

static void rebalance(struct tree *t, struct tree_node *n)
{
	while (n) {
		int before = n->height;

		n = repair(t, n);
		if (n->height == before)
			break;
		n = n->parent;
	}
}

void tree_init(struct tree *t)
{
	t->root = NULL;
}

void tree_node_init(struct tree_node *n)
{
	*n = (struct tree_node){ 0 };
}

void tree_insert(struct tree *t, struct tree_node *n, tree_less_t less)
{
	struct tree_node *parent = NULL, **link = &t->root;

	assert(!tree_is_linked(n));
	while (*link) {
		parent = *link;
		link = &parent->child[less(n, parent) ? LEFT : RIGHT];
	}
	*n = (struct tree_node){ .parent = parent, .height = 1 };
	*link = n;
	rebalance(t, parent);
}

/* Puts the node that follows n, the leftmost of its right subtree, into n's place. */
static struct tree_node *replace_by_successor(struct tree *t, struct tree_node *n)
{
	struct tree_node *s = n->child[RIGHT], *lowest;

	while (s->child[LEFT])
		s = s->child[LEFT];
	lowest = s->parent == n ? s : s->parent;
	replace_child(t, s, s->child[RIGHT]);
	replace_child(t, n, s);
	s->height = n->height;
	for (int side = LEFT; side <= RIGHT; side++) {
		s->child[side] = n->child[side];
		if (s->child[side])
			s->child[side]->parent = s;
	}
	return lowest;
}

void tree_remove(struct tree *t, struct tree_node *n)
{
	struct tree_node *lowest;

	assert(tree_is_linked(n));
	if (n->child[LEFT] && n->child[RIGHT]) {
		lowest = replace_by_successor(t, n);
	} else {
		lowest = n->parent;
		replace_child(t, n, n->child[LEFT] ? n->child[LEFT] : n->child[RIGHT]);
	}
	rebalance(t, lowest);
	tree_node_init(n);
}

struct tree_node *tree_find(const struct tree *t, const void *key, tree_compare_t compare)
{
	struct tree_node *n = t->root;

	while (n) {
		int c = compare(key, n);

		if (c == 0)
			break;
		n = n->child[c > 0];
	}
	return n;
}

struct tree_node *tree_find_at_or_after(const struct tree *t, const void *key,
					tree_compare_t compare)
{
	struct tree_node *n = t->root, *best = NULL;

	while (n) {
		if (compare(key, n) <= 0) {
			best = n;
			n = n->child[LEFT];
		} else {
			n = n->child[RIGHT];
		}
	}
	return best;
}

struct tree_node *tree_find_at_or_before(const struct tree *t, const void *key,
					 tree_compare_t compare)
{
	struct tree_node *n = t->root, *best = NULL;

	while (n) {
		if (compare(key, n) >= 0) {
			best = n;
			n = n->child[RIGHT];
		} else {
			n = n->child[LEFT];
		}
	}
	return best;
}

static struct tree_node *outermost(struct tree_node *n, int side)
{
	while (n && n->child[side])
		n = n->child[side];
	return n;
}

static struct tree_node *step(const struct tree_node *n, int side)
{
	if (n->child[side])
		return outermost(n->child[side], !side);
	while (n->parent && n->parent->child[side] == n)
		n = n->parent;
	return n->parent;
}

struct tree_node *tree_first(const struct tree *t)
{
	return outermost(t->root, LEFT);
}

struct tree_node *tree_last(const struct tree *t)
{
	return outermost(t->root, RIGHT);
}

struct tree_node *tree_next(const struct tree_node *n)
{
	return step(n, RIGHT);
}

struct tree_node *tree_prev(const struct tree_node *n)
{
	return step(n, LEFT);
}
