/*
 * The stack's small promises: checksums, sequence numbers, echo, stateless addresses, the bound on
 * TIME_WAIT.
 */
#include <core/test.h>
#include <libos/socket.h>

#include <string.h>

#include "lab.h"
#include "lwip/netif.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip_hooks.h"
#include "stack.h"
#include "stream_lwip.h"

static uint16_t naive_checksum(const uint8_t *p, int len)
{
	uint32_t sum = 0;

	for (int i = 0; i < len; i++)
		sum += (uint32_t)p[i] << (i & 1 ? 8 : 0);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

TEST(net_checksum_equals_the_naive_one_at_every_length_and_alignment)
{
	static uint8_t bytes[2048];

	test_seed(1071);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)test_random();
	for (int i = 0; i < 5000; i++) {
		int from = (int)(test_random() % 64), len = (int)(test_random() % 1900);

		CHECK_EQ(net_checksum(bytes + from, len), naive_checksum(bytes + from, len));
	}
	memset(bytes, 0xff, sizeof(bytes));
	CHECK_EQ(net_checksum(bytes, 2048), naive_checksum(bytes, 2048));
}

TEST(net_sequence_numbers_differ_by_connection_and_grow_with_time)
{
	ip_addr_t a = IPADDR4_INIT_BYTES(10, 0, 0, 1), b = IPADDR4_INIT_BYTES(10, 0, 0, 9);
	uint32_t first, again, other;

	lab_start();
	net_enter();
	first = net_initial_sequence(&a, 80, &b, 1000);
	other = net_initial_sequence(&a, 80, &b, 1001);
	net_leave();
	lab_run(NSEC_PER_SEC);
	net_enter();
	again = net_initial_sequence(&a, 80, &b, 1000);
	net_leave();
	CHECK(first != other);
	CHECK(again - first >= 250000 && again - first < 260000);
}

static unsigned echoes;

static void count_echo_replies(const uint8_t *f, size_t len, const struct netbuf *b)
{
	(void)b;
	if (len >= 42 && f[12] == 8 && f[13] == 0 && f[23] == 1 && f[34] == 0)
		echoes++;
}

TEST(net_answers_ping)
{
	static uint8_t f[] = {
		2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0,
		0x45, 0, 0, 36, 1, 2, 0, 0, 64, 1, 0x65, 0xac, 10, 0, 0, 9, 10, 0, 0, 1,
		8, 0, 0, 0, 0, 1, 0, 1, 'p', 'i', 'n', 'g', '!', '!', '!', '!',
	};
	uint16_t sum;

	lab_start();
	lab_tap = count_echo_replies;
	echoes = 0;
	memset(f + 24, 0, 2);
	sum = (uint16_t)~net_checksum(f + 14, 20);
	memcpy(f + 24, &sum, 2);
	memset(f + 36, 0, 2);
	sum = (uint16_t)~net_checksum(f + 34, 16);
	memcpy(f + 36, &sum, 2);
	lab_inject(f, sizeof(f));
	lab_run(NSEC_PER_MSEC);
	CHECK_EQ(echoes, 1);
	f[40] ^= 1;                     /* damaged: no answer */
	lab_inject(f, sizeof(f));
	lab_run(NSEC_PER_MSEC);
	CHECK_EQ(echoes, 1);
}

static void seal_icmp6(uint8_t *f, size_t len)
{
	uint32_t sum;
	uint16_t folded;

	memset(f + 56, 0, 2);
	sum = (uint32_t)net_checksum(f + 22, 32) + lwip_htons((u16_t)(len - 54)) + lwip_htons(58) +
	      net_checksum(f + 54, (int)len - 54);
	sum = (sum & 0xffff) + (sum >> 16);
	folded = (uint16_t)~((sum & 0xffff) + (sum >> 16));
	memcpy(f + 56, &folded, 2);
}

