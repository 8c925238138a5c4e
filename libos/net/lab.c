/*
 * The laboratory of lab.h: device, wire, mirror, clock.
 */
#include "lab.h"

#include <core/assert.h>
#include <core/boot.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/test.h>

#include <string.h>

#include "stack.h"
#include "stream_lwip.h"

/* Bytes of a frame come from the C library, so that the sanitizer knows where each frame ends. */
void *malloc(size_t size);
void free(void *p);

#define IP_PAD 2     /* the IP header lies on a word boundary, as drivers have it */

struct lab_frame {
	struct netbuf netbuf;        /* first */
	struct list link;            /* on the wire, by time of arrival */
	uint64_t arrival_ns;
	size_t len, room;
	uint8_t *bytes;
};

struct lab_wire lab_wire;
struct lab_counts lab_counts;
struct netdev lab_netdev;
void (*lab_tap)(const uint8_t *frame, size_t len, const struct netbuf *b);
void (*lab_arrival_tap)(const uint8_t *frame, size_t len);

static const uint8_t own_mac[6] = { 2, 0, 0, 0, 0, 1 }, far_mac[6] = { 2, 0, 0, 0, 0, 9 };
static uint64_t now_ns = 1000 * NSEC_PER_SEC;
static struct list on_wire = LIST_INIT(on_wire);
static struct list held_sent = LIST_INIT(held_sent);
static struct stream_loop *used_loop;
static struct net_runner runner;
static unsigned ring_used;

