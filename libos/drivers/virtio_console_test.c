/*
 * The console driver: ports that come and go, bytes both ways, and a device that lies.
 */
#include <core/errno.h>
#include <core/hart.h>
#include <core/kmem.h>
#include <core/string.h>
#include <core/test.h>
#include <core/time.h>

#include "model.h"
#include "virtio_console.h"

#define FEATURES (VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | (1ULL << 1))

enum { CONTROL_TO_US = 2, CONTROL_TO_DEVICE = 3, PORT1_TO_US = 4, PORT1_TO_DEVICE = 5 };

static struct model *m;
static unsigned readable, writable, opens, closes, claimed;
static struct charport *port;

static void on_readable(struct charport *p)
{
	(void)p;
	readable++;
}

static void on_writable(struct charport *p)
{
	(void)p;
	writable++;
}

static void on_peer(struct charport *p, bool open)
{
	(void)p;
	opens += open;
	closes += !open;
}

static const struct charport_owner owner = {
	.readable = on_readable, .writable = on_writable, .peer_changed = on_peer
};

static void on_claimed(struct charport *p)
{
	port = p;
	claimed++;
}

static void settle(void)
{
	/* On several harts the task may be running elsewhere. */
	for (unsigned i = 0; i < 5; i++) {
		model_interrupt(m);
		while (executor_run_pending())
			model_interrupt(m);
		if (hart_count() > 1)
			thread_sleep_until(clock_ns() + 200 * NSEC_PER_USEC);
	}
}

static void control(uint32_t id, uint16_t event, uint16_t value, const void *name, size_t name_len)
{
	struct model_chain c;
	uint8_t bytes[128];

	if (!model_pop(m, CONTROL_TO_US, &c))
		return;
	memcpy(bytes, &id, 4);
	memcpy(bytes + 4, &event, 2);
	memcpy(bytes + 6, &value, 2);
	memcpy(bytes + 8, name, name_len);
	model_push(m, CONTROL_TO_US, c.head, (uint32_t)model_write(&c, bytes, 8 + name_len));
	settle();
}

/* What the driver said since; (event << 16 | value) of the n-th message. */
static unsigned take_control(uint32_t *said, unsigned max)
{
	struct model_chain c;
	unsigned count = 0;

	while (model_pop(m, CONTROL_TO_DEVICE, &c)) {
		uint16_t words[4] = { 0 };

		model_read(&c, words, sizeof(words));
		if (count < max)
			said[count++] = (uint32_t)words[2] << 16 | words[3];
		model_push(m, CONTROL_TO_DEVICE, c.head, 0);
	}
	return count;
}

static bool begin(const char *name)
{
	static struct charport_claim claims[16];
	static unsigned used;
	uint32_t said[8];

	m = kzalloc(sizeof(*m));
	readable = writable = opens = closes = claimed = 0;
	port = NULL;
	claims[used] =
		(struct charport_claim){ .name = name, .owner = &owner, .claimed = on_claimed };
	charport_claim(&claims[used++]);
	model_init(m, VIRTIO_ID_CONSOLE, FEATURES, MODEL_QUEUES, 128);
	if (virtio_device_add(&m->dev))
		return false;
	if (take_control(said, 8) != 1 || said[0] != (0u << 16 | 1))
		return false;
	control(1, 1, 1, "", 0);
	if (take_control(said, 8) != 2 || said[0] != (3u << 16 | 1) || said[1] != (6u << 16 | 1))
		return false;
	control(1, 7, 1, name, str_length(name));
	control(1, 6, 1, "", 0);
	return claimed == 1 && opens == 1 && !m->complaint;
}

static bool send_bytes(const char *bytes, size_t len)
{
	struct model_chain c;

	if (!model_pop(m, PORT1_TO_US, &c))
		return false;
	model_push(m, PORT1_TO_US, c.head, (uint32_t)model_write(&c, bytes, len));
	settle();
	return true;
}