TEST(net_takes_an_address_from_a_router_advertisement)
{
	static uint8_t f[] = {
		0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x86, 0xdd,
		0x60, 0, 0, 0, 0, 64, 58, 255, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
		0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
		134, 0, 0, 0, 64, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0,
		1, 1, 2, 0, 0, 0, 0, 9, 5, 1, 0, 0, 0, 0, 5, 220,
		3, 4, 64, 0xc0, 0, 0, 0, 60, 0, 0, 0, 60, 0, 0, 0, 0, 0xfd, 1, 0, 0, 0, 0, 0, 7,
		0, 0, 0, 0, 0, 0, 0, 0,
	};
	struct netif *netif;
	ip6_addr_t want;
	int slot;

	lab_start();
	netif = net_interface_first();
	lab_run(10 * NSEC_PER_SEC);
	seal_icmp6(f, sizeof(f));
	lab_inject(f, sizeof(f));
	lab_run(5 * NSEC_PER_SEC);
	IP6_ADDR(&want, lwip_htonl(0xfd010000), lwip_htonl(7), lwip_htonl(0x000000ff),
		 lwip_htonl(0xfe000001));
	want.addr[2] = lwip_htonl(0x000000ff);
	ip6_addr_clear_zone(&want);
	slot = netif_get_ip6_addr_match(netif, &want);
	CHECK(slot >= 1);
	CHECK(ip6_addr_ispreferred(netif_ip6_addr_state(netif, slot)));
	lab_run(200 * NSEC_PER_SEC);     /* its lifetime is a minute */
	CHECK(netif_get_ip6_addr_match(netif, &want) < 1);
}

/* The lab's server closes first, so TIME_WAIT is on our side, both ends being ours. */
static int refuse_after_opening(struct stream *s)
{
	stream_close(s);
	return 0;
}

static size_t take(struct stream *s, const uint8_t *data, size_t len)
{
	(void)s, (void)data;
	return len;
}

static void ignore_close(struct stream *s, int error)
{
	(void)s, (void)error;
}

static const struct stream_ops closing_ops = { .opened = refuse_after_opening, .received = take,
					       .closed = ignore_close };
static const struct stream_ops client_ops = { .received = take, .closed = ignore_close };

static unsigned time_wait_count(void)
{
	unsigned n = 0;

	for (const struct tcp_pcb *pcb = tcp_tw_pcbs; pcb; pcb = pcb->next)
		n++;
	return n;
}

/* Sums of a frame of IPv4 and TCP. */
static void seal_tcp4(uint8_t *f, size_t len)
{
	uint32_t sum;
	uint16_t folded;

	memset(f + 24, 0, 2);
	folded = (uint16_t)~net_checksum(f + 14, 20);
	memcpy(f + 24, &folded, 2);
	memset(f + 50, 0, 2);
	sum = (uint32_t)net_checksum(f + 26, 8) + lwip_htons((u16_t)(len - 34)) + lwip_htons(6) +
	      net_checksum(f + 34, (int)len - 34);
	sum = (sum & 0xffff) + (sum >> 16);
	folded = (uint16_t)~((sum & 0xffff) + (sum >> 16));
	memcpy(f + 50, &folded, 2);
}

static uint8_t answer_flags;
static uint32_t answer_sequence;

static void note_answer(const uint8_t *f, size_t len, const struct netbuf *b)
{
	(void)b;
	if (len < 54 || f[23] != 6 || answer_flags)
		return;
	answer_flags = f[47];
	answer_sequence = (uint32_t)f[38] << 24 | (uint32_t)f[39] << 16 | (uint32_t)f[40] << 8 |
			  f[41];
}

