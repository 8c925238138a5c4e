/*
 * A loop's own stock of packets, so that servers can write output without the stack lock: the loop's
 * sections fill it up under the lock, and a loop that has run out enters the stack for more.
 */
#include "stream_lwip.h"

#define STOCK_MAX 16     /* of each size */

static void stock_put(struct stream_loop *loop, struct packet *k, enum packet_size size)
{
	k->piece.next = loop->stock[size] ? &loop->stock[size]->piece : NULL;
	loop->stock[size] = k;
	loop->stock_count[size]++;
}

/* Sizes that the loop has used are kept in stock. S and o */
void stream_packets_restock(struct stream_loop *loop)
{
	for (enum packet_size size = 0; size < PACKET_SIZES; size++) {
		if (likely(!loop->stock_wanted[size] || loop->stock_count[size] >= loop->stock_wanted[size] / 2))
			continue;
		while (loop->stock_count[size] < loop->stock_wanted[size]) {
			struct packet *k = packet_alloc(size);

			if (!k)
				break;
			stock_put(loop, k, size);
		}
	}
}

struct packet *stream_packet_take(struct stream_loop *loop, enum packet_size size)
{
	struct packet *k = loop->stock[size];

	if (unlikely(!k)) {
		loop->stock_wanted[size] = STOCK_MAX;
		net_enter();
		stream_packets_restock(loop);
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
		loop->stock_wanted[size] = 0;
		while (loop->stock_count[size])
			packet_put(stream_packet_take(loop, size));
	}
}
