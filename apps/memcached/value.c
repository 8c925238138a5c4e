/*
 * Sending values: what is small is copied, what is large is lent, piece by piece if it is chunked.
 */
#include "value.h"

#include <stdlib.h>

/* One hold of the item for all the spans of a large answer. */
struct lease {
	struct item *item;
	unsigned spans;
};

static void lease_release(void *arg)
{
	struct lease *lease = arg;

	if (--lease->spans > 0)
		return;
	item_release(lease->item);
	free(lease);
}

static void plain_release(void *arg)
{
	item_release(arg);
}

/* The next span, no longer than what is left; len 0 behind the last. */
static struct item_span span_cut(struct item_span span, size_t left)
{
	if (span.len > left)
		span.len = left;
	return span;
}

static int send_chunked(struct conn *c, struct item *it, size_t len)
{
	struct lease *lease = malloc(sizeof(*lease));
	struct item_span span;
	int err = 0;

	if (!lease || !item_hold(it)) {
		free(lease);
		return -1;
	}
	*lease = (struct lease){ .item = it, .spans = 1 };
	for (span = span_cut(item_span_first(it), len); span.len && !err;
	     span = span_cut(item_span_next(span), len)) {
		err = stream_write_ref(c->stream, span.data, span.len, lease_release, lease);
		lease->spans += err ? 0 : 1;
		len -= span.len;
	}
	lease_release(lease); /* the one of this function */
	return err;
}

static int send_copied(struct conn *c, struct item *it, size_t len)
{
	struct item_span span;
	int err = 0;

	stats.value_bytes_copied += len;
	for (span = span_cut(item_span_first(it), len); span.len && !err;
	     span = span_cut(item_span_next(span), len)) {
		err = conn_write(c, span.data, span.len);
		len -= span.len;
	}
	return err;
}

int value_send(struct conn *c, struct item *it, size_t len)
{
	int err;

	/* Nothing is lent for UDP, nor what is held by very many answers already. */
	if (value_is_small(it) || !c->stream || it->holds == ITEM_HOLDS_MAX)
		return send_copied(c, it, len);
	if (it->flags & ITEM_CHUNKED)
		return send_chunked(c, it, len);
	item_hold(it);
	err = stream_write_ref(c->stream, item_value(it), len, plain_release, it);
	if (err)
		item_release(it);
	return err;
}
