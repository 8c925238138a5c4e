/*
 * The head of an HTTP request (RFC 9112), read strictly: the sender is not trusted.
 */
#ifndef MONITOR_HTTP_H
#define MONITOR_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_MAX 4096

/* A piece of the request, not terminated. */
struct http_word {
	const char *at;
	size_t len;
};

struct http_request {
	struct http_word method, path, query;   /* query: behind the question mark, or empty */
	unsigned status;      /* 0: sound, else the error to answer before the connection ends */
	bool is_1_1;          /* may get its answer in chunks */
	bool keep_alive;      /* another request may follow */
};

/*
 * The request at the beginning of `data`: returns the length of its head, and 0 while that is not
 * complete. Of a request that is refused the rest cannot be told from a next one: everything
 * counts.
 */
size_t http_parse(const uint8_t *data, size_t len, struct http_request *out);

bool http_word_is(struct http_word w, const char *text);
/* Whether a query holds `name`, alone or with a whole number (stored; left alone otherwise). */
bool http_query_has(struct http_word query, const char *name, uint64_t *value);

const char *http_reason(unsigned status);

#endif
