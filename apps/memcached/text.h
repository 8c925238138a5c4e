/*
 * The text protocol.
 */
#ifndef MEMCACHED_TEXT_H
#define MEMCACHED_TEXT_H

#include "conn.h"

/* A word of a command line, where it lies in the receive buffer. */
struct word {
	const char *text;
	size_t len;
};

enum { WORDS_MAX = 23 };           /* more than any command but get has */

struct words {
	const char *end;           /* of the line */
	unsigned count;
	struct word word[WORDS_MAX];
};

enum fetch_flag { FETCH_CAS = 1, FETCH_TOUCH = 2 };

/* One command line, if it is complete. Returns how many bytes it took. */
size_t text_command(struct conn *c, const char *data, size_t len);
/* More keys of a get that is longer than a buffer. */
size_t text_keys(struct conn *c, const char *data, size_t len);
/* The value of a store command has arrived in c->item. */
void text_value_complete(struct conn *c);

/* The words of a line; those beyond WORDS_MAX stay uncounted. */
void text_split(const char *line, size_t len, struct words *w);
bool word_is(struct word w, const char *text);
/* The last word, if it is "noreply", silences the command. */
void text_take_noreply(struct conn *c, const struct words *w);

extern const char TEXT_TOO_LARGE[], TEXT_NO_MEMORY[];

/* Counts a value that cannot be stored, and says why: one of the lines above. */
const char *text_no_room(size_t key_len, uint32_t client_flags, uint32_t value_len);

/*
 * The groups of commands: text_fetch.c, text_store.c, text_admin.c, text_storage.c, text_stats.c.
 */
enum { TEXT_GET_LEN = 4 };         /* of "get " */

/* What text_command() does about any line, usual or not. */
size_t text_line(struct conn *c, const char *data, size_t len);
/* The length of the only key of a get, behind TEXT_GET_LEN bytes; 0: it is something else. */
size_t text_one_key(const char *data, size_t len);
void text_get(struct conn *c, struct words *w);
void text_set(struct conn *c, struct words *w);
void text_add(struct conn *c, struct words *w);
void text_replace(struct conn *c, struct words *w);
void text_append(struct conn *c, struct words *w);
void text_prepend(struct conn *c, struct words *w);
void text_cas(struct conn *c, struct words *w);
void text_incr(struct conn *c, struct words *w);
void text_decr(struct conn *c, struct words *w);
void text_mult(struct conn *c, struct words *w);
void text_div(struct conn *c, struct words *w);
void text_touch(struct conn *c, struct words *w);
void text_delete(struct conn *c, struct words *w);
void text_flush_all(struct conn *c, struct words *w);
void text_slabs(struct conn *c, struct words *w);
void text_lru(struct conn *c, struct words *w);
void text_lru_crawler(struct conn *c, struct words *w);
void text_cache_memlimit(struct conn *c, struct words *w);
void text_debugtime(struct conn *c, struct words *w);
void text_verbosity(struct conn *c, struct words *w);
void text_version(struct conn *c, struct words *w);
void text_quit(struct conn *c, struct words *w);
void text_refresh_certs(struct conn *c, struct words *w);
void text_shutdown(struct conn *c, struct words *w);
void text_stats(struct conn *c, struct words *w);

#endif
