/*
 * The network driver with a device that behaves.
 */
#include <core/errno.h>
#include <core/string.h>
#include <core/test.h>

#include "net_rig.h"

#define RING    (VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC)
#define OFFLOAD                                                                                 \
	(NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_HOST_TSO4 | NET_F_HOST_TSO6 | NET_F_GUEST_TSO4 | \
	 NET_F_GUEST_TSO6)
#define BASIC   (NET_F_MAC | NET_F_STATUS | NET_F_MTU)
#define FULL    (RING | OFFLOAD | BASIC | NET_F_MRG_RXBUF)
#define LEGACY  (BASIC | VIRTIO_F_ANY_LAYOUT)

static const uint64_t kinds[] = { FULL, RING | BASIC, VIRTIO_F_VERSION_1, LEGACY, BASIC };

TEST(net_receives_in_place_and_posts_the_buffer_again)
{
	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct rig *r = rig_start(kinds[k]);

		CHECK(r != NULL);
		for (unsigned i = 0; i < 1000; i++) {
			size_t len = 60 + test_random_below(RIG_FRAME - 60);

			CHECK(rig_deliver(r, (uint8_t)i, len));
			CHECK_EQ(rig_poll_all(r), 1);
			CHECK_EQ(r->last_len, len);
			CHECK_EQ(r->last[0], (uint8_t)i);
			CHECK_EQ(r->last[len - 1], (uint8_t)(i + len - 1));
		}
		CHECK(virtq_outstanding(&r->net->rx.q) >= r->net->rx.posted_good);
		CHECK(rig_is_well(r));
	}
}

TEST(net_copies_a_short_frame_and_is_done_at_once)
{
	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct rig *r = rig_start(kinds[k]);
		struct model_chain c;
		uint8_t wire[2048];

		CHECK(r != NULL);
		CHECK_EQ(rig_send(r, 200), 0);
		CHECK_EQ(r->dones, 1);
		r->dev->ops->kick(r->dev);
		CHECK(model_pop(&r->model, RIG_TX, &c));
		CHECK_EQ(c.count,
			 r->model.accepted & (VIRTIO_F_VERSION_1 | VIRTIO_F_ANY_LAYOUT) ? 1 : 2);
		CHECK_EQ(model_read(&c, wire, sizeof(wire)), 200 + r->net->hdr_bytes);
		CHECK(!memcmp(wire + r->net->hdr_bytes, r->payload, 200));
		model_push(&r->model, RIG_TX, c.head, 0);
		CHECK(!r->complaint && !r->model.complaint);
	}
}

TEST(net_sends_what_is_written_into_its_own_memory)
{
	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct rig *r = rig_start(kinds[k]);
		bool csum = r->model.accepted & NET_F_CSUM;
		struct model_chain c;
		struct virtio_net_hdr *h;
		uint8_t wire[512], *room;

		CHECK(r != NULL);
		CHECK(!r->dev->ops->send_room(r->dev, 13));
		CHECK(!r->dev->ops->send_room(r->dev, NETDEV_SHORT_MAX + 1));
		room = r->dev->ops->send_room(r->dev, 100);
		CHECK_EQ(room != NULL,
			 (r->model.accepted & (VIRTIO_F_VERSION_1 | VIRTIO_F_ANY_LAYOUT)) != 0);
		if (!room)
			continue;
		memcpy(room, r->payload, 100);
		r->dev->ops->send_written(r->dev, 100, csum ? 34 : 0, csum ? 50 : 0);
		r->dev->ops->kick(r->dev);
		CHECK(model_pop(&r->model, RIG_TX, &c));
		CHECK_EQ(model_read(&c, wire, sizeof(wire)), 100 + r->net->hdr_bytes);
		CHECK(!memcmp(wire + r->net->hdr_bytes, r->payload, 100));
		h = (struct virtio_net_hdr *)wire;
		CHECK_EQ(h->flags, csum ? NET_HDR_F_NEEDS_CSUM : 0);
		CHECK(!csum || (h->csum_start == 34 && h->csum_offset == 16));
		CHECK(!h->gso_type && !h->gso_size);
		model_push(&r->model, RIG_TX, c.head, 0);
		CHECK(rig_is_well(r));
	}
}

