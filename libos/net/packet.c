/*
 * The pool of packets: two sizes, so that ten thousand connections with one small answer each under
 * way do not hold ten thousand full segments.
 *
 * Free ones are kept in a stack, which costs a few instructions where the heap costs a hundred, up
 * to a bound; what the pool takes from the heap counts as the network's memory, the free ones
 * included.
 */
#include "packet.h"

#include <core/counter.h>
#include <core/kmem.h>

#include "stack.h"

COUNTER(net_drop_packet, "packets that there was no memory for");

#define FREE_MAX 128    /* of each size */
/* of each size, kept even when memory is short: they will be needed at once */
#define FREE_FEW 16

static struct {
	struct kmem_cache *cache;
	struct packet *free;
	unsigned free_count;
} pools[PACKET_SIZES];

static const size_t object_bytes[PACKET_SIZES] = {
	PACKET_SMALL_BYTES, (sizeof(struct packet) + PACKET_ROOM + 15) & ~15ul,
};
static const char *const pool_name[PACKET_SIZES] = { "net-packet-small", "net-packet" };

static void returned(struct pbuf *p)
{
	struct packet *k = (struct packet *)p;
	enum packet_size size = k->room == PACKET_ROOM ? PACKET_LARGE : PACKET_SMALL;

	if (unlikely(pools[size].free_count >= FREE_FEW &&
		     (pools[size].free_count >= FREE_MAX || net_memory_is_short()))) {
		kmem_cache_free(pools[size].cache, k);
		net_memory_give_back(object_bytes[size]);
		return;
	}
	k->piece.next = pools[size].free ? &pools[size].free->piece : NULL;
	pools[size].free = k;
	pools[size].free_count++;
}

static void sent(struct netbuf *b)
{
	packet_put((struct packet *)((uintptr_t)b - offsetof(struct packet, netbuf)));
}

/* What is the same whenever the packet is sent. */
static void make_netbuf(struct packet *k)
{
	struct netbuf *b = packet_netbuf(k);

	__builtin_memset(k->netbuf, 0, sizeof(k->netbuf));
	list_init(&b->link);
	b->done = sent;
	b->frag_count = 1;
	b->patient = true;
}

static struct packet *packet_create(enum packet_size size)
{
	struct packet *k = NULL;

	if (!pools[size].cache)
		pools[size].cache = kmem_cache_create(pool_name[size], object_bytes[size], 16);
	if (pools[size].cache && net_memory_take(object_bytes[size])) {
		k = kmem_cache_alloc(pools[size].cache);
		if (!k)
			net_memory_give_back(object_bytes[size]);
	}
	if (!k) {
		counter_inc(net_drop_packet);
		return NULL;
	}
	k->room = (uint16_t)(size == PACKET_LARGE ? PACKET_ROOM : PACKET_SMALL_ROOM);
	k->custom.custom_free_function = returned;
	k->custom.pbuf = (struct pbuf){ .type_internal = (u8_t)PBUF_RAM };
	k->piece = (struct output_piece){ NULL, false };
	make_netbuf(k);
	return k;
}

struct packet *packet_alloc(enum packet_size size)
{
	struct packet *k = pools[size].free;
	struct pbuf *p;

	if (likely(k)) {
		pools[size].free = k->piece.next ? packet_of(k->piece.next) : NULL;
		pools[size].free_count--;
	} else {
		k = packet_create(size);
		if (!k)
			return NULL;
	}
	k->piece.next = NULL;
	p = &k->custom.pbuf;
	p->payload = k->payload;
	p->next = NULL;
	p->len = p->tot_len = 0;
	p->ref = 1;
	p->flags = PBUF_FLAG_IS_CUSTOM;
	return k;
}

size_t packets_idle_bytes(void)
{
	size_t bytes = 0;

	for (enum packet_size size = 0; size < PACKET_SIZES; size++)
		bytes += pools[size].free_count * object_bytes[size];
	return bytes;
}

void packet_put(struct packet *k)
{
	if (!--k->custom.pbuf.ref)
		returned(&k->custom.pbuf);
}
