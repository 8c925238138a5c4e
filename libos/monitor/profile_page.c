/*
 * The page /profile?seconds=N&hz=N: samples that long, then shows the stacks by name, as flame
 * graph tools read them; with `addresses`, by address, for a tool that has the ELF file.
 */
#include <core/errno.h>
#include <core/profile.h>
#include <core/types.h>

#include "monitor.h"

#define SECONDS_DEFAULT 5
#define SECONDS_MAX     60

static struct profile_reader reader; /* who samples is alone */
static char line[PROFILE_LINE_MAX];

static unsigned begin(struct answer *a, struct http_word query, uint64_t *patience_ns)
{
	uint64_t seconds = SECONDS_DEFAULT, hz = PROFILE_HZ_DEFAULT;
	int error;

	http_query_has(query, "seconds", &seconds);
	http_query_has(query, "hz", &hz);
	if (!seconds || seconds > SECONDS_MAX || hz > PROFILE_HZ_MAX)
		return 400;
	error = profile_start((unsigned)hz);
	if (error)
		return error == -EINVAL ? 400 : 503;
	reader = (struct profile_reader){
		.in_addresses = http_query_has(query, "addresses", NULL)
	};
	*patience_ns = seconds * NSEC_PER_SEC;
	a->until_ns = stream_now_ns() + *patience_ns;
	return 0;
}

static void more(struct answer *a, struct textbuf *t)
{
	size_t len;

	if (stream_now_ns() < a->until_ns)
		return;
	profile_stop();
	len = profile_line(&reader, line);
	textbuf_add_bytes(t, line, len);
	a->is_over = !len;
}

static void end(struct answer *a)
{
	(void)a;
	profile_end();
}

static const struct monitor_page profile_page = {
	.path = "/profile", .type = "text/plain",
	.help = "stacks sampled for ?seconds=5, and how often each was seen", .begin = begin,
	.more = more, .end = end
};
MONITOR_PAGE(profile_page);
