/*
 * Circular doubly linked lists threaded through the objects they hold.
 *
 * A `struct list` is both a list's head and a member's link. An initialised link that is on no list
 * points to itself, so list_remove() of it is harmless and list_is_linked() can be asked.
 * No locks: the list's owner guards it.
 */
#ifndef CORE_LIST_H
#define CORE_LIST_H

#include <core/types.h>

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(name) { &(name), &(name) }

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

static inline bool list_is_linked(const struct list *link)
{
	return link->next != link;
}

static inline void list_insert_between(struct list *link, struct list *prev, struct list *next)
{
	link->prev = prev;
	link->next = next;
	prev->next = link;
	next->prev = link;
}

static inline void list_push_front(struct list *head, struct list *link)
{
	list_insert_between(link, head, head->next);
}

static inline void list_push_back(struct list *head, struct list *link)
{
	list_insert_between(link, head->prev, head);
}

/* Takes the link off its list and leaves it pointing to itself. */
static inline void list_remove(struct list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}

/* The first link, taken off; NULL when the list is empty. */
static inline struct list *list_pop_front(struct list *head)
{
	struct list *first = head->next;

	if (first == head)
		return NULL;
	list_remove(first);
	return first;
}

/* Moves every link of `from` to the end of `to`; `from` is empty afterwards. */
static inline void list_splice_back(struct list *to, struct list *from)
{
	if (list_is_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define list_entry(link, type, member) container_of(link, type, member)
#define list_first(head, type, member) list_entry((head)->next, type, member)

#define list_for_each(pos, head, member)                                                     \
	for (pos = list_entry((head)->next, __typeof__(*pos), member); &pos->member != (head); \
	     pos = list_entry(pos->member.next, __typeof__(*pos), member))

/* As list_for_each(); the body may remove `pos`, but not `tmp`. */
#define list_for_each_safe(pos, tmp, head, member)                                             \
	for (pos = list_entry((head)->next, __typeof__(*pos), member),                         \
	    tmp = list_entry(pos->member.next, __typeof__(*pos), member);                      \
	     &pos->member != (head);                                                           \
	     pos = tmp, tmp = list_entry(tmp->member.next, __typeof__(*tmp), member))

#endif
