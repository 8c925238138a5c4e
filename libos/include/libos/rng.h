/*
 * Random bytes. A ChaCha20 generator (RFC 8439 block function, fast key erasure), seeded from the
 * device tree, the processor's entropy source and virtio-rng, reseeded as sources deliver.
 */
#ifndef LIBOS_RNG_H
#define LIBOS_RNG_H

#include <core/types.h>

bool random_is_seeded(void);
void random_bytes(void *buf, size_t len);            /* any context; predictable until seeded */
void random_add_entropy(const void *buf, size_t len, unsigned credit_bits); /* drivers */
void random_wait_seeded(void);                       /* threads */

/*
 * A source that can be asked for more. request() is called from any context when fresh entropy is
 * due; the source answers with random_add_entropy() when it has some. Sources live for ever.
 */
struct random_source {
	struct random_source *next;
	void (*request)(struct random_source *s);
};
void random_source_add(struct random_source *s);

#endif
