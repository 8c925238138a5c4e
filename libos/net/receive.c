/*
 * Received frames are lent to lwIP where they lie: each piece of a netbuf becomes a custom pbuf,
 * and when lwIP, a socket or a server has let go of the last of them the netbuf returns to its
 * driver.
 *
 * A driver has only so many buffers, and TCP may hold them for long (a server that does not read, a
 * gap in the sequence). So beyond LENT_MAX frames out on loan, new ones are copied into the stack's
 * own memory first and returned at once; when that memory is short, too, the frame is dropped, and
 * TCP's peer sends again. Short frames (acknowledgements) are copied even then, from the reserve
 * that memory.c keeps: they are what frees memory.
 *
 * All under the stack lock.
 */
#include <core/assert.h>
#include <core/counter.h>
#include <core/kmem.h>

#include "interface.h"
#include "predict.h"
#include "lwip/pbuf.h"
#include "lwip/prot/etharp.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "stack.h"

COUNTER(net_rx_lent, "frames given to the stack in place");
COUNTER(net_rx_copied, "frames copied: fragments, or because many were lent");
COUNTER(net_drop_rx_memory, "frames dropped: no memory to describe or copy them");
COUNTER(net_drop_rx_short, "frames dropped: too short for their headers");

#define LENT_MAX    CONFIG_NET_RX_LENT_MAX
#define SHORT_FRAME 128
#define SLACK       8       /* lwIP's option parser may look one byte behind the end */

/*
 * One frame on loan. The pbufs of its pieces lie behind it. A frame of one piece has it in the
 * netbuf.
 */
struct lent_piece {
	struct pbuf_custom custom;   /* first: lwIP hands it back by this address */
	struct lent_frame *frame;
};

struct lent_frame {
	struct net_interface *in;
	struct netbuf *netbuf;
	unsigned pieces_out;
	struct lent_piece pieces[];
};

/* The same for a frame of one piece: it lies in the netbuf itself. */
struct single_frame {
	struct pbuf_custom custom;   /* first */
	struct net_interface *in;
	struct netbuf *netbuf;
};
_Static_assert(sizeof(struct single_frame) <= sizeof(((struct netbuf *)0)->stack_room),
	       "no memory is needed");

static void piece_returned(struct pbuf *p)
{
	struct lent_frame *f = ((struct lent_piece *)p)->frame;

	if (--f->pieces_out)
		return;
	f->in->lent_frames--;
	netbuf_done(f->netbuf);
	kfree(f);
}

static void single_returned(struct pbuf *p)
{
	struct single_frame *f = (struct single_frame *)p;

	f->in->lent_frames--;
	netbuf_done(f->netbuf);
}

void net_receive_done(struct pbuf *p)
{
	if (likely(p->ref == 1 && p->flags == PBUF_FLAG_IS_CUSTOM &&
		   ((struct pbuf_custom *)p)->custom_free_function == single_returned))
		single_returned(p);
	else
		pbuf_free(p);
}

struct pbuf *net_receive_lend(struct net_interface *in, struct netbuf *b, unsigned at, unsigned len)
{
	struct single_frame *f = (struct single_frame *)b->stack_room;
	struct pbuf *p = &f->custom.pbuf;

	if (unlikely(in->lent_frames >= LENT_MAX))
		return NULL;
	f->custom.custom_free_function = single_returned;
	f->in = in;
	f->netbuf = b;
	*p = (struct pbuf){ .payload = (uint8_t *)b->frags[0].base + at, .tot_len = (u16_t)len,
			    .len = (u16_t)len, .type_internal = (u8_t)PBUF_REF,
			    .flags = PBUF_FLAG_IS_CUSTOM, .ref = 1 };
	in->lent_frames++;
	counter_inc(net_rx_lent);
	return p;
}

static struct pbuf *lend_pieces(struct net_interface *in, struct netbuf *b)
{
	struct lent_frame *f = kmalloc(sizeof(*f) + b->frag_count * sizeof(struct lent_piece));
	struct pbuf *head = NULL;

	if (!f)
		return NULL;
	f->in = in;
	f->netbuf = b;
	f->pieces_out = b->frag_count;
	for (unsigned i = 0; i < b->frag_count; i++) {
		struct lent_piece *piece = &f->pieces[i];
		struct pbuf *p;

		piece->frame = f;
		piece->custom.custom_free_function = piece_returned;
		p = pbuf_alloced_custom(PBUF_RAW, (u16_t)b->frags[i].len, PBUF_REF, &piece->custom,
					(void *)b->frags[i].base, (u16_t)b->frags[i].len);
		if (head)
			pbuf_cat(head, p);
		else
			head = p;
	}
	in->lent_frames++;
	counter_inc(net_rx_lent);
	return head;
}

