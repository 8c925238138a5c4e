/*
 * The meta commands: mg ms md ma me mn, whose flags say what to do and what to answer.
 */
#ifndef MEMCACHED_META_H
#define MEMCACHED_META_H

#include "settings.h"
#include "text.h"

void meta_get(struct conn *c, struct words *w);
void meta_set(struct conn *c, struct words *w);
void meta_delete(struct conn *c, struct words *w);
void meta_arithmetic(struct conn *c, struct words *w);
void meta_debug(struct conn *c, struct words *w);
void meta_noop(struct conn *c, struct words *w);

/* The value of an ms has arrived: c->meta says what to answer. */
void meta_value_complete(struct conn *c, struct item *it);

/* ---- between the files of the meta commands ---- */

enum {
	META_WORDS_MAX = 19,       /* with command and key */
	META_OPAQUE_MAX = 32,
	META_ANSWER_MAX = 640,     /* longest answer without its value */
};

/* What the flags of a command say. Expiry times are on the clock. */
struct meta {
	struct word key;           /* decoded */
	char key_bytes[KEY_MAX];   /* where, if it was base64 */
	bool key_is_binary;
	bool value, quiet, no_update, look_first, vivify, new_ttl, invalidate, remove_value,
		has_cas;
	char mode;
	uint32_t client_flags;
	reltime_t expires, vivify_expires, recache;
	uint64_t cas, new_cas, delta, initial;
};

extern const char META_BAD_FORMAT[], META_OPAQUE_TOO_LONG[];

/* Says an error, even to the quiet. */
void meta_refuse(struct conn *c, const char *line);
/* Sends [start, end) and a CR LF, for which there must be room. */
void meta_answer(struct conn *c, char *start, char *end);
uint32_t meta_hash(const struct meta *m);

/* Reads the flags behind the first `skip` words. NULL, or the error line to send. */
const char *meta_parse(const struct words *w, unsigned skip, struct meta *m);

/* Parts of an answer; each returns the end. */
char *meta_put_char(char *to, char flag);
char *meta_put_number(char *to, char flag, uint64_t n);
char *meta_put_ttl(char *to, const struct item *it);
char *meta_put_key(char *to, const char *key, size_t len, bool binary);
/* The O and k flags of the words, in their order. False: the opaque is too long. */
bool meta_put_echo(char **to, const struct words *w, const struct meta *m);
bool meta_put_opaque(char **to, struct word opaque);

#endif
