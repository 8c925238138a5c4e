/*
 * The network driver with a device that lies: one test for each lie, then a liar that does
 * everything at random, a hundred thousand times.
 *
 * After each lie the device has been reset and frames flow again; every frame sent is done once;
 * no piece of a frame ever lies outside its buffer (net_rig.c watches).
 */
#include <core/errno.h>
#include <core/string.h>
#include <core/test.h>

#include "net_rig.h"

#define RING (VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC)
#define FULL                                                                                       \
	(RING | NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_HOST_TSO4 | NET_F_HOST_TSO6 |                \
	 NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | NET_F_MAC | NET_F_STATUS | NET_F_MTU |              \
	 NET_F_MRG_RXBUF)

/* After the lie: one reset, the link went down and came up, nothing is lost for good. */
static bool recovered(struct rig *r, unsigned inputs_allowed)
{
	rig_poll_all(r);
	return r->dev->resets == 1 && r->downs == 1 && r->ups == 1 && r->inputs <= inputs_allowed &&
	       rig_busy(r) == 0 && rig_is_well(r) && r->dev->resets == 1;
}

/* Two frames under way on each side, so that a reset has something to take back. */
static struct rig *begin(void)
{
	struct rig *r = rig_start(FULL);

	if (!r || rig_send(r, 1000) || rig_send(r, 1000))
		return NULL;
	r->dev->ops->kick(r->dev);
	return r;
}

static void check_used_lie(unsigned queue, uint32_t id, uint32_t len, uint16_t step)
{
	struct rig *r = begin();
	struct model_chain c;

	CHECK(r != NULL);
	CHECK(model_pop(&r->model, queue, &c));
	model_lie(&r->model, queue, id, len, step);
	CHECK(recovered(r, 0));
}

TEST(net_survives_a_used_index_that_jumps)
{
	check_used_lie(RIG_RX, 0, 100, 300);
	check_used_lie(RIG_TX, 0, 0, 3);
}

TEST(net_survives_descriptor_numbers_out_of_range)
{
	check_used_lie(RIG_RX, 256, 100, 1);
	check_used_lie(RIG_RX, 0xffffffff, 100, 1);
	check_used_lie(RIG_TX, 4096, 0, 1);
}

TEST(net_survives_descriptors_that_are_not_outstanding)
{
	check_used_lie(RIG_TX, 77, 0, 1);
}

TEST(net_survives_lengths_beyond_the_buffer)
{
	check_used_lie(RIG_RX, 0, 4096, 1);
	check_used_lie(RIG_RX, 0, 0xfffffff0, 1);
}

TEST(net_survives_headers_that_are_too_short)
{
	for (uint32_t len = 0; len < NET_HDR_BYTES; len++)
		check_used_lie(RIG_RX, 0, len, 1);
}

TEST(net_resets_a_device_that_asks_for_it)
{
	struct rig *r = begin();

	CHECK(r != NULL);
	r->model.status |= VIRTIO_STATUS_NEEDS_RESET;
	model_config_changed(&r->model);
	CHECK(model_interrupt(&r->model));
	CHECK(recovered(r, 0));
}

TEST(net_drops_frames_too_short_for_ethernet)
{
	struct rig *r = begin();

	CHECK(r != NULL);
	CHECK(rig_deliver(r, 0, 0));
	CHECK(rig_deliver(r, 0, 13));
	rig_poll_all(r);
	CHECK_EQ(r->inputs, 0);
	CHECK_EQ(r->dev->rx_dropped, 2);
	CHECK_EQ(r->dev->resets, 0);
	CHECK(rig_is_well(r));
}

static void check_num_buffers(uint16_t num_buffers, unsigned given)
{
	struct rig *r = begin();
	struct virtio_net_hdr h = { .num_buffers = num_buffers };

	CHECK(r != NULL);
	CHECK(rig_deliver_as(r, h, 0, MIN(given * 3000u, 60000u), given));
	CHECK(recovered(r, 0));
}

TEST(net_survives_frames_of_no_buffers_or_too_many)
{
	check_num_buffers(0, 1);
	check_num_buffers(2, 1);
	check_num_buffers(NETBUF_FRAGS + 1, 1);
	check_num_buffers(NETBUF_FRAGS + 1, NETBUF_FRAGS + 1);
	check_num_buffers(0xffff, 40);
}

