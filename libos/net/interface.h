/*
 * Private: one Ethernet interface, a netdev below and an lwIP netif above. Stack lock throughout.
 */
#ifndef NET_INTERFACE_H
#define NET_INTERFACE_H

#include <core/list.h>
#include <core/types.h>
#include <libos/netdev.h>

#include "lwip/netif.h"

struct net_interface {
	struct list link;
	struct netif netif;
	struct netdev *dev;
	struct list waiting;      /* struct transmission: the device's ring was full */
	unsigned waiting_count;
	unsigned lent_frames;     /* receive buffers of the driver that lwIP or a socket holds */
	bool needs_kick;
	uint16_t check_always;    /* NETIF_CHECKSUM_CHECK_* of frames the device has not verified */
};

err_t net_transmit(struct netif *netif, struct pbuf *p);        /* netif->linkoutput */
void net_transmit_retry(struct net_interface *in);              /* the ring has room again */
void net_receive(struct net_interface *in, struct netbuf *b);   /* one frame */

#endif