TEST(console_port_is_found_by_its_name_and_carries_bytes)
{
	struct model_chain c;
	char text[64];

	CHECK(begin("test.a"));
	CHECK(send_bytes("hello", 5));
	CHECK(readable);
	CHECK_EQ(port->ops->read(port, text, 2), 2);
	CHECK_EQ(port->ops->read(port, text + 2, 60), 3);
	CHECK(!memcmp(text, "hello", 5));
	CHECK_EQ(port->ops->read(port, text, 60), 0);
	CHECK_EQ(port->ops->write(port, "world", 5), 5);
	CHECK(model_pop(m, PORT1_TO_DEVICE, &c));
	CHECK_EQ(model_read(&c, text, sizeof(text)), 5);
	CHECK(!memcmp(text, "world", 5));
	model_push(m, PORT1_TO_DEVICE, c.head, 0);
	control(1, 6, 0, "", 0);
	CHECK_EQ(closes, 1);
	CHECK(!m->complaint);
}

TEST(console_floods_stop_at_the_device)
{
	char text[600];

	CHECK(begin("test.b"));
	for (unsigned i = 0; i < PORT_RX_BUFFERS; i++)
		CHECK(send_bytes("flood", 5));
	CHECK(!send_bytes("third", 5));  /* no buffer until somebody reads */
	CHECK_EQ(port->ops->read(port, text, sizeof(text)), 5 * PORT_RX_BUFFERS);
	CHECK(send_bytes("third", 5));
}

TEST(console_writer_waits_for_room_and_is_told)
{
	char text[4096];
	kssize_t taken;
	struct model_chain c;

	memset(text, 'x', sizeof(text));
	CHECK(begin("test.c"));
	taken = port->ops->write(port, text, sizeof(text));
	CHECK_EQ(taken, PORT_TX_SLOTS * PORT_TX_BYTES);
	settle();
	CHECK_EQ(port->ops->write(port, text, 1), 0);
	settle();
	CHECK_EQ(writable, 0);
	CHECK(model_pop(m, PORT1_TO_DEVICE, &c));
	model_push(m, PORT1_TO_DEVICE, c.head, 0);
	settle();
	CHECK_EQ(writable, 1);
	CHECK_EQ(port->ops->write(port, text, 1), 1);
}

/* Writes a line that the device takes; whether it also gives the slot back. */
static bool send_line(bool gives_back)
{
	struct model_chain c;

	if (port->ops->write(port, "line\n", 5) != 5 || !model_pop(m, PORT1_TO_DEVICE, &c))
		return false;
	if (gives_back)
		model_push(m, PORT1_TO_DEVICE, c.head, 0);
	return true;
}

static void announce_again(const char *name)
{
	uint32_t said[8];

	take_control(said, 8);
	control(1, 1, 1, "", 0);
	control(1, 7, 1, name, str_length(name));
	control(1, 6, 1, "", 0);
	take_control(said, 8);
}

TEST(console_gets_back_a_slot_that_the_device_lost)
{
	unsigned resets;

	CHECK(begin("test.lost"));
	resets = m->resets;
	CHECK(send_line(false));
	control(1, 6, 0, "", 0);
	CHECK_EQ(m->resets, resets);         /* it may yet come back */
	CHECK(send_line(true));
	CHECK(send_line(false));
	control(1, 6, 1, "", 0);
	CHECK_EQ(m->resets, resets);         /* a line is on its way to the new peer */
	CHECK(send_line(true));
	control(1, 6, 0, "", 0);
	CHECK(m->resets > resets);
	announce_again("test.lost");
	for (unsigned i = 0; i < PORT_TX_SLOTS; i++)
		CHECK(send_line(false));
	CHECK(!m->complaint);
}

TEST(console_gives_up_slots_only_when_nobody_is_there_to_read_them)
{
	unsigned resets;

	CHECK(begin("test.full"));
	resets = m->resets;
	for (unsigned i = 0; i < PORT_TX_SLOTS; i++)
		CHECK(send_line(false));
	CHECK_EQ(port->ops->write(port, "more", 4), 0);
	settle();
	control(1, 6, 1, "", 0);
	CHECK_EQ(m->resets, resets);
	control(1, 6, 0, "", 0);
	CHECK(m->resets > resets);
	CHECK_EQ(writable, 0);
	announce_again("test.full");
	CHECK_EQ(writable, 1);
	CHECK(send_line(true));
	CHECK(!m->complaint);
}