/* The wait for done() may be as long as it takes, and nobody is interrupted for it. */
TEST(net_sends_in_place_what_has_room_for_the_header)
{
	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct rig *r = rig_start(kinds[k]);
		bool one_piece = r->model.accepted & (VIRTIO_F_VERSION_1 | VIRTIO_F_ANY_LAYOUT);
		struct rig_sent *s = &r->sent[0];
		uint8_t *frame = r->payload + 100, wire[2048] __attribute__((aligned(8)));
		bool csum = r->model.accepted & NET_F_CSUM;
		struct model_chain c;
		struct virtio_net_hdr *h = (struct virtio_net_hdr *)wire;

		CHECK(r != NULL);
		rig_poll_all(r);
		*s = (struct rig_sent){ .rig = r, .busy = true };
		s->netbuf = (struct netbuf){ .done = rig_sent_done,
					     .frag_count = 1,
					     .len = 1000,
					     .headroom = 12,
					     .patient = true,
					     .needs_csum = csum,
					     .csum_start = 34,
					     .csum_offset = 50 };
		s->netbuf.frags[0].base = frame;
		s->netbuf.frags[0].len = 1000;
		CHECK_EQ(r->dev->ops->transmit(r->dev, &s->netbuf), 0);
		r->dev->ops->kick(r->dev);
		CHECK_EQ(r->dones, 0);
		CHECK(model_pop(&r->model, RIG_TX, &c));
		CHECK_EQ(c.count, one_piece ? 1 : 2);
		CHECK_EQ(model_read(&c, wire, sizeof(wire)), 1000 + r->net->hdr_bytes);
		CHECK(!memcmp(wire + r->net->hdr_bytes, frame, 1000));
		CHECK_EQ(h->flags, csum ? NET_HDR_F_NEEDS_CSUM : 0);
		CHECK(!csum || (h->csum_start == 34 && h->csum_offset == 16));
		CHECK(!h->gso_type && !h->gso_size);
		model_push(&r->model, RIG_TX, c.head, 0);
		CHECK(!model_interrupt(&r->model));
		for (unsigned i = 0; i < r->net->tx.slot_count; i++) {
			CHECK_EQ(rig_send(r, 100), 0);
			r->dev->ops->kick(r->dev);
			rig_device_sends(r);
		}
		CHECK(!s->busy); /* reaped to make room */
		CHECK(rig_is_well(r));
	}
}

TEST(net_has_no_room_while_the_device_keeps_every_frame)
{
	struct rig *r = rig_start(FULL);
	unsigned sent = 0;

	CHECK(r != NULL);
	for (; r->dev->ops->send_room(r->dev, 64) && sent < 10000; sent++)
		r->dev->ops->send_written(r->dev, 64, 0, 0);
	CHECK(sent >= 64 && sent < 10000);
	r->dev->ops->kick(r->dev);
	CHECK(!r->dev->ops->send_room(r->dev, 64));
	CHECK_EQ(rig_device_sends(r), sent);
	CHECK(r->dev->ops->send_room(r->dev, 64) != NULL);
	CHECK(rig_is_well(r));
}

TEST(net_lends_a_long_frame_until_the_device_is_done)
{
	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct rig *r = rig_start(kinds[k]);
		struct model_chain c;
		uint8_t wire[2048];

		CHECK(r != NULL);
		CHECK_EQ(rig_poll_all(r), 0); /* the stack is asleep */
		CHECK_EQ(rig_send(r, RIG_FRAME), 0);
		r->dev->ops->kick(r->dev);
		CHECK(model_pop(&r->model, RIG_TX, &c));
		CHECK_EQ(model_read(&c, wire, sizeof(wire)), RIG_FRAME + r->net->hdr_bytes);
		CHECK(!memcmp(wire + r->net->hdr_bytes, r->payload, RIG_FRAME));
		CHECK_EQ(r->dones, 0);
		model_push(&r->model, RIG_TX, c.head, 0);
		CHECK(model_interrupt(&r->model)); /* nobody polls: the driver asked for it */
		CHECK_EQ(r->wakes, 1);
		rig_poll_all(r);
		CHECK_EQ(r->dones, 1);
		CHECK(rig_is_well(r));
	}
}

