/*
 * Private: segments that are as expected go past lwIP's input. Stack lock. See predict.c.
 */
#ifndef NET_PREDICT_H
#define NET_PREDICT_H

#include <core/types.h>

#include "interface.h"

/* True: the frame was taken. False: nothing has happened, lwIP must see it. */
bool net_predict(struct net_interface *in, struct netbuf *b);

/* Segments taken so far. */
uint64_t net_predicted(void);

/* stream_datagrams_short.c: the same for a frame of IPv4 and UDP, at least as long as their plain headers. */
bool net_datagram_take(struct net_interface *in, struct netbuf *b);
uint64_t net_datagrams_taken(void);          /* so far */

/* For tests: false sends everything through lwIP. */
extern bool net_prediction;

#endif