/* Somebody new has written before it was seen that the last one left a slot behind. */
TEST(console_keeps_what_it_received_across_the_reset_for_a_slot)
{
	unsigned resets;
	char text[64];

	CHECK(begin("test.keep"));
	resets = m->resets;
	CHECK(send_bytes("one ", 4));
	CHECK_EQ(port->ops->read(port, text, 1), 1);
	CHECK(send_line(false));
	CHECK(send_line(true));
	CHECK(send_bytes("two ", 4) && send_bytes("three ", 6));
	control(1, 6, 0, "", 0);
	CHECK(m->resets > resets);
	CHECK_EQ(port->ops->read(port, text, sizeof(text)), 0);
	readable = 0;
	announce_again("test.keep");
	CHECK(readable);
	for (unsigned i = 0; i < PORT_RX_BUFFERS - 3; i++)
		CHECK(send_bytes("x", 1));
	CHECK(!send_bytes("x", 1));
	CHECK_EQ(port->ops->read(port, text, 13), 13);
	CHECK(!memcmp(text, "ne two three ", 13));
	CHECK(send_bytes("x", 1));
	CHECK(!m->complaint);
}

TEST(console_ignores_control_messages_without_sense)
{
	static const uint8_t noise[64] = { 1, 2, 3 };
	struct model_chain c;
	char name[40];
	uint32_t said[8];

	CHECK(begin("test.d"));
	memset(name, 'n', sizeof(name));
	control(1, 7, 1, name, 31);       /* a second name */
	control(2, 7, 1, name, sizeof(name) - 8);
	control(2, 7, 1, "", 0);
	control(99, 1, 1, "", 0);
	control(0xffffffff, 6, 1, "", 0);
	control(1, 1000, 1, noise, 30);
	CHECK(model_pop(m, CONTROL_TO_US, &c)); /* too short */
	model_push(m, CONTROL_TO_US, c.head, 3);
	settle();
	control(1, 1, 1, "", 0);          /* the same port once more */
	take_control(said, 8);
	CHECK(str_equal(port->name, "test.d"));
	CHECK(!m->dev.broken);
	CHECK(send_bytes("still", 5));
	CHECK(readable);
}

TEST(console_port_with_the_name_of_another_is_not_mistaken_for_it)
{
	uint32_t said[8];
	struct charport *first;

	CHECK(begin("test.twin"));
	first = port;
	control(2, 1, 1, "", 0);
	take_control(said, 8);
	control(2, 7, 1, "test.twin", 9);
	CHECK_EQ(claimed, 1);
	CHECK(port == first);
}

TEST(console_survives_control_messages_of_noise)
{
	uint32_t said[8];
	uint8_t noise[CHARPORT_NAME_MAX];

	test_seed(77);
	CHECK(begin("test.noise"));
	for (unsigned i = 0; i < 5000; i++) {
		size_t len = test_random_below(sizeof(noise) + 1);

		for (size_t k = 0; k < len; k++)
			noise[k] = (uint8_t)test_random();
		control((uint32_t)(test_random_below(8) ? test_random_below(5) : test_random()),
			(uint16_t)test_random_below(10), (uint16_t)test_random_below(2), noise,
			len);
		take_control(said, 8);
	}
	CHECK(!m->dev.broken && !m->complaint);
	CHECK(str_equal(port->name, "test.noise"));
	CHECK(send_bytes("still", 5));
}

TEST(console_resets_a_device_that_lies_and_goes_on)
{
	static const struct {
		unsigned queue;
		uint32_t id, len;
		uint16_t step;
	} lies[] = {
		{ CONTROL_TO_US, 77, 8, 1 },       { CONTROL_TO_US, 0, 4000, 1 },
		{ CONTROL_TO_US, 0, 8, 100 },      { PORT1_TO_US, 0, 129, 1 },
		{ PORT1_TO_US, 0xffffffff, 1, 1 }, { PORT1_TO_DEVICE, 9, 0, 1 },
	};
	char text[8];

	CHECK(begin("test.e"));
	for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
		unsigned resets = m->resets;

		CHECK(send_bytes("x", 1));
		CHECK_EQ(port->ops->read(port, text, 1), 1);
		port->ops->write(port, "y", 1);
		model_lie(m, lies[i].queue, lies[i].id, lies[i].len, lies[i].step);
		m->causes = VIRTIO_INTERRUPT_QUEUE;
		settle();
		port->ops->write(port, "y", 1); /* which looks at its queue */
		settle();
		CHECK(m->resets > resets);
		announce_again("test.e");
		CHECK_EQ(claimed, 1);
	}
	CHECK(send_bytes("after", 5));
	CHECK_EQ(port->ops->read(port, text, 8), 5);
}
