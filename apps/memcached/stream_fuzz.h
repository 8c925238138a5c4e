/*
 * A server without a network, for the fuzzers.
 */
#ifndef MEMCACHED_STREAM_FUZZ_H
#define MEMCACHED_STREAM_FUZZ_H

#include <libos/stream.h>

#include "settings.h"

/* Memory and table, once. */
void fuzz_start(void);

/*
 * The bytes arrive over a connection, in pieces of sizes that the bytes choose as well. Checks that
 * the answers are lines, or packets. Returns 0.
 */
int fuzz_converse(enum protocol protocol, const uint8_t *data, size_t size);

/* The bytes arrive as one datagram. Checks that its answer is numbered as it should be. */
void fuzz_datagram(struct stream_datagrams *d, const uint8_t *data, size_t len);

#endif