/* A SYN with the names of a connection in TIME_WAIT. Returns the flags of the answer. */
static uint8_t syn_again(uint16_t remote_port, uint32_t sequence)
{
	uint8_t f[] = {
		2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0,
		0x45, 0, 0, 40, 1, 2, 0, 0, 64, 6, 0, 0, 10, 0, 0, 9, 10, 0, 0, 1,
		(uint8_t)(remote_port >> 8), (uint8_t)remote_port, 7302 >> 8, 7302 & 255,
		(uint8_t)(sequence >> 24), (uint8_t)(sequence >> 16), (uint8_t)(sequence >> 8),
		(uint8_t)sequence, 0, 0, 0, 0, 0x50, TCP_SYN, 0xff, 0xff, 0, 0, 0, 0,
	};

	seal_tcp4(f, sizeof(f));
	answer_flags = 0;
	lab_tap = note_answer;
	lab_inject(f, sizeof(f));
	lab_run(NSEC_PER_MSEC);
	lab_tap = NULL;
	return answer_flags;
}

/*
 * A client that uses its port again need not wait until its old connection is forgotten (RFC 1122,
 * 4.2.2.13).
 */
TEST(net_a_new_connection_takes_the_place_of_one_in_time_wait)
{
	static const uint8_t own[16] = { 2, 0, 7302 >> 8, 7302 & 255 },
			     far[16] = { 2, 0, 7302 >> 8, 7302 & 255, 10, 0, 0, 9 };
	struct stream_listener *listener;
	struct stream_loop *loop;
	struct tcp_pcb *pcb;
	struct stream *s;
	uint32_t theirs, used;
	uint16_t port;

	lab_start();
	CHECK_EQ(stream_loop_create(&loop), 0);
	lab_use(loop);
	CHECK_EQ(stream_listen(loop, (const struct sockaddr *)own, 16, &closing_ops, NULL, NULL,
			       &listener),
		 0);
	CHECK_EQ(
		stream_connect(loop, (const struct sockaddr *)far, 16, &client_ops, NULL, NULL, &s),
		0);
	lab_run(NSEC_PER_SEC);
	for (pcb = tcp_tw_pcbs; pcb && pcb->local_port != 7302; pcb = pcb->next)
		continue;
	CHECK(pcb != NULL);
	port = pcb->remote_port;
	theirs = pcb->rcv_nxt;
	/* as if it had sent more than the clock has counted since */
	pcb->snd_nxt += 100000000;
	used = pcb->snd_nxt;
	CHECK_EQ(syn_again(port, theirs - 100), TCP_ACK);          /* perhaps a late one */
	CHECK_EQ(time_wait_count(), 1);
	CHECK_EQ(syn_again(port, theirs + 1000), TCP_SYN | TCP_ACK);
	CHECK(TCP_SEQ_GT(answer_sequence, used));
	CHECK_EQ(time_wait_count(), 0);
	stream_loop_destroy(loop);
	lab_use(NULL);
	lab_run(40 * NSEC_PER_SEC);
	CHECK_EQ(lab_counts.lent, 0);
}

TEST(net_time_wait_is_bounded_and_ends)
{
	static const uint8_t own[16] = { 2, 0, 7301 >> 8, 7301 & 255 },
			     far[16] = { 2, 0, 7301 >> 8, 7301 & 255, 10, 0, 0, 9 };
	struct stream_listener *listener;
	struct stream_loop *loop;
	struct stream *s;

	lab_start();
	CHECK_EQ(stream_loop_create(&loop), 0);
	lab_use(loop);
	CHECK_EQ(stream_listen(loop, (const struct sockaddr *)own, 16, &closing_ops, NULL, NULL,
			       &listener),
		 0);
	for (int i = 0; i < CONFIG_NET_TIME_WAIT_MAX + 300; i++) {
		CHECK_EQ(stream_connect(loop, (const struct sockaddr *)far, 16, &client_ops, NULL,
					NULL, &s),
			 0);
		lab_run(NSEC_PER_MSEC);
	}
	lab_run(NSEC_PER_SEC);
	CHECK(time_wait_count() > 100);
	CHECK(time_wait_count() <= CONFIG_NET_TIME_WAIT_MAX);
	stream_loop_destroy(loop);
	lab_use(NULL);
	lab_run(40 * NSEC_PER_SEC);
	CHECK_EQ(time_wait_count(), 0);
	CHECK_EQ(lab_counts.lent, 0);
}