TEST(net_takes_no_transmit_interrupt_for_copies_or_while_polling)
{
	struct rig *r = rig_start(FULL);

	CHECK(r != NULL);
	rig_poll_all(r);
	for (unsigned i = 0; i < 100; i++) {
		CHECK_EQ(rig_send(r, 150), 0);
		r->dev->ops->kick(r->dev);
		rig_device_sends(r);
		CHECK(!model_interrupt(&r->model));
	}
	CHECK(rig_deliver(r, 1, 100));
	CHECK(model_interrupt(&r->model));
	CHECK_EQ(r->dev->ops->poll(r->dev, 1), 1);
	CHECK_EQ(rig_send(r, 1200), 0); /* lent, but the stack has not stopped polling */
	r->dev->ops->kick(r->dev);
	rig_device_sends(r);
	CHECK(!model_interrupt(&r->model));
	rig_poll_all(r);
	CHECK_EQ(rig_busy(r), 0);
}

TEST(net_look_finds_frames_and_acknowledges_their_interrupt)
{
	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct rig *r = rig_start(kinds[k]);
		irqflags_t flags;
		bool found;

		CHECK(r != NULL);
		rig_poll_all(r);
		CHECK(!r->dev->ops->look(r->dev));
		CHECK(rig_deliver(r, 1, 100));
		r->model.causes = VIRTIO_INTERRUPT_QUEUE | VIRTIO_INTERRUPT_CONFIG;
		flags = arch_irq_save();
		found = r->dev->ops->look(r->dev);
		arch_irq_restore(flags);
		CHECK(found);
		CHECK_EQ(r->model.causes, VIRTIO_INTERRUPT_CONFIG); /* that one is to be taken */
		CHECK(rig_deliver(r, 2, 100));
		r->model.causes = 0;
		CHECK_EQ(rig_poll_all(r), 2);
		CHECK(!r->dev->ops->look(r->dev));
		CHECK(rig_is_well(r));
	}
}

/*
 * As with a frame that comes just then: the look has asked for the interrupt, and ends all the
 * same.
 */
TEST(net_look_acknowledges_the_interrupt_that_it_has_just_asked_for)
{
	struct rig *r = rig_start(FULL);
	irqflags_t flags;
	bool found;

	CHECK(r != NULL);
	rig_poll_all(r);
	virtio_break(&r->model.dev, "for a test");
	r->model.causes = VIRTIO_INTERRUPT_QUEUE;
	flags = arch_irq_save();
	found = r->dev->ops->look(r->dev);
	arch_irq_restore(flags);
	CHECK(found);
	CHECK_EQ(r->model.causes, 0);
}

TEST(net_masks_receive_interrupts_until_a_look_finds_nothing)
{
	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct rig *r = rig_start(kinds[k]);

		CHECK(r != NULL);
		rig_poll_all(r);
		CHECK(rig_deliver(r, 1, 100));
		CHECK(model_interrupt(&r->model));
		for (unsigned i = 0; i < 50; i++) {
			CHECK(rig_deliver(r, 1, 100));
			CHECK(!model_interrupt(&r->model));
		}
		CHECK_EQ(r->dev->ops->poll(r->dev, 8), 8);
		CHECK(rig_deliver(r, 1, 100));
		CHECK(!model_interrupt(&r->model));
		while (r->dev->ops->poll(r->dev, 64))
			;
		CHECK(rig_deliver(r, 1, 100));
		CHECK(!model_interrupt(&r->model)); /* a poll asks for nothing */
		CHECK(r->dev->ops->look(r->dev));
		CHECK_EQ(rig_poll_all(r), 1);
		CHECK(rig_deliver(r, 1, 100));
		CHECK(model_interrupt(&r->model));
	}
}

TEST(net_sends_a_frame_of_64_kib_with_its_offloads)
{
	struct rig *r = rig_start(FULL);
	struct model_chain c;
	struct virtio_net_hdr h;

	CHECK(r != NULL);
	CHECK(r->dev->features & NETDEV_TSO4 && r->dev->features & NETDEV_LRO);
	CHECK_EQ(rig_send_gso(r, 65000), 0);
	r->dev->ops->kick(r->dev);
	CHECK(model_pop(&r->model, RIG_TX, &c));
	CHECK_EQ(c.out_bytes, 65000 + NET_HDR_BYTES);
	model_read(&c, &h, sizeof(h));
	CHECK_EQ(h.flags, NET_HDR_F_NEEDS_CSUM);
	CHECK_EQ(h.gso_type, NET_GSO_TCPV4);
	CHECK_EQ(h.gso_size, 1460);
	CHECK_EQ(h.csum_start, 34);
	CHECK_EQ(h.csum_offset, 16);
	CHECK_EQ(h.hdr_len, 54);
	model_push(&r->model, RIG_TX, c.head, 0);
	CHECK(rig_is_well(r));
}

