/*
 * Bytes that a socket sends where they lie: pages of files, by sendfile().
 *
 * A loan is in flight from tcp_write() on. It ends when no segment names its bytes: the peer has
 * acknowledged all of a segment (in the middle of one does not count, since the segment may be sent
 * again), or the connection is gone. From then on it waits for the transmissions that were under
 * way (transmit.c), and is released, once.
 *
 * Loans belong to the connection, not to its socket, which may be closed long before the peer has
 * taken the last byte. Streams keep theirs themselves (stream_output.c), since release() has to
 * come from the loop's thread.
 */
#include "loans.h"

#include <core/assert.h>
#include <core/kmem.h>

#include "connections.h"
#include "lwip/priv/tcp_priv.h"
#include "stack.h"

struct list net_loans_releasing = LIST_INIT(net_loans_releasing);

uint32_t net_first_named_seq(const struct tcp_pcb *pcb)
{
	uint32_t seq = pcb->snd_lbb;

	if (pcb->unsent && TCP_SEQ_LT(lwip_ntohl(pcb->unsent->tcphdr->seqno), seq))
		seq = lwip_ntohl(pcb->unsent->tcphdr->seqno);
	if (pcb->unacked && TCP_SEQ_LT(lwip_ntohl(pcb->unacked->tcphdr->seqno), seq))
		seq = lwip_ntohl(pcb->unacked->tcphdr->seqno);
	return seq;
}

static void release(struct net_loan *loan)
{
	list_remove(&loan->link);
	loan->release(loan->owner);
	kfree(loan);
}

static void unnamed(struct net_loan *loan)
{
	loan->mark = net_transmit_mark();
	if (net_transmit_has_passed(loan->mark)) {
		release(loan);
		return;
	}
	list_remove(&loan->link);
	list_push_back(&net_loans_releasing, &loan->link);
}

void net_loan_begin(struct tcp_pcb *pcb, struct net_loan *loan)
{
	struct list *in_flight = net_connection_loans(pcb);

	assert(in_flight);
	loan->end_seq = pcb->snd_lbb;
	list_push_back(in_flight, &loan->link);
}

bool net_loans_in_flight(struct tcp_pcb *pcb)
{
	struct list *in_flight = net_connection_loans(pcb);

	return in_flight && !list_is_empty(in_flight);
}

void net_loans_acked(struct tcp_pcb *pcb)
{
	struct list *in_flight = net_connection_loans(pcb);
	struct net_loan *loan, *next;
	uint32_t seq;

	if (!in_flight || list_is_empty(in_flight))
		return;
	seq = net_first_named_seq(pcb);
	list_for_each_safe(loan, next, in_flight, link) {
		if (TCP_SEQ_GT(loan->end_seq, seq))
			break;
		unnamed(loan);
	}
}

void net_loans_drop(struct list *in_flight)
{
	while (!list_is_empty(in_flight))
		unnamed(list_first(in_flight, struct net_loan, link));
}

void net_loans_settle(void)
{
	while (!list_is_empty(&net_loans_releasing)) {
		struct net_loan *loan = list_first(&net_loans_releasing, struct net_loan, link);

		if (!net_transmit_has_passed(loan->mark))
			return;
		release(loan);
	}
}
