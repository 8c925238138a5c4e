/*
 * Private: bytes that sockets were lent to send. Stack lock. See loans.c.
 */
#ifndef NET_LOANS_H
#define NET_LOANS_H

#include <core/list.h>
#include <core/types.h>

struct tcp_pcb;

struct net_loan {
	struct list link;
	uint32_t end_seq;              /* the number behind its last byte */
	uint64_t mark;                 /* of the last transmission that may name it */
	void (*release)(void *owner);
	void *owner;
};

/*
 * What tcp_write() has just been given without copying is released when nobody names it any more.
 */
void net_loan_begin(struct tcp_pcb *pcb, struct net_loan *loan);
/* Something was acknowledged. */
void net_loans_acked(struct tcp_pcb *pcb);
bool net_loans_in_flight(struct tcp_pcb *pcb);
/* The connection is gone, and its segments with it. */
void net_loans_drop(struct list *in_flight);

/* A transmission is done: those that waited for it are released. */
extern struct list net_loans_releasing;
void net_loans_settle(void);

/* The number before which no segment of the connection names a byte. */
uint32_t net_first_named_seq(const struct tcp_pcb *pcb);

#endif