TEST(net_refuses_to_send_what_the_device_cannot)
{
	struct rig *r = rig_start(RING | BASIC);

	CHECK(r != NULL);
	CHECK_EQ(rig_send_gso(r, 3000), -EINVAL);
	CHECK_EQ(rig_send(r, 3000), -EINVAL);
	CHECK_EQ(rig_send(r, 10), -EINVAL);
	CHECK_EQ(r->dev->tx_dropped, 3);
	CHECK(rig_is_well(r));
}

TEST(net_joins_merged_buffers_into_one_frame)
{
	struct rig *r = rig_start(FULL);
	struct virtio_net_hdr h = { .flags = NET_HDR_F_DATA_VALID,
				    .gso_type = NET_GSO_TCPV4,
				    .gso_size = 1460,
				    .num_buffers = 17 };

	CHECK(r != NULL);
	CHECK(rig_deliver_as(r, h, 3, 61000, 17));
	CHECK_EQ(rig_poll_all(r), 1);
	CHECK_EQ(r->last_len, 61000);
	CHECK_EQ(r->last_frags, 17);
	CHECK(r->last_csum_good);
	CHECK_EQ(r->last[4095], (uint8_t)(3 + 4095));
	CHECK(rig_is_well(r));
}

TEST(net_says_when_the_ring_is_full_and_when_there_is_room)
{
	struct rig *r = rig_start(RING | BASIC);
	unsigned taken = 0;
	int error;

	CHECK(r != NULL);
	while ((error = rig_send(r, 1000)) == 0)
		taken++;
	CHECK_EQ(error, -EAGAIN);
	CHECK_EQ(taken, r->net->tx.slot_count);
	r->dev->ops->kick(r->dev);
	rig_poll_all(r);
	CHECK_EQ(r->tx_readies, 0);
	rig_device_sends(r);
	CHECK(model_interrupt(&r->model));
	rig_poll_all(r);
	CHECK_EQ(r->tx_readies, 1);
	CHECK_EQ(rig_busy(r), 0);
	CHECK(rig_is_well(r));
}

TEST(net_is_not_starved_by_a_stack_that_keeps_everything)
{
	struct rig *r = rig_start(RING | BASIC);
	unsigned kept;

	CHECK(r != NULL);
	r->hold = true;
	for (unsigned i = 0; i < 1000; i++) {
		CHECK(rig_deliver(r, 1, 300));
		CHECK_EQ(rig_poll_all(r), 1);
	}
	kept = r->held_count;
	CHECK(kept > r->net->rx.buffer_count);          /* lent ones and copies */
	CHECK(kept < 3 * r->net->rx.buffer_count);      /* bounded */
	CHECK_EQ(r->dev->rx_dropped, 1000 - kept);
	CHECK(!r->complaint);
	CHECK(rig_is_well(r));
	CHECK_EQ(r->net->rx.copies, 0);
}

TEST(net_follows_the_link)
{
	struct rig *r = rig_start(FULL);

	CHECK(r != NULL);
	r->model.config[6] = 0;
	model_config_changed(&r->model);
	CHECK(model_interrupt(&r->model));
	rig_poll_all(r);
	CHECK_EQ(r->downs, 1);
	CHECK(!r->dev->link_up);
	r->model.config[6] = 1;
	model_config_changed(&r->model);
	CHECK(model_interrupt(&r->model));
	rig_poll_all(r);
	CHECK_EQ(r->ups, 1);
	CHECK(rig_is_well(r));
}

TEST(net_lets_go_of_everything_when_stopped)
{
	struct rig *r = rig_start(FULL);

	CHECK(r != NULL);
	CHECK_EQ(rig_send(r, 1000), 0);
	r->dev->ops->kick(r->dev);
	r->dev->ops->stop(r->dev);
	CHECK_EQ(r->model.status, 0);
	CHECK_EQ(rig_busy(r), 0);
	CHECK_EQ(r->dev->ops->poll(r->dev, 8), 0);
	CHECK_EQ(r->dev->ops->start(r->dev), 0);
	CHECK(rig_is_well(r));
}
