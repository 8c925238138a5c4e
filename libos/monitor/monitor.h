/*
 * Inside the monitor: the pages, and the server that shows them.
 */
#ifndef MONITOR_H
#define MONITOR_H

#include <libos/stream.h>

#include "http.h"
#include "textbuf.h"

#define MONITOR_PORT 9100

/* One page being shown to one client. */
struct answer {
	const struct monitor_page *page;
	const void *at;        /* the page's: how far it is... */
	unsigned part;         /* ...in which part of it */
	uint64_t until_ns;     /* the page's: it has nothing to say before (stream_now_ns()) */
	bool is_over;
};

struct monitor_page {
	const char *path, *type, *help;
	/*
	 * A client wants it. 0, or the HTTP status that refuses. *patience_ns, at first 0, is how
	 * long the page will take by itself.
	 */
	unsigned (*begin)(struct answer *a, struct http_word query, uint64_t *patience_ns);
	/*
	 * Appends some more, a whole number of lines, and sets is_over when that was all. Nothing
	 * appended: there is nothing yet; called again soon.
	 */
	void (*more)(struct answer *a, struct textbuf *t);
	/*
	 * Optional: the client has it all, or is gone. Exactly once for each begin() that returned
	 * 0.
	 */
	void (*end)(struct answer *a);
};

#define MONITOR_PAGE(id) \
	static const struct monitor_page *const monitor_page_##id \
	    __attribute__((used, section("monitor_pages"), aligned(8))) = &id

/*
 * What the system around the program has to show, one metric after the other: *at is NULL first.
 * False when there was none left. kernel.c of an image; native.c has none.
 */
bool metrics_of_system(const void **at, struct textbuf *t);

/* Shows the pages on a TCP port from this loop. 0 or negative errno. One loop. */
int monitor_listen(struct stream_loop *loop, unsigned port);

#endif
