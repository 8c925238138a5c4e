/*
 * Virtio network devices [5.1]: bringing one up, its link, its end, and the way back after a lie.
 *
 * The two queues are in virtio_net_rx.c and virtio_net_tx.c. Everything runs under the stack lock
 * (libos/netdev.h), except the interrupt handler, which only notes what happened and wakes the
 * stack, and frames that come back from other threads.
 *
 * Interrupts. Both queues share one. It says "poll"; before the stack rests, look() asks for the
 * next one, looking once more after it has asked, since a frame may have come in between. With
 * event index, an interrupt is over when it has fired; without, the handler switches it off. In the
 * race between that and a look() that just switched it on, the wake() that follows leads to another
 * poll().
 *
 * Not used: the control queue (a device without commands receives everything that it should: our
 * address, broadcast and multicast), GUEST_ECN and UFO, several queue pairs.
 */
#include <core/arch.h>
#include <core/errno.h>
#include <core/hart.h>
#include <core/init.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/page.h>
#include <core/string.h>
#include <libos/rng.h>

#include "virtio_net.h"

/* Configuration fields [5.1.4]. */
enum { CONFIG_MAC = 0, CONFIG_STATUS = 6, CONFIG_MTU = 10 };
#define STATUS_LINK_UP 1u

#define MTU_MIN 68u    /* RFC 791 */
#define MTU_MAX 1500u

#define LRO_MEMORY_MIN MIB(32) /* page-sized buffers are worth it from here on */

#define GUEST_TSO (NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6)
#define HOST_TSO  (NET_F_HOST_TSO4 | NET_F_HOST_TSO6)
#define WANTED                                                                                     \
	(NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_MTU | NET_F_MAC | GUEST_TSO | HOST_TSO |            \
	 NET_F_MRG_RXBUF | NET_F_STATUS)

static struct virtio_net *net_of(struct netdev *d)
{
	return d->driver;
}

/* Features that need others are left out where those are missing [5.1.3.1]. */
static uint64_t consistent(uint64_t f)
{
	if (!(f & NET_F_CSUM))
		f &= ~HOST_TSO;
	/* Without mergeable buffers, 64 KiB frames would need buffers of that size. */
	if (!(f & NET_F_GUEST_CSUM) || !(f & NET_F_MRG_RXBUF))
		f &= ~GUEST_TSO;
	return f;
}

static uint64_t wanted_first(struct virtio_device *d)
{
	struct page_stats stats;
	uint64_t f = d->transport->features(d) & WANTED;

	page_stats(&stats);
	if (stats.total_pages < LRO_MEMORY_MIN / PAGE_SIZE)
		f &= ~GUEST_TSO;
	return consistent(f);
}

static uint32_t netdev_features(uint64_t f)
{
	return (f & NET_F_CSUM ? NETDEV_TX_CSUM : 0u) | (f & NET_F_HOST_TSO4 ? NETDEV_TSO4 : 0u) |
	       (f & NET_F_HOST_TSO6 ? NETDEV_TSO6 : 0u) |
	       (f & NET_F_GUEST_CSUM ? NETDEV_RX_CSUM : 0u) | (f & GUEST_TSO ? NETDEV_LRO : 0u);
}

static bool link_is_up(struct virtio_net *n)
{
	return !virtio_has(n->dev, NET_F_STATUS) ||
	       virtio_config_u16(n->dev, CONFIG_STATUS) & STATUS_LINK_UP;
}

/* Negotiates `wanted`. What was once agreed with a device never grows at a later reset. */
static int negotiate(struct virtio_net *n, uint64_t wanted)
{
	struct virtio_device *d = n->dev;
	int error = virtio_begin(d, wanted);

	if (error)
		return error;
	if (consistent(d->features) != d->features)
		return -EPROTO;
	n->hdr_bytes = virtio_has(d, VIRTIO_F_VERSION_1 | NET_F_MRG_RXBUF) ? NET_HDR_BYTES
									   : NET_HDR_LEGACY_BYTES;
	n->netdev.features = netdev_features(d->features);
	n->netdev.mtu = MTU_MAX;
	if (!virtio_has(d, NET_F_MTU))
		return 0;
	n->netdev.mtu = MIN(virtio_config_u16(d, CONFIG_MTU), MTU_MAX);
	return n->netdev.mtu >= MTU_MIN || planted(NET_MTU) ? 0 : -ERANGE;
}

