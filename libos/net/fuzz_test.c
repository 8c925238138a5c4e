/*
 * Malformed frames by the hundred thousand: valid frames of every protocol the stack speaks,
 * changed at random (seeded), arrive while connections are open. Under the sanitizers nothing may
 * be read or written out of bounds; afterwards nothing may have leaked and the stack must still
 * serve.
 *
 * The valid frames are those of a conversation that the test holds first (ARP, neighbour discovery,
 * TCP and UDP over both families, fragments), as they arrive, and some that it makes. Half of the
 * changed ones get right checksums again, so that they pass the outer checks.
 */
#include <core/errno.h>
#include <core/test.h>
#include <libos/socket.h>

#include <string.h>

#include "connections.h"
#include "lab.h"
#include "packet.h"
#include "lwip/dhcp.h"
#include "lwip/inet_chksum.h"
#include "lwip/netif.h"
#include "lwip/prot/dhcp.h"
#include "stack.h"
#include "stream_lwip.h"

#define FRAMES_MAX 256
#define FRAME_MAX  1600
#define MADE       5
#define MUTATIONS  300000

static struct frame {
	size_t len;
	uint8_t bytes[FRAME_MAX];
} corpus[FRAMES_MAX];
static size_t corpus_len;

/* Keeps frames that differ in length from those before, and some that do not. */
static void collect(const uint8_t *frame, size_t len)
{
	if (corpus_len == FRAMES_MAX || len > FRAME_MAX)
		return;
	for (size_t i = 0; i < corpus_len; i++)
		if (corpus[i].len == len && memcmp(corpus[i].bytes + 12, frame + 12, 2) == 0 &&
		    test_random() % 16)
			return;
	corpus[corpus_len].len = len;
	memcpy(corpus[corpus_len++].bytes, frame, len);
}

static void add_bytes(const void *bytes, size_t len)
{
	corpus[corpus_len].len = len;
	memcpy(corpus[corpus_len++].bytes, bytes, len);
}

/* ---- right checksums again ---- */

static uint16_t sum_to_checksum(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~((sum & 0xffff) + (sum >> 16));
}

/* The place of the checksum within a transport header; 0: none. */
static unsigned checksum_place(uint8_t protocol)
{
	switch (protocol) {
	case 1:  return 2;
	case 6:  return 16;
	case 17: return 6;
	case 58: return 2;
	default: return 0;
	}
}

static void repair_transport(uint8_t *t, size_t len, uint8_t protocol, uint32_t pseudo)
{
	unsigned place = checksum_place(protocol);
	uint16_t sum;

	if (!place || len < place + 2 || len > UINT16_MAX)
		return;
	memset(t + place, 0, 2);
	sum = sum_to_checksum(net_checksum(t, (int)len) + (protocol == 1 ? 0 : pseudo));
	memcpy(t + place, &sum, 2);
}

static void repair_ip4(uint8_t *ip, size_t len)
{
	size_t header = (ip[0] & 15u) * 4, total = (size_t)ip[2] << 8 | ip[3];
	uint16_t sum;

	if (header < 20 || header > len)
		return;
	memset(ip + 10, 0, 2);
	sum = sum_to_checksum(net_checksum(ip, (int)header));
	memcpy(ip + 10, &sum, 2);
	if (total >= header && total <= len)
		repair_transport(ip + header, total - header, ip[9],
				 net_checksum(ip + 12, 8) + lwip_htons((u16_t)(total - header)) +
				 lwip_htons(ip[9]));
}

static void repair_ip6(uint8_t *ip, size_t len)
{
	size_t payload = (size_t)ip[4] << 8 | ip[5];

	if (40 + payload > len)
		return;
	repair_transport(ip + 40, payload, ip[6],
			 net_checksum(ip + 8, 32) + lwip_htons((u16_t)payload) + lwip_htons(ip[6]));
}

static void repair(uint8_t *f, size_t len)
{
	if (f[12] == 8 && f[13] == 0 && len >= 34)
		repair_ip4(f + 14, len - 14);
	else if (f[12] == 0x86 && f[13] == 0xdd && len >= 54)
		repair_ip6(f + 14, len - 14);
}

/* ---- changes ---- */

static void flip(uint8_t *f, size_t len)
{
	for (unsigned n = 1 + test_random() % 4; n; n--)
		f[test_random() % len] ^= (uint8_t)(1u << test_random() % 8);
}