TEST(net_survives_offloads_that_nobody_asked_for)
{
	struct rig *r = rig_start(RING | NET_F_MAC);
	struct virtio_net_hdr h = { .flags = 0xff,
				    .gso_type = 0xff,
				    .hdr_len = 0xffff,
				    .gso_size = 0xffff,
				    .csum_start = 0xffff,
				    .csum_offset = 0xffff,
				    .num_buffers = 0xffff };

	CHECK(r != NULL);
	CHECK(rig_deliver_as(r, h, 0, 100, 1));
	CHECK_EQ(rig_poll_all(r), 1);
	CHECK(!r->last_csum_good);
	CHECK(rig_is_well(r));
}

TEST(net_goes_on_without_an_mtu_that_is_nonsense)
{
	struct rig *r = rig_start(FULL);
	uint32_t lies;

	CHECK(r != NULL);
	lies = r->model.dev.lies;
	r->dev->ops->stop(r->dev);
	r->model.config[10] = r->model.config[11] = 0;
	CHECK_EQ(r->dev->ops->start(r->dev), 0);
	CHECK_EQ(r->model.dev.lies, lies + 1);
	CHECK_EQ(r->dev->mtu, 1500);
	CHECK(rig_is_well(r));
	r->model.config[10] = 0xdc;
	r->model.config[11] = 5;
}

TEST(net_refuses_a_device_without_usable_queues)
{
	static struct model m;

	for (unsigned size = 0; size < 2; size++) {
		model_init(&m, VIRTIO_ID_NET, FULL, 2, size ? 0x10000 : 0);
		CHECK(virtio_device_add(&m.dev) < 0);
		CHECK(!(m.status & VIRTIO_STATUS_DRIVER_OK));
	}
}

TEST(net_gives_up_a_device_whose_queue_shrinks_at_a_reset)
{
	struct rig *r = rig_new(FULL);
	struct model_chain c;

	CHECK(r != NULL);
	CHECK_EQ(rig_send(r, 1000), 0);
	CHECK(model_pop(&r->model, RIG_RX, &c));
	r->model.queues[RIG_RX].size_max = 1;
	model_lie(&r->model, RIG_RX, 9999, 0, 1);
	rig_poll_all(r);
	CHECK(!r->net->started && !r->dev->link_up);
	CHECK_EQ(rig_busy(r), 0);
	CHECK_EQ(rig_send(r, 1000), 0); /* taken, and dropped */
	CHECK_EQ(rig_busy(r), 0);
	CHECK_EQ(r->dev->ops->poll(r->dev, 8), 0);
}

TEST(net_keeps_buffers_from_use_that_a_stuck_device_may_still_write)
{
	struct rig *r = rig_new(FULL);
	struct model_chain c;

	CHECK(r != NULL);
	CHECK(model_pop(&r->model, RIG_RX, &c));
	r->model.stuck = true;
	model_lie(&r->model, RIG_RX, 9999, 0, 1);
	rig_poll_all(r);
	CHECK(r->net->dead);
	CHECK(r->net->rx.spare == NULL);
	CHECK_EQ(r->dev->ops->start(r->dev), -EIO);
}

/* What the liar remembers of chains it holds. */
#define LIAR_CHAINS 512u

struct liar {
	struct rig *r;
	struct model_chain chains[2][LIAR_CHAINS];
	unsigned count[2];
	unsigned resets_seen;
};

static unsigned below(unsigned n)
{
	return (unsigned)test_random_below(n);
}

/* A device that has been reset has nothing; else it takes all that is offered at once. */
static void liar_takes(struct liar *l)
{
	struct model *m = &l->r->model;

	if (l->resets_seen != m->resets)
		l->count[RIG_RX] = l->count[RIG_TX] = 0;
	l->resets_seen = m->resets;
	for (unsigned q = 0; q < 2; q++) {
		while (l->count[q] < LIAR_CHAINS && model_pop(m, q, &l->chains[q][l->count[q]]))
			l->count[q]++;
	}
}

static struct model_chain liar_chain(struct liar *l, unsigned queue)
{
	unsigned i = below(l->count[queue]);
	struct model_chain c = l->chains[queue][i];

	l->chains[queue][i] = l->chains[queue][--l->count[queue]];
	return c;
}

static uint32_t odd_number(void)
{
	static const uint32_t odd[] = { 0,          1,          11,         12,        13,
					25,         26,         255,        256,       1526,
					2048,       4095,       4096,       65535,     0x10000,
					0x7fffffff, 0x80000000, 0xfffffff4, 0xffffffff };

	return below(3) ? odd[below(ARRAY_SIZE(odd))] : (uint32_t)test_random();
}

