/*
 * Answers of the text protocol that carry values: "VALUE key flags bytes [cas]", the value, END.
 */
#ifndef MEMCACHED_TEXT_ANSWER_H
#define MEMCACHED_TEXT_ANSWER_H

#include "text.h"

/* The answer for one item, by copy or by reference, and END behind the last. */
void text_send_item(struct conn *c, struct item *it, unsigned fetch, bool last);
void text_send_end(struct conn *c);
/* The answer to a get of one key; NULL: there is no such item. */
void text_answer(struct conn *c, struct item *it);
/* Looks some keys up, and answers them with END behind the last. */
void text_answer_keys(struct conn *c, const struct word *keys, unsigned count);

/* An answer written by the caller: its length at most, and the end of it. Not for chunked items. */
size_t text_answer_room(const struct item *it);
char *text_put_answer(char *to, const struct item *it);

#endif