static struct pbuf *lend(struct net_interface *in, struct netbuf *b)
{
	if (likely(b->frag_count == 1))
		return net_receive_lend(in, b, 0, (unsigned)b->len);
	return lend_pieces(in, b);
}

static struct pbuf *copy(const struct netbuf *b)
{
	struct pbuf *p;
	u16_t at = 0;

	if (net_memory_is_short() && b->len > SHORT_FRAME)
		return NULL;
	p = pbuf_alloc(PBUF_RAW, (u16_t)(b->len + SLACK), PBUF_RAM);
	if (!p)
		return NULL;
	pbuf_realloc(p, (u16_t)b->len);
	for (unsigned i = 0; i < b->frag_count; i++) {
		__builtin_memcpy((uint8_t *)p->payload + at, b->frags[i].base, b->frags[i].len);
		at = (u16_t)(at + b->frags[i].len);
	}
	counter_inc(net_rx_copied);
	return p;
}

/* What the driver says about a frame adds up, and lwIP's 16-bit lengths can hold it. */
static bool netbuf_is_sane(const struct netbuf *b)
{
	size_t len = 0;

	if (!b->frag_count || b->frag_count > NETBUF_FRAGS)
		return false;
	for (unsigned i = 0; i < b->frag_count; i++) {
		if (!b->frags[i].len)
			return false;
		len += b->frags[i].len;
	}
	return len == b->len && len <= UINT16_MAX - SLACK && b->frags[0].len >= SIZEOF_ETH_HDR;
}

/*
 * lwIP reads an ARP packet, and the first word of an IP header, without asking whether they are
 * there: Ethernet's shortest frame has room for them, but frames need not come from Ethernet. A
 * header split over pieces does not occur: drivers fill each piece before the next.
 */
static bool has_headers(const struct netbuf *b)
{
	const uint8_t *frame = b->frags[0].base;
	size_t len = b->frags[0].len - SIZEOF_ETH_HDR;

	if (frame[12] == 0x86 && frame[13] == 0xdd)
		return len >= IP6_HLEN || planted(NET_FRAME_SHORT);
	if (frame[12] == 0x08 && frame[13] == 0x00)
		return len >= IP_HLEN;
	if (frame[12] == 0x08 && frame[13] == 0x06)
		return len >= SIZEOF_ETHARP_HDR;
	return true;
}

/*
 * Frames that lwIP will keep until others come, or that reach TCP behind the back of the hooks that
 * check them (connections.c): fragments, and IPv6 with extension headers. They are copied, so that
 * nobody holds the driver's buffers by sending halves of packets.
 */
static bool is_out_of_the_ordinary(const struct netbuf *b)
{
	const uint8_t *frame = b->frags[0].base, *ip = frame + SIZEOF_ETH_HDR;

	if (frame[12] == 0x08 && frame[13] == 0x00)
		return (ip[6] & 0x3f) | ip[7];
	if (frame[12] == 0x86 && frame[13] == 0xdd)
		return ip[6] != IP6_NEXTH_TCP && ip[6] != IP6_NEXTH_UDP && ip[6] != IP6_NEXTH_ICMP6;
	return false;
}

static struct pbuf *take(struct net_interface *in, struct netbuf *b)
{
	struct pbuf *p;

	if (!netbuf_is_sane(b) || !has_headers(b)) {
		counter_inc(net_drop_rx_short);
		netbuf_done(b);
		return NULL;
	}
	if (in->lent_frames < LENT_MAX && !is_out_of_the_ordinary(b)) {
		p = lend(in, b);
		if (p)
			return p;
	} else {
		p = copy(b);
	}
	if (!p)
		counter_inc(net_drop_rx_memory);
	netbuf_done(b);
	return p;
}

__attribute__((noinline)) void net_receive_by_lwip(struct net_interface *in, struct netbuf *b)
{
	uint16_t check = b->csum_good ? 0 : in->check_always;
	struct pbuf *p = take(in, b);

	if (!p)
		return;
	in->netif.chksum_flags |= check;
	if (in->netif.input(p, &in->netif) != ERR_OK)
		pbuf_free(p);
	in->netif.chksum_flags &= (uint16_t)~check;
}