static void honest_receive(struct liar *l)
{
	struct virtio_net_hdr h = { .num_buffers = 1 };
	struct model_chain c;

	if (!l->count[RIG_RX])
		return;
	c = liar_chain(l, RIG_RX);
	model_write(&c, &h, sizeof(h));
	model_push(&l->r->model, RIG_RX, c.head, 12 + 60 + below(1400));
}

/*
 * A header of noise, now and then with a believable number of buffers that are then given or not.
 */
static void odd_receive(struct liar *l)
{
	unsigned buffers = below(2) ? 1 : below(24), given = below(4) ? buffers : below(24);
	struct virtio_net_hdr h;
	struct model_chain c;

	for (size_t i = 0; i < sizeof(h); i++)
		((uint8_t *)&h)[i] = (uint8_t)test_random();
	h.num_buffers = (uint16_t)(below(8) ? buffers : odd_number());
	for (unsigned i = 0; i < given && l->count[RIG_RX]; i++) {
		c = liar_chain(l, RIG_RX);
		model_write(&c, &h, sizeof(h));
		model_push(&l->r->model, RIG_RX, c.head, below(30) ? below(3600) : odd_number());
	}
}

static void honest_send(struct liar *l)
{
	while (l->count[RIG_TX] && below(8))
		model_push(&l->r->model, RIG_TX, liar_chain(l, RIG_TX).head, 0);
}

static void scribble(struct liar *l, unsigned queue)
{
	struct virtqueue *q = queue == RIG_RX ? &l->r->net->rx.q : &l->r->net->tx.q;

	/* It holds every chain, so it needs neither table nor ring again. */
	for (size_t i = 0; i < q->size; i++)
		q->desc[i] =
			(struct virtq_desc){ test_random(), (uint32_t)test_random(),
					     (uint16_t)test_random(), (uint16_t)test_random() };
}

static void liar_acts(struct liar *l)
{
	struct model *m = &l->r->model;
	unsigned queue = below(2), what = below(1000);

	if (what < 450)
		honest_receive(l);
	else if (what < 800)
		honest_send(l);
	else if (what < 900)
		odd_receive(l);
	else if (what < 910 && l->count[queue])
		model_push(m, queue, liar_chain(l, queue).head, odd_number());
	else if (what < 930)
		model_lie(m, queue, below(2) ? odd_number() : below(256), odd_number(),
			  (uint16_t)below(3));
	else if (what < 935)
		model_lie(m, queue, 0, 0, (uint16_t)odd_number());
	else if (what < 940)
		scribble(l, queue);
	else if (what < 945)
		m->config[below(12)] = (uint8_t)test_random(), model_config_changed(m);
	else if (what < 950)
		m->causes |= (uint32_t)test_random() & 3;
	else if (what < 960 && m->queues[queue].ready)
		model_used(m, queue)->flags = (uint16_t)test_random();
	else if (what < 970 && m->queues[queue].ready)
		*(uint16_t *)&model_used(m, queue)->ring[m->queues[queue].place.size] = (uint16_t)
			test_random();
}

static void stack_acts(struct rig *r)
{
	unsigned what = below(100);

	r->hold = below(2);
	if (what < 50)
		r->dev->ops->poll(r->dev, 1 + below(64));
	else if (what < 70)
		(void)rig_send(r, 60 + below(1400));
	else if (what < 75)
		(void)rig_send_gso(r, 3000 + below(60000));
	else if (what < 90)
		r->dev->ops->kick(r->dev);
	else if (what < 92)
		rig_release_all(r);
	else if (r->held_count)
		netbuf_done(r->held[--r->held_count]);
}

TEST(net_survives_a_hundred_thousand_acts_of_a_liar)
{
	static struct liar l;

	test_seed(20240229);
	l = (struct liar){ .r = rig_new(FULL) };
	CHECK(l.r != NULL);
	for (unsigned i = 0; i < 100000; i++) {
		liar_takes(&l);
		liar_acts(&l);
		model_interrupt(&l.r->model);
		stack_acts(l.r);
		l.r->model.complaint = NULL; /* it reads what it scribbled */
		if (l.r->complaint)
			test_print("act %u: %s\n", i, l.r->complaint);
		CHECK(!l.r->complaint);
		CHECK(l.r->net->started && !l.r->net->dead);
	}
	CHECK(l.r->dev->resets > 100);
	CHECK(l.r->inputs > 10000);
	l.r->dev->ops->stop(l.r->dev);
	CHECK_EQ(rig_busy(l.r), 0);
	l.r->model.config[6] = 1;
	CHECK_EQ(l.r->dev->ops->start(l.r->dev), 0);
	CHECK(rig_is_well(l.r));
}