/* Headers are where the decisions are made. */
static void overwrite_header(uint8_t *f, size_t len)
{
	static const uint8_t interesting[] = { 0, 1, 4, 5, 6, 15, 0x45, 0x4f, 0x60, 127, 128, 255 };

	for (unsigned n = 1 + test_random() % 3; n; n--)
		f[12 + test_random() % (MIN(len, (size_t)90) - 12)] =
			interesting[test_random() % ARRAY_SIZE(interesting)];
}

static size_t resize(uint8_t *f, size_t len)
{
	size_t new_len = 1 + test_random() % (len + 64);

	new_len = MIN(new_len, (size_t)FRAME_MAX);
	while (len < new_len)
		f[len++] = (uint8_t)test_random();
	return new_len;
}

/* The end of one frame behind the beginning of another. */
static size_t splice(uint8_t *f, size_t len)
{
	const struct frame *other = &corpus[test_random() % corpus_len];
	size_t at = test_random() % len, from = test_random() % other->len;
	size_t n = MIN(other->len - from, FRAME_MAX - at);

	memcpy(f + at, other->bytes + from, n);
	return at + n;
}

static size_t mutate(uint8_t *f)
{
	const struct frame *source = &corpus[test_random() % corpus_len];
	size_t len = source->len;

	memcpy(f, source->bytes, len);
	switch (test_random() % 4) {
	case 0: flip(f, len); break;
	case 1: overwrite_header(f, len); break;
	case 2: len = resize(f, len); break;
	default: len = splice(f, len); break;
	}
	if (test_random() % 8)
		memcpy(f, lab_netdev.mac, MIN(len, (size_t)6));
	if (test_random() % 2 && len > 14)
		repair(f, len);
	return len;
}

/* ---- the conversation ---- */

static size_t served;

static size_t serve(struct stream *s, const uint8_t *data, size_t len)
{
	served += len;
	(void)stream_write(s, data, len);
	return len;
}

static int opened(struct stream *s)
{
	(void)s;
	return 0;
}

static void closed(struct stream *s, int error)
{
	(void)error;
	if (stream_user(s))
		*(struct stream **)stream_user(s) = NULL;
}

static const struct stream_ops ops = { .opened = opened, .received = serve, .closed = closed };

struct address6 {
	uint16_t family, port;
	uint32_t flow;
	uint8_t ip[16];
	uint32_t scope;
};

static const struct sockaddr *address(bool v6, uint8_t host, uint16_t port)
{
	static struct address6 a;

	memset(&a, 0, sizeof(a));
	a.family = v6 ? SOCKET_AF_INET6 : SOCKET_AF_INET;
	a.port = lwip_htons(port);
	if (!v6)
		a.flow = 10u | (uint32_t)host << 24;
	else if (host)
		a.ip[0] = 0xfe, a.ip[1] = 0xc0, a.ip[15] = host;
	return (const struct sockaddr *)&a;
}

static struct stream_loop *loop;
static struct stream_listener *listener;
static struct socket *udp;
static struct stream *talkers[2];

static bool set_up(uint16_t port)
{
	lab_start();
	served = corpus_len = 0;
	lab_arrival_tap = collect;
	if (stream_loop_create(&loop) || socket_create(SOCKET_AF_INET6, SOCKET_DGRAM, 0, &udp))
		return false;
	lab_use(loop);
	return !stream_listen(loop, address(true, 0, port), 28, &ops, NULL, NULL, &listener) &&
	       !socket_bind(udp, address(true, 0, port), 28);
}

static void send_datagram(bool v6, uint16_t port, size_t len)
{
	static uint8_t bytes[5000];
	struct uio_vec vec = { bytes, len };
	struct uio u = { .vecs = &vec, .vec_count = 1, .left = len, .from_kernel = true };

	socket_send(udp, &u, address(v6, 9, port), v6 ? 28 : 16, 0);
}

/* Opens what is closed, and says something everywhere. */
static void converse(uint16_t port)
{
	for (int v6 = 0; v6 < 2; v6++) {
		if (!talkers[v6] && stream_connect(loop, address(v6, 9, port), v6 ? 28 : 16, &ops,
						   NULL, &talkers[v6], &talkers[v6]))
			continue;
		(void)stream_write(talkers[v6], "hello, hello", 12);
		send_datagram(v6, port, 100);
		send_datagram(v6, port, 4000);
	}
	lab_run(20 * NSEC_PER_MSEC);
}