/* The machine's bootargs, as far as the network asks for them. */
const char *boot_option(const char *name)
{
	static const struct { const char *name, *value; } options[] = {
		{ "ip", LAB_OWN_IP4 "/24" }, { "gw", LAB_FAR_IP4 }, { "ip6", LAB_OWN_IP6 "/64" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (strcmp(options[i].name, name) == 0)
			return options[i].value;
	return NULL;
}

uint64_t lab_now(void)
{
	return now_ns;
}

static bool chance(unsigned permille)
{
	return permille && test_random() % 1000 < permille;
}

static void frame_done(struct netbuf *b)
{
	struct lab_frame *f = container_of(b, struct lab_frame, netbuf);

	assert(b->frags[0].base == f->bytes);
	lab_counts.lent--;
	free(f->bytes - IP_PAD);
	kfree(f);
}

static void put_on_wire(struct lab_frame *f)
{
	struct lab_frame *at;

	list_for_each(at, &on_wire, link)
		if (at->arrival_ns > f->arrival_ns)
			break;
	list_insert_between(&f->link, at->link.prev, &at->link);
}

static void arrive(const uint8_t *bytes, size_t len, uint64_t delay_ns)
{
	struct lab_frame *f = kmalloc(sizeof(*f));

	f->room = len + lab_wire.frame_room;
	f->bytes = (uint8_t *)malloc(f->room + IP_PAD) + IP_PAD;
	memcpy(f->bytes, bytes, len);
	f->len = len;
	f->arrival_ns = now_ns + delay_ns;
	put_on_wire(f);
}

/* The wire's fate for one frame that comes back. */
static void send_back(uint8_t *bytes, size_t len)
{
	uint64_t delay = lab_wire.delay_ns;

	if (lab_wire.is_cut || chance(lab_wire.lose_permille)) {
		lab_counts.lost++;
		return;
	}
	if (chance(lab_wire.delay_permille))
		delay *= 1 + test_random() % 16;
	if (chance(lab_wire.damage_permille))
		bytes[14 + test_random() % (len - 14)] ^= (uint8_t)(1 + test_random() % 255);
	arrive(bytes, len, delay);
	if (chance(lab_wire.double_permille))
		arrive(bytes, len, delay + 1 + test_random() % 1000);
}

static void swap_bytes(uint8_t *a, uint8_t *b, size_t n)
{
	for (; n--; a++, b++) {
		uint8_t t = *a;

		*a = *b;
		*b = t;
	}
}

static void mirror_arp(uint8_t *f, size_t len)
{
	static const uint8_t far_ip[4] = { 10, 0, 0, 9 };

	if (len < 42 || f[21] != 1 || memcmp(f + 38, far_ip, 4) != 0)
		return;
	f[21] = 2;
	memcpy(f, own_mac, 6);
	memcpy(f + 6, far_mac, 6);
	memcpy(f + 32, f + 22, 10);
	memcpy(f + 22, far_mac, 6);
	memcpy(f + 28, far_ip, 4);
	send_back(f, 42);
}

static uint32_t sum16(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	for (; n; p += 2, n -= 2)
		sum += (uint32_t)p[0] << 8 | p[1];
	return sum;
}

/* A neighbour advertisement for the far address. */
static void mirror_solicitation(const uint8_t *f)
{
	uint8_t a[86] = { 0 };
	uint32_t sum;

	if (f[54 + 8 + 15] != 9 || f[54 + 8] != 0xfe || f[54 + 9] != 0xc0)
		return;
	memcpy(a, own_mac, 6);
	memcpy(a + 6, far_mac, 6);
	memcpy(a + 12, f + 12, 6);
	a[19] = 32;
	a[20] = 58;
	a[21] = 255;
	memcpy(a + 22, f + 62, 16);
	memcpy(a + 38, f + 22, 16);
	a[54] = 136;
	a[58] = 0x60;
	memcpy(a + 62, f + 62, 16);
	a[78] = 2;
	a[79] = 1;
	memcpy(a + 80, far_mac, 6);
	sum = sum16(a + 22, 32) + 32 + 58 + sum16(a + 54, 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	a[56] = (uint8_t)(sum >> 8);
	a[57] = (uint8_t)sum;
	send_back(a, sizeof(a));
}

static void mirror_ip6(uint8_t *f, size_t len)
{
	if (len >= 78 && f[20] == 58 && f[54] == 135) {
		mirror_solicitation(f);
		return;
	}
	if (f[38] == 0xff)
		return;
	swap_bytes(f + 22, f + 38, 16);
	memcpy(f, own_mac, 6);
	memcpy(f + 6, far_mac, 6);
	send_back(f, len);
}

static void mirror(uint8_t *f, size_t len)
{
	if (f[12] == 8 && f[13] == 6) {
		mirror_arp(f, len);
	} else if (f[12] == 8 && f[13] == 0 && len >= 34) {
		swap_bytes(f + 26, f + 30, 4);
		memcpy(f, own_mac, 6);
		memcpy(f + 6, far_mac, 6);
		send_back(f, len);
	} else if (f[12] == 0x86 && len >= 54) {
		mirror_ip6(f, len);
	}
}

static void fold_into(uint8_t *at, uint32_t sum)
{
	uint16_t folded;

	sum = (sum & 0xffff) + (sum >> 16);
	folded = (uint16_t)~((sum & 0xffff) + (sum >> 16));
	memcpy(at, &folded, 2);
}

/* What a device does with needs_csum: the pseudo-header is summed up already. */
static void complete_checksum(uint8_t *f, size_t len, const struct netbuf *b)
{
	fold_into(f + b->csum_offset, net_checksum(f + b->csum_start, (int)(len - b->csum_start)));
}

/* One segment of a large frame: `n` bytes of payload from `from` on, behind headers of its own. */
static void send_segment(const uint8_t *f, const struct netbuf *b, size_t from, size_t n)
{
	static uint8_t s[2048];
	uint8_t *ip = s + 14, *tcp = s + b->header_len - 20;
	size_t tcp_len = n + 20, whole_len = b->len - b->header_len + 20;
	uint32_t seq, pseudo;

	assert(b->header_len + n <= 1514);
	memcpy(s, f, b->header_len);
	memcpy(s + b->header_len, f + b->header_len + from, n);
	memcpy(&seq, tcp + 4, 4);
	seq = lwip_htonl(lwip_htonl(seq) + (uint32_t)from);
	memcpy(tcp + 4, &seq, 4);
	if (b->header_len + from + n < b->len)
		tcp[13] &= (uint8_t)~8u;
	if (b->gso_ipv6) {
		ip[4] = (uint8_t)(tcp_len >> 8), ip[5] = (uint8_t)tcp_len;
		pseudo = net_checksum(ip + 8, 32);
	} else {
		assert((((size_t)ip[2] << 8) | ip[3]) == whole_len + 20);
		ip[2] = (uint8_t)((tcp_len + 20) >> 8), ip[3] = (uint8_t)(tcp_len + 20);
		ip[10] = ip[11] = 0;
		fold_into(ip + 10, net_checksum(ip, 20));
		pseudo = net_checksum(ip + 12, 8);
	}
	tcp[16] = tcp[17] = 0;
	pseudo += lwip_htons((u16_t)tcp_len) + lwip_htons(6);
	fold_into(tcp + 16, pseudo + net_checksum(tcp, (int)tcp_len));
	mirror(s, b->header_len + n);
}

static void put_on_the_air(uint8_t *f, const struct netbuf *b)
{
	if (b->gso_size) {
		for (size_t from = 0; from < b->len - b->header_len; from += b->gso_size)
			send_segment(f, b, from,
				     MIN((size_t)b->gso_size, b->len - b->header_len - from));
		return;
	}
	assert(b->len <= 1514);
	if (b->needs_csum)
		complete_checksum(f, b->len, b);
	mirror(f, b->len);
}

static int transmit(struct netdev *d, struct netbuf *b)
{
	uint8_t *bytes;
	size_t at = 0;

	(void)d;
	if (lab_wire.ring_room && ring_used >= lab_wire.ring_room)
		return -EAGAIN;
	ring_used++;
	bytes = kmalloc(b->len);
	for (unsigned i = 0; i < b->frag_count; i++) {
		memcpy(bytes + at, b->frags[i].base, b->frags[i].len);
		at += b->frags[i].len;
	}
	assert(at == b->len);
	lab_counts.sent++;
	lab_counts.longest_frame = MAX(lab_counts.longest_frame, b->len);
	if (lab_tap)
		lab_tap(bytes, b->len, b);
	put_on_the_air(bytes, b);
	kfree(bytes);
	if (lab_wire.slow_completion)
		list_push_back(&held_sent, &b->link);
	else
		netbuf_done(b);
	return 0;
}

static void kick(struct netdev *d)
{
	(void)d;
	lab_counts.kicks++;
	if (ring_used && lab_wire.ring_room) {
		ring_used = 0;
		d->upper->tx_ready(d);
	}
	ring_used = 0;
}

void lab_complete(void)
{
	struct list *link;

	net_enter();
	while ((link = list_pop_front(&held_sent)))
		netbuf_done(list_entry(link, struct netbuf, link));
	net_leave();
}

static unsigned poll(struct netdev *d, unsigned budget)
{
	unsigned n = 0;

	while (n < budget && !list_is_empty(&on_wire)) {
		struct lab_frame *f = list_first(&on_wire, struct lab_frame, link);

		if (f->arrival_ns > now_ns)
			break;
		list_remove(&f->link);
		f->netbuf = (struct netbuf){ .done = frame_done,
					     .frag_count = 1,
					     .len = f->len,
					     .room = (uint16_t)f->room };
		f->netbuf.frags[0].base = f->bytes;
		f->netbuf.frags[0].len = f->len;
		lab_counts.delivered++;
		if (lab_arrival_tap)
			lab_arrival_tap(f->bytes, f->len);
		lab_counts.lent++;
		d->upper->input(d, &f->netbuf);
		n++;
	}
	return n;
}

static uint8_t short_frame[NETDEV_SHORT_MAX];

static void *send_room(struct netdev *d, size_t len)
{
	(void)d;
	if (lab_wire.slow_completion || (lab_wire.ring_room && ring_used >= lab_wire.ring_room))
		return NULL;
	return len <= sizeof(short_frame) ? short_frame : NULL;
}

static void lent_nothing(struct netbuf *b)
{
	(void)b;
}

static void send_written(struct netdev *d, size_t len, uint16_t csum_start, uint16_t csum_offset)
{
	struct netbuf b = { .done = lent_nothing, .frag_count = 1, .len = len,
			    .needs_csum = csum_offset != 0, .csum_start = csum_start,
			    .csum_offset = csum_offset };

	b.frags[0].base = short_frame;
	b.frags[0].len = len;
	assert(transmit(d, &b) == 0);
}

static bool look(struct netdev *d)
{
	(void)d;
	return !list_is_empty(&on_wire) &&
	       list_first(&on_wire, struct lab_frame, link)->arrival_ns <= now_ns;
}

static int start(struct netdev *d)
{
	d->link_up = true;
	return 0;
}

static void stop(struct netdev *d)
{
	(void)d;
}

static const struct netdev_ops lab_ops = {
	.start = start, .stop = stop, .transmit = transmit, .kick = kick, .poll = poll,
	.send_room = send_room, .send_written = send_written,
	.look = look
};

void lab_inject(const void *frame, size_t len)
{
	arrive(frame, len, 0);
}

void lab_use(struct stream_loop *loop)
{
	used_loop = loop;
}

/* The device forgets its features and comes back with others, as after a reset. */
void lab_offload(uint32_t features)
{
	if (lab_netdev.features == features)
		return;
	lab_netdev.link_up = false;
	lab_run(NSEC_PER_USEC);
	lab_netdev.features = features;
	lab_netdev.link_up = true;
	lab_run(NSEC_PER_USEC);
}

static void no_wake(struct net_runner *r)
{
	(void)r;
}

void lab_start(void)
{
	static bool is_started;

	lab_wire = (struct lab_wire){ .delay_ns = 50 * NSEC_PER_USEC };
	lab_offload(0);
	lab_tap = NULL;
	lab_arrival_tap = NULL;
	used_loop = NULL;
	if (is_started)
		return;
	is_started = true;
	net_clock = lab_now;
	memcpy(lab_netdev.mac, own_mac, 6);
	lab_netdev.mtu = 1500;
	lab_netdev.ops = &lab_ops;
	netdev_register(&lab_netdev);
	runner.wake = no_wake;
	net_runner_add(&runner);        /* the laboratory runs the stack; nobody else does */
	net_start();
}

/* One instant: everything that can happen without time passing. */
static void settle(void)
{
	bool again;

	do {
		if (used_loop) {
			again = stream_round(used_loop);
		} else {
			net_enter();
			again = net_poll();
			net_leave();
		}
	} while (again || (!list_is_empty(&on_wire) &&
			   list_first(&on_wire, struct lab_frame, link)->arrival_ns <= now_ns));
}

static uint64_t next_event(uint64_t limit)
{
	uint64_t next = MIN(limit, net_timers_deadline());

	if (!list_is_empty(&on_wire))
		next = MIN(next, list_first(&on_wire, struct lab_frame, link)->arrival_ns);
	if (used_loop) {
		next = MIN(next, stream_timers_deadline(used_loop));
		if (!list_is_empty(&used_loop->releasing) || stream_output_is_starved(used_loop))
			next = MIN(next, now_ns + 10 * NSEC_PER_MSEC);
	}
	return next;
}

bool lab_run_until(bool (*condition)(void *arg), void *arg, uint64_t ns)
{
	uint64_t end = now_ns + ns;

	for (;;) {
		settle();
		if (condition && condition(arg))
			return true;
		if (now_ns >= end)
			return false;
		now_ns = MAX(next_event(end), now_ns + NSEC_PER_USEC);
	}
}

void lab_run(uint64_t ns)
{
	lab_run_until(NULL, NULL, ns);
}