static int negotiate_sane(struct virtio_net *n, uint64_t wanted)
{
	int error = negotiate(n, wanted);

	if (error != -ERANGE)
		return error;
	virtio_break(n->dev, "an MTU below 68 bytes; going on without its MTU");
	return negotiate(n, wanted & ~NET_F_MTU);
}

static void read_mac(struct virtio_net *n)
{
	uint8_t *mac = n->netdev.mac;

	if (virtio_has(n->dev, NET_F_MAC))
		virtio_config_bytes(n->dev, CONFIG_MAC, mac, 6);
	else
		random_bytes(mac, 6);
	if (!virtio_has(n->dev, NET_F_MAC) || mac[0] & 1)
		mac[0] = (uint8_t)((mac[0] & 0xfc) | 2); /* one station, locally administered */
}

static int set_up_queues(struct virtio_net *n)
{
	int error = net_rx_setup(n);

	return error ? error : net_tx_setup(n);
}

static void run(struct virtio_net *n)
{
	virtio_ready(n->dev);
	net_rx_start(n);
	n->netdev.link_up = link_is_up(n);
	n->started = true;
}

/*
 * Takes everything back from the device. False: it would not let go, and receive buffers stay lost.
 */
static bool halt(struct virtio_net *n)
{
	bool gone = virtio_reset(n->dev) == 0;

	n->started = false;
	net_tx_reclaim(n);
	if (gone)
		net_rx_reclaim(n);
	else
		n->dead = true;
	return gone;
}

static int resume(struct virtio_net *n)
{
	uint64_t agreed = n->dev->features;
	int error;

	if (n->dead)
		return -EIO;
	error = negotiate_sane(n, agreed);
	if (!error)
		error = set_up_queues(n);
	if (error) {
		virtio_reset(n->dev);
		virtio_fail(n->dev);
		return error;
	}
	run(n);
	return 0;
}

static void tell_link(struct virtio_net *n, bool up)
{
	n->netdev.link_up = up;
	n->netdev.upper->link_changed(&n->netdev, up);
}

/* After a lie: everything from the start, with what is in flight lost. */
static void restart(struct virtio_net *n)
{
	int error = -EIO;

	n->netdev.resets++;
	tell_link(n, false);
	if (halt(n))
		error = resume(n);
	if (error) {
		n->dead = true;
		log_error("%s: lost after a reset, error %d", n->netdev.name, -error);
		return;
	}
	n->netdev.upper->tx_ready(&n->netdev);
	if (n->netdev.link_up)
		tell_link(n, true);
}

