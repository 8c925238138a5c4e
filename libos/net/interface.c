/*
 * Interfaces: every registered netdev becomes an lwIP netif.
 *
 * The device's calls upward come here. Frames arrive only inside net_interfaces_poll(), that is
 * under the stack lock; a device that has something to say outside of it calls wake().
 */
#include <core/assert.h>
#include <core/counter.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/trace.h>

#include "interface.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "netif/ethernet.h"
#include "stack.h"

COUNTER(net_kicks, "device notifications, at most one per batch and device");

static struct list interfaces = LIST_INIT(interfaces); /* [stack lock] */
/* the interface's, on most machines; NULL: none, or several */
static struct netdev *only_device;

static struct net_interface *interface_of(struct netdev *d)
{
	return d->stack;
}

static void input(struct netdev *d, struct netbuf *b)
{
	net_receive(interface_of(d), b);
}

static void tx_ready(struct netdev *d)
{
	if (net_is_entered())
		net_transmit_retry(interface_of(d));
	else
		net_wake();
}

/* From a context of the driver's own: the netif follows when the stack next runs. */
static void link_changed(struct netdev *d, bool up)
{
	log_info("%s: link %s", d->name, up ? "up" : "down");
	net_wake();
}

static void wake(struct netdev *d)
{
	(void)d;
	net_wake();
}

static const struct netdev_upper stack_upper = {
	.input = input,
	.tx_ready = tx_ready,
	.link_changed = link_changed,
	.wake = wake,
};

/*
 * Who computes checksums. The IP header's is always ours. TCP's is left to a device that can; UDP's
 * is not, because a datagram may leave in fragments. What arrives is verified unless the device
 * marks the frame (net_receive()).
 */
static void choose_checksums(struct net_interface *in)
{
	uint16_t generate = NETIF_CHECKSUM_GEN_IP | NETIF_CHECKSUM_GEN_UDP |
			    NETIF_CHECKSUM_GEN_TCP | NETIF_CHECKSUM_GEN_ICMP |
			    NETIF_CHECKSUM_GEN_ICMP6;
	uint16_t check = NETIF_CHECKSUM_CHECK_IP | NETIF_CHECKSUM_CHECK_ICMP |
			 NETIF_CHECKSUM_CHECK_ICMP6;

	if (in->dev->features & NETDEV_TX_CSUM)
		generate &= (uint16_t)~NETIF_CHECKSUM_GEN_TCP;
	in->check_always = NETIF_CHECKSUM_CHECK_UDP | NETIF_CHECKSUM_CHECK_TCP;
	NETIF_SET_CHECKSUM_CTRL(&in->netif, generate | check);
}

static err_t netif_setup(struct netif *netif)
{
	struct net_interface *in = netif->state;

	netif->name[0] = 'e';
	netif->name[1] = 'n';
	netif->hwaddr_len = ETH_HWADDR_LEN;
	__builtin_memcpy(netif->hwaddr, in->dev->mac, ETH_HWADDR_LEN);
	netif->mtu = in->dev->mtu;
	netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET |
		       NETIF_FLAG_MLD6;
	netif->output = etharp_output;
	netif->output_ip6 = ethip6_output;
	netif->linkoutput = net_transmit;
	choose_checksums(in);
	return ERR_OK;
}

static int interface_attach(struct netdev *d)
{
	struct net_interface *in = kzalloc(sizeof(*in));
	int err;

	if (!in)
		return -ENOMEM;
	in->dev = d;
	list_init(&in->waiting);
	netdev_attach(d, &stack_upper, in);
	err = d->ops->start(d);
	if (err) {
		kfree(in);
		return err;
	}
	netif_add_noaddr(&in->netif, in, netif_setup, ethernet_input);
	only_device = list_is_empty(&interfaces) ? d : NULL;
	list_push_back(&interfaces, &in->link);
	if (d->link_up)
		netif_set_link_up(&in->netif);
	return 0;
}

void net_interfaces_attach(void)
{
	struct netdev *d = NULL;
	int err;

	while ((d = netdev_next(d))) {
		err = interface_attach(d);
		if (err)
			log_error("net: %s does not start (%d)", d->name, err);
	}
	if (!list_is_empty(&interfaces))
		netif_set_default(net_interface_first());
}

struct netif *net_interface_first(void)
{
	if (list_is_empty(&interfaces))
		return NULL;
	return &list_first(&interfaces, struct net_interface, link)->netif;
}

static void follow_link(struct net_interface *in)
{
	if (likely(netif_is_link_up(&in->netif) == in->dev->link_up))
		return;
	choose_checksums(in);            /* a device that was reset may have changed */
	if (in->dev->link_up)
		netif_set_link_up(&in->netif);
	else
		netif_set_link_down(&in->netif);
}

unsigned net_interfaces_poll(unsigned budget)
{
	struct net_interface *in;
	unsigned frames = 0;

	assert(net_is_entered());

	list_for_each(in, &interfaces, link) {
		follow_link(in);
		frames += in->dev->ops->poll(in->dev, budget);
		if (unlikely(in->waiting_count))
			net_transmit_retry(in);
	}
	return frames;
}

static __attribute__((noinline)) bool look_at_all(void)
{
	struct net_interface *in;
	bool any = false;

	list_for_each(in, &interfaces, link)
		any |= in->dev->ops->look(in->dev);
	return any;
}

bool net_look(void)
{
	return likely(only_device) ? only_device->ops->look(only_device) : look_at_all();
}

void net_interfaces_count(uint64_t *packets_in, uint64_t *packets_out, uint64_t *kicks,
			  uint64_t *interrupts)
{
	struct net_interface *in;

	*packets_in = *packets_out = *kicks = *interrupts = 0;
	list_for_each(in, &interfaces, link) {
		*packets_in += in->dev->rx_packets;
		*packets_out += in->dev->tx_packets;
		*kicks += in->dev->kicks;
		*interrupts += in->dev->irqs;
	}
}

static __attribute__((noinline)) void kick(struct net_interface *in)
{
	net_merge_close(in);
	while (in->needs_kick) {        /* again when room made by it was used at once */
		in->needs_kick = false;
		counter_inc(net_kicks);
		trace_detail_begin("kick", 0);
		in->dev->ops->kick(in->dev);
		trace_detail_end("kick");
	}
}

void net_interfaces_kick(void)
{
	struct net_interface *in;

	list_for_each(in, &interfaces, link)
		if (in->needs_kick || in->merge.open)
			kick(in);
}
