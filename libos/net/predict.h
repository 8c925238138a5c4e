/*
 * Private: segments that are as expected go past lwIP's input. Stack lock. See predict.c.
 */
#ifndef NET_PREDICT_H
#define NET_PREDICT_H

#include <core/types.h>

#include "interface.h"

/* Segments taken so far. */
uint64_t net_predicted(void);

/*
 * stream_datagrams_short.c: a frame of IPv4 and UDP, at least as long as their plain headers: past
 * lwIP if it is as expected, else through it.
 */
void net_datagram_take(struct net_interface *in, struct netbuf *b);
uint64_t net_datagrams_taken(void);          /* so far */

/* For tests: false sends everything through lwIP. */
extern bool net_prediction;

#endif
