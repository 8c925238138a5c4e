/*
 * A loop's own stock of packets, so that servers can write output without the stack lock: the
 * loop's sections fill it up under the lock, and a loop that has run out enters the stack for more.
 */
#include "stream_lwip.h"

#define STOCK_MAX 16     /* of each size */

static void stock_put(struct stream_loop *loop, struct packet *k, enum packet_size size)
{
	k->piece.next = loop->stock[size] ? &loop->stock[size]->piece : NULL;
	loop->stock[size] = k;
	loop->stock_count[size]++;
}

static void restock_one(struct stream_loop *loop, enum packet_size size)
{
	struct packet *k;

	while (loop->stock_count[size] < STOCK_MAX && (k = packet_alloc(size)))
		stock_put(loop, k, size);
}

/* Sizes that the loop has used are kept in stock. S and o */
void stream_packets_restock(struct stream_loop *loop)
{
	if (unlikely(loop->stock_count[PACKET_SMALL] < loop->stock_least[PACKET_SMALL]))
		restock_one(loop, PACKET_SMALL);
	if (unlikely(loop->stock_count[PACKET_LARGE] < loop->stock_least[PACKET_LARGE]))
		restock_one(loop, PACKET_LARGE);
}

struct packet *stream_packet_take(struct stream_loop *loop, enum packet_size size)
{
	struct packet *k = loop->stock[size];

	if (unlikely(!k)) {
		loop->stock_least[size] = STOCK_MAX / 4;
		net_enter();
		restock_one(loop, size);
		net_leave();
		k = loop->stock[size];
		if (!k)
			return NULL;
	}
	loop->stock[size] = k->piece.next ? packet_of(k->piece.next) : NULL;
	loop->stock_count[size]--;
	k->piece.next = NULL;
	return k;
}

void stream_packet_return(struct stream_loop *loop, struct packet *k)
{
	packet_set_len(k, 0);
	stock_put(loop, k, k->room == PACKET_ROOM ? PACKET_LARGE : PACKET_SMALL);
}

/* The loop ends. S and o */
void stream_packets_drop(struct stream_loop *loop)
{
	for (enum packet_size size = 0; size < PACKET_SIZES; size++) {
		loop->stock_least[size] = 0;
		while (loop->stock_count[size])
			packet_put(stream_packet_take(loop, size));
	}
}