static void drain_datagrams(void)
{
	static uint8_t bytes[5000];
	kssize_t n;

	do {
		struct uio_vec vec = { bytes, sizeof(bytes) };
		struct uio u = {
			.vecs = &vec, .vec_count = 1, .left = sizeof(bytes), .from_kernel = true
		};

		n = socket_receive(udp, &u, 0, NULL, NULL);
	} while (n >= 0);
}

static const uint8_t echo4[] = {
	2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0,
	0x45, 0, 0, 36, 1, 2, 0, 0, 64, 1, 0, 0, 10, 0, 0, 9, 10, 0, 0, 1,
	8, 0, 0, 0, 0, 1, 0, 1, 'p', 'i', 'n', 'g', '!', '!', '!', '!',
};
static const uint8_t unreachable4[] = {
	2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0,
	0x45, 0, 0, 56, 1, 3, 0, 0, 64, 1, 0, 0, 10, 0, 0, 9, 10, 0, 0, 1,
	3, 3, 0, 0, 0, 0, 0, 0,
	0x45, 0, 0, 100, 9, 9, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 9, 0x80, 0, 0, 53, 0, 80,
	0, 0,
};
static const uint8_t router_advertisement[] = {
	0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x86, 0xdd,
	0x60, 0, 0, 0, 0, 64, 58, 255, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
	0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
	134, 0, 0, 0, 64, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0,
	1, 1, 2, 0, 0, 0, 0, 9, 5, 1, 0, 0, 0, 0, 5, 220,
	3, 4, 64, 0xc0, 0, 0, 0, 60, 0, 0, 0, 60, 0, 0, 0, 0, 0xfd, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0,
	0, 0, 0, 0,
};
static const uint8_t multicast_query[] = {
	0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x86, 0xdd,
	0x60, 0, 0, 0, 0, 32, 0, 1, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
	0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
	58, 0, 5, 2, 0, 0, 1, 0, 130, 0, 0, 0, 0, 100, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0,
};

/* The last option byte announces an option whose length would lie behind the header. */
static const uint8_t cut_options[] = {
	2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0,
	0x45, 0, 0, 44, 1, 4, 0, 0, 64, 6, 0, 0, 10, 0, 0, 9, 10, 0, 0, 1,
	0x70, 1, 7201 >> 8, 7201 & 255, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 2, 0xff, 0xff, 0, 0, 0, 0, 1,
	1, 1, 2,
};

static void add_made_frames(void)
{
	add_bytes(cut_options, sizeof(cut_options));
	add_bytes(echo4, sizeof(echo4));
	add_bytes(unreachable4, sizeof(unreachable4));
	add_bytes(router_advertisement, sizeof(router_advertisement));
	add_bytes(multicast_query, sizeof(multicast_query));
	for (size_t i = corpus_len - MADE; i < corpus_len; i++) {
		repair(corpus[i].bytes, corpus[i].len);
		lab_inject(corpus[i].bytes, corpus[i].len);
	}
}

static void tear_down(void)
{
	stream_loop_destroy(loop);
	lab_use(NULL);
	socket_release(udp);
	talkers[0] = talkers[1] = NULL;
	lab_run(5000 * NSEC_PER_SEC);   /* forged delays make patient retransmission timers */
}

static void bombard(uint16_t port)
{
	static uint8_t frame[FRAME_MAX];

	for (int i = 0; i < MUTATIONS; i++) {
		size_t len = mutate(frame);

		lab_inject(frame, len);
		if (i % 8 == 0)
			lab_run(NSEC_PER_USEC);
		if (i % 1024 == 0) {
			converse(port);
			drain_datagrams();
		}
	}
}

/*
 * Two ends that were lied to about their numbers answer each other for ever, so frames are lost
 * meanwhile, and the conversation is given up with the wire cut.
 */
TEST(net_malformed_frames_do_no_harm)
{
	test_seed(2026);
	CHECK(set_up(7201));
	for (int i = 0; i < 5; i++)
		converse(7201);
	lab_arrival_tap = NULL;
	corpus_len = MIN(corpus_len, (size_t)FRAMES_MAX - MADE);
	CHECK(corpus_len > 20);
	add_made_frames();
	lab_wire.lose_permille = 100;
	bombard(7201);
	lab_wire.is_cut = true;
	tear_down();
	CHECK_EQ(lab_counts.lent, 0);
	CHECK_EQ(net_connection_count(), 0);
	CHECK(net_memory_used() - packets_idle_bytes() < KIB(64));
	CHECK(set_up(7201));
	for (int i = 0; i < 3; i++)
		converse(7201);
	CHECK(talkers[0] && talkers[1]);
	CHECK(served > 50);
	tear_down();
	CHECK_EQ(lab_counts.lent, 0);
}

