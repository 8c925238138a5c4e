/*
 * A virtio device made of software, for tests: the device's side of the transport and of the rings.
 *
 * It behaves, and checks that the driver does (chains within RAM, no endless ones, rings only while
 * DRIVER_OK); for lies a test writes into the used ring by model_lie(). It is passive: queues move
 * when the test says so, and model_interrupt() calls the driver's handler when one is due.
 */
#ifndef MODEL_H
#define MODEL_H

#include "virtqueue.h"

#define MODEL_QUEUES   10u
#define MODEL_CONFIG   64u
#define MODEL_SEGMENTS 64u

struct model_queue {
	struct virtio_queue_place place;
	unsigned size_max;         /* what it offers; 0: no such queue */
	bool ready;
	uint16_t avail_seen, used_idx, signalled_idx;
	unsigned notifications;
};

struct model {
	struct virtio_device dev;
	uint8_t status;
	uint64_t offered, accepted;
	uint8_t config[MODEL_CONFIG];
	uint32_t generation;
	bool generation_runs;      /* the generation never stands still */
	bool stuck;                /* does not reset */
	bool refuses_features;
	uint32_t causes;
	unsigned resets, interrupts;
	struct model_queue queues[MODEL_QUEUES];
	const char *complaint;     /* what the driver did wrong */
	void (*notified)(struct model *m, unsigned queue); /* may be NULL */
};

/* One chain as the device sees it. */
struct model_chain {
	uint16_t head;
	unsigned count, out;       /* segments; the first `out` are for reading */
	struct virtq_seg segs[MODEL_SEGMENTS];
	size_t out_bytes, in_bytes;
};

void model_init(struct model *m, uint32_t id, uint64_t offered, unsigned queues,
		unsigned queue_size);

bool model_pop(struct model *m, unsigned queue, struct model_chain *c); /* the next offered chain */
void model_push(struct model *m, unsigned queue, uint16_t head, uint32_t written);
/* Used entries in one go, published together at the second call. */
void model_fill(struct model *m, unsigned queue, unsigned ahead, uint16_t head, uint32_t written);
void model_flush(struct model *m, unsigned queue, unsigned count);

/* gathers the readable bytes */
size_t model_read(const struct model_chain *c, void *to, size_t max);
size_t model_write(const struct model_chain *c, const void *from, size_t len);

/* A lie: a used entry and an index increment, whatever they say. */
void model_lie(struct model *m, unsigned queue, uint32_t id, uint32_t len, uint16_t index_step);

void model_config_changed(struct model *m);
/* Calls the driver's handler if the rings say that it wants to be called. True if it was. */
bool model_interrupt(struct model *m);

static inline struct virtq_used *model_used(struct model *m, unsigned queue)
{
	extern void *model_memory(paddr_t pa);

	return model_memory(m->queues[queue].place.used);
}

#endif
