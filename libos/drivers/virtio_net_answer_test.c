/*
 * The network driver under a stack that answers in the frames it receives, as libos/net does with
 * datagrams: each is sent from the memory in which it came, and is a receive buffer again when the
 * device has sent it.
 */
#include <core/assert.h>
#include <core/string.h>
#include <core/test.h>

#include "net_rig.h"

/* Devices that the other tests have, too: the rig keeps only so many. */
#define BASIC (NET_F_MAC | NET_F_STATUS | NET_F_MTU)
static const uint64_t kinds[] = {
	VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC | BASIC,
	VIRTIO_F_VERSION_1, VIRTIO_F_ANY_LAYOUT | BASIC, BASIC,
};

static const void *question_at[RIG_HELD_MAX];
static void (*question_done[RIG_HELD_MAX])(struct netbuf *b);

static void answer_done(struct netbuf *b)
{
	uint64_t i = b->stack_room[0];

	b->frags[0].base = question_at[i];
	b->done = question_done[i];
	netbuf_done(b);
}

static int send_back(struct rig *r, struct netbuf *b, unsigned i)
{
	uint8_t *answer = (uint8_t *)b->frags[0].base + 128;

	assert(b->room >= 128 + 300 && b->frag_count == 1);
	memset(answer, (int)i, 300);
	question_at[i] = b->frags[0].base;
	question_done[i] = b->done;
	b->stack_room[0] = i;
	b->done = answer_done;
	b->frags[0].base = answer;
	b->frags[0].len = b->len = 300;
	b->needs_csum = false;
	b->gso_size = 0;
	b->headroom = 16;
	b->patient = true;
	return r->dev->ops->transmit(r->dev, b);
}

/* The next frame comes, and its answer is handed over. */
static void converse(struct rig *r, unsigned i)
{
	CHECK(rig_deliver(r, (uint8_t)i, 100));
	CHECK_EQ(r->dev->ops->poll(r->dev, 64), 1);
	CHECK_EQ(r->held_count, 1);
	r->held_count = 0;
	CHECK_EQ(send_back(r, r->held[0], i % RIG_HELD_MAX), 0);
	r->dev->ops->kick(r->dev);
}

TEST(net_sends_received_frames_and_receives_into_them_again)
{
	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct rig *r = rig_start(kinds[k]);

		CHECK(r != NULL);
		r->hold = true;
		for (unsigned i = 0; i < 2000; i++) {
			converse(r, i);
			CHECK_EQ(rig_device_sends(r), 1);
		}
		r->hold = false;
		CHECK_EQ(r->dev->rx_dropped, 0);
		CHECK(rig_is_well(r));
	}
}

/* Nobody else asks what has been sent: nothing more is transmitted, and nobody waits for it. */
TEST(net_takes_back_frames_that_were_sent_when_buffers_are_few)
{
	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct rig *r = rig_start(kinds[k]);
		unsigned few;

		CHECK(r != NULL);
		r->hold = true;
		few = r->net->rx.posted_good / 4;
		for (unsigned i = 0; i < few; i++)
			converse(r, i);
		CHECK(virtq_outstanding(&r->net->rx.q) < r->net->rx.posted_good);
		CHECK_EQ(rig_device_sends(r), few);
		r->hold = false;
		rig_poll_all(r);
		CHECK(virtq_outstanding(&r->net->rx.q) >= r->net->rx.posted_good);
		CHECK(rig_is_well(r));
	}
}