/* ---- DHCP: its client runs only here, since the laboratory's address is static ---- */

static size_t make_dhcp_reply(uint8_t *f, uint8_t type)
{
	static const uint8_t options[] = {
		53, 1, 0, 54, 4, 10, 0, 0, 9, 51, 4, 0, 0, 14, 16, 58, 4, 0, 0, 7, 8, 59, 4, 0, 0,
		12, 78, 1, 4, 255, 255, 255, 0, 3, 4, 10, 0, 0, 9, 6, 8, 10, 0, 0, 9, 10, 0, 0, 8,
		255,
	};
	const struct dhcp *dhcp = netif_dhcp_data(net_interface_first());
	size_t bootp = 236, len = 14 + 20 + 8 + bootp + 4 + sizeof(options);
	uint8_t *ip = f + 14, *udp_header = ip + 20, *b = udp_header + 8;

	memset(f, 0, len);
	memset(f, 0xff, 6);
	f[6] = 2, f[11] = 9, f[12] = 8;
	ip[0] = 0x45, ip[2] = (uint8_t)((len - 14) >> 8), ip[3] = (uint8_t)(len - 14), ip[8] = 64,
	ip[9] = 17;
	ip[12] = 10, ip[15] = 9;
	memset(ip + 16, 0xff, 4);
	udp_header[1] = 67, udp_header[3] = 68;
	udp_header[4] = (uint8_t)((len - 34) >> 8), udp_header[5] = (uint8_t)(len - 34);
	b[0] = 2, b[1] = 1, b[2] = 6;
	for (int i = 0; i < 4; i++)
		b[4 + i] = (uint8_t)(dhcp->xid >> (24 - 8 * i));
	b[16] = 10, b[19] = 77;
	memcpy(b + 28, lab_netdev.mac, 6);
	memcpy(b + bootp, (uint8_t[]){ 0x63, 0x82, 0x53, 0x63 }, 4);
	memcpy(b + bootp + 4, options, sizeof(options));
	b[bootp + 4 + 2] = type;
	repair(f, len);
	return len;
}

static void inject_dhcp(bool changed)
{
	static uint8_t f[FRAME_MAX];
	size_t len = make_dhcp_reply(f, test_random() % 2 ? 2 : 5);

	if (changed) {
		for (unsigned n = 1 + test_random() % 3; n; n--)
			f[14 + test_random() % (len - 14)] = (uint8_t)test_random();
		if (test_random() % 4 == 0)
			len = 42 + test_random() % (len - 42);
		if (test_random() % 2)
			f[38] = (uint8_t)((len - 34) >> 8), f[39] = (uint8_t)(len - 34);
		repair(f, len);
	}
	lab_inject(f, len);
	lab_run(NSEC_PER_MSEC);
}

TEST(net_malformed_dhcp_replies_do_no_harm_and_good_ones_work)
{
	struct netif *netif;
	ip4_addr_t own, mask, gw;

	lab_start();
	test_seed(68);
	netif = net_interface_first();
	ip4_addr_copy(own, *netif_ip4_addr(netif));
	ip4_addr_copy(mask, *netif_ip4_netmask(netif));
	ip4_addr_copy(gw, *netif_ip4_gw(netif));
	for (int i = 0; i < 20000; i++) {
		if (i % 100 == 0) {
			net_enter();
			dhcp_start(netif);
			net_leave();
		}
		inject_dhcp(true);
	}
	net_enter();
	dhcp_release_and_stop(netif);
	dhcp_start(netif);
	net_leave();
	for (int i = 0; i < 20; i++)
		inject_dhcp(false);
	lab_run(NSEC_PER_SEC);
	CHECK_EQ(ip4_addr4(netif_ip4_addr(netif)), 77);
	net_enter();
	dhcp_release_and_stop(netif);
	dhcp_cleanup(netif);
	netif_set_addr(netif, &own, &mask, &gw);
	net_leave();
	lab_run(NSEC_PER_SEC);
	CHECK_EQ(lab_counts.lent, 0);
}