/* The device says that something has changed, perhaps that it needs a reset [2.1.2]. */
static void look_at_configuration(struct virtio_net *n)
{
	bool up;

	__atomic_store_n(&n->config_changed, false, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (n->dev->transport->status(n->dev) & VIRTIO_STATUS_NEEDS_RESET) {
		virtio_break(n->dev, "it says that it needs a reset");
		return;
	}
	up = link_is_up(n);
	if (up != n->netdev.link_up)
		tell_link(n, up);
}

static unsigned take_all(struct virtio_net *n, unsigned budget)
{
	/* Slots of copied frames are reaped many at a time, by transmit(). */
	if ((n->tx.lent || n->tx.stack_waits) && virtq_has_used(&n->tx.q))
		net_tx_reap(n);
	if (unlikely(n->tx.stack_waits) && n->tx.free) {
		n->tx.stack_waits = false;
		n->netdev.upper->tx_ready(&n->netdev);
	}
	return net_rx_poll(n, budget);
}

/* poll() when there may be more to do than to take frames. */
static __attribute__((noinline)) unsigned poll_closer(struct virtio_net *n, unsigned budget)
{
	unsigned frames;

	if (unlikely(!n->started))
		return 0;
	if (unlikely(__atomic_load_n(&n->config_changed, __ATOMIC_RELAXED)))
		look_at_configuration(n);
	frames = take_all(n, budget);
	if (unlikely(virtio_is_broken(n->dev)))
		restart(n);
	return frames;
}

/* Nobody waits for a transmission to end, and the device has not changed. */
static inline bool is_calm(const struct virtio_net *n)
{
	return n->started && !virtio_is_broken(n->dev) && !n->tx.lent && !n->tx.stack_waits &&
	       !__atomic_load_n(&n->config_changed, __ATOMIC_RELAXED);
}

static unsigned net_poll(struct netdev *d, unsigned budget)
{
	struct virtio_net *n = net_of(d);

	d->polls++;
	n->rx.interrupt_on = false;
	if (unlikely(!is_calm(n)))
		return poll_closer(n, budget);
	if (!virtq_has_used(&n->rx.q) && !net_rx_is_low(&n->rx))
		return 0;
	return net_rx_poll(n, budget);
}

static __attribute__((noinline)) int transmit_closer(struct virtio_net *n, struct netbuf *b)
{
	if (unlikely(!n->started || virtio_is_broken(n->dev))) {
		if (n->started)
			n->netdev.upper->wake(&n->netdev); /* poll() resets */
		n->netdev.tx_dropped++;
		netbuf_done(b);
		return 0;
	}
	return net_tx_transmit(n, b);
}

static int net_transmit(struct netdev *d, struct netbuf *b)
{
	struct virtio_net *n = net_of(d);

	if (likely(n->started && !virtio_is_broken(n->dev)) && net_tx_in_place(n, b))
		return 0;
	return transmit_closer(n, b);
}

static void *net_send_room(struct netdev *d, size_t len)
{
	struct virtio_net *n = net_of(d);

	return likely(n->started && !virtio_is_broken(n->dev)) ? net_tx_room(n, len) : NULL;
}

static void net_send_written(struct netdev *d, size_t len, uint16_t csum_start,
			     uint16_t csum_offset)
{
	net_tx_written(net_of(d), len, csum_start, csum_offset);
}

static void net_kick(struct netdev *d)
{
	struct virtio_net *n = net_of(d);

	if (unlikely(!n->started))
		return;
	d->kicks += virtq_kick_early(&n->tx.q);
	/*
	 * A stack that sleeps would not reap what it lent, nor reset. A poll() to come does both by
	 * itself.
	 */
	if (n->rx.interrupt_on && (!net_tx_arm(n) || unlikely(virtio_is_broken(n->dev))))
		d->upper->wake(d);
}

static int net_start(struct netdev *d)
{
	struct virtio_net *n = net_of(d);

	if (n->started)
		return 0;
	if (n->dead || !d->upper)
		return -EIO;
	return resume(n);
}

static void net_stop(struct netdev *d)
{
	struct virtio_net *n = net_of(d);

	if (n->started)
		halt(n);
}

/*
 * A device that signals by flags goes on with each frame unless told: by event index it is told
 * already.
 */
static void silence(struct virtio_net *n)
{
	if (virtio_has(n->dev, VIRTIO_F_EVENT_IDX))
		return;
	virtq_interrupt_off(&n->rx.q);
	virtq_interrupt_off(&n->tx.q);
}

static inline bool something_came(const struct virtio_net *n)
{
	return virtq_has_used(&n->rx.q) ||
	       ((n->tx.lent || n->tx.stack_waits) && virtq_has_used(&n->tx.q));
}

/*
 * The interrupt that tells of what came is not needed any more; it may have come between asking and
 * looking again, too.
 */
static __attribute__((noinline)) bool end_look(struct virtio_net *n)
{
	if (n->rx.interrupt_on && !arch_irq_is_enabled()) {
		silence(n);
		n->dev->transport->quiet_queues(n->dev);
	}
	return true;
}

/*
 * Kicks that may have missed a device on its way to sleep. That takes a machine of one hart
 * (arch_device_fence()), where nobody else is in the queues now: who holds the stack lock is not
 * preempted.
 */
static inline bool may_be_unsettled(const struct virtio_net *n)
{
	return hart_count() == 1 && (virtq_is_unsettled(&n->rx.q) || virtq_is_unsettled(&n->tx.q));
}

static __attribute__((noinline)) bool settle_and_arm(struct virtio_net *n)
{
	virtq_settle(&n->rx.q);
	virtq_settle(&n->tx.q);
	return !net_tx_arm(n);
}

/*
 * Without the stack lock, so what it asks for may be out of date when somebody else is polling:
 * that one looks, too, before it rests. Buffers are not posted here; poll() leaves enough with the
 * device.
 */
static bool net_look(struct netdev *d)
{
	struct virtio_net *n = net_of(d);

	if (unlikely(!n->started))
		return false;
	if (something_came(n))
		return end_look(n);
	n->rx.interrupt_on = true;
	if (unlikely(!virtq_interrupt_after(&n->rx.q, 1) || virtio_is_broken(n->dev)))
		return end_look(n);
	return may_be_unsettled(n) ? settle_and_arm(n) : !net_tx_arm(n);
}

static const struct netdev_ops net_ops = {
	.start = net_start,
	.stop = net_stop,
	.transmit = net_transmit,
	.send_room = net_send_room,
	.send_written = net_send_written,
	.kick = net_kick,
	.poll = net_poll,
	.look = net_look,
};

static void net_interrupt(struct virtio_device *d, uint32_t causes)
{
	struct virtio_net *n = d->driver_data;

	if (!n || !n->netdev.upper)
		return;
	n->netdev.irqs++;
	if (causes & VIRTIO_INTERRUPT_CONFIG)
		__atomic_store_n(&n->config_changed, true, __ATOMIC_RELEASE);
	if (n->started)
		silence(n);
	n->netdev.upper->wake(&n->netdev);
}

/* Agrees on features and finds memory; the device waits in reset until the stack calls start(). */
static int prepare(struct virtio_net *n)
{
	int error = negotiate_sane(n, wanted_first(n->dev));

	if (error)
		return error;
	read_mac(n);
	error = net_rx_create(n);
	if (error)
		return error;
	error = net_tx_create(n);
	if (error)
		goto free_rx;
	error = set_up_queues(n); /* once already, so that a device without them is refused here */
	if (error)
		goto free_all;
	n->netdev.link_up = link_is_up(n);
	error = virtio_reset(n->dev);
	if (!error)
		return 0;
free_all:
	if (virtio_reset(n->dev) == 0)
		net_tx_destroy(n);
free_rx:
	if (virtio_reset(n->dev) == 0)
		net_rx_destroy(n);
	return error;
}

static int net_probe(struct virtio_device *d)
{
	struct virtio_net *n = kzalloc(sizeof(*n));
	int error;

	if (!n)
		return -ENOMEM;
	n->dev = d;
	n->netdev.driver = n;
	n->netdev.ops = &net_ops;
	error = prepare(n);
	if (!error) {
		d->driver_data = n;
		error = netdev_register(&n->netdev);
	}
	if (error) {
		d->driver_data = NULL;
		kfree(n);
		return error;
	}
	log_info("%s: virtio-net, %u receive buffers of %zu bytes, features %#llx", n->netdev.name,
		 n->rx.buffer_count, n->rx.buffer_bytes, (unsigned long long)d->features);
	return 0;
}

static const struct virtio_driver virtio_net_driver = {
	.name = "virtio-net",
	.id = VIRTIO_ID_NET,
	.probe = net_probe,
	.interrupt = net_interrupt,
};
VIRTIO_DRIVER(virtio_net_driver);
