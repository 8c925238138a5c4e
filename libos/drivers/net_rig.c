/*
 * The rig for tests of virtio-net; net_rig.h says what it watches.
 */
#include "net_rig.h"

#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>
#include <core/test.h>

static struct rig *rigs[8];
static uint64_t rig_features[8];

static void complain(struct rig *r, const char *what)
{
	if (!r->complaint)
		r->complaint = what;
}

static bool same_buffer_is_held(struct rig *r, const uint8_t *base)
{
	size_t bytes = r->net->rx.buffer_bytes;
	size_t i = (size_t)(base - r->net->rx.pool) / bytes;

	for (unsigned h = 0; h < r->held_count; h++) {
		const struct netbuf *b = r->held[h];

		for (unsigned f = 0; f < b->frag_count; f++) {
			const uint8_t *at = b->frags[f].base;

			if (at >= r->net->rx.pool && (size_t)(at - r->net->rx.pool) / bytes == i)
				return true;
		}
	}
	return false;
}

/* A piece of a lent frame lies in one buffer, behind its bookkeeping; a copy is short. */
static void check_piece(struct rig *r, const uint8_t *base, size_t len)
{
	struct net_rx *rx = &r->net->rx;
	size_t offset, bytes = rx->buffer_bytes;

	if (base < rx->pool || base >= rx->pool + rx->buffer_count * bytes) {
		if (len > RIG_FRAME + 600)
			complain(r, "a copy of more than a frame");
		return;
	}
	offset = (size_t)(base - rx->pool) % bytes;
	if (offset < sizeof(struct net_rx_buffer) || len > bytes - offset)
		complain(r, "a piece that leaves its buffer");
	if (same_buffer_is_held(r, base))
		complain(r, "a buffer lent twice");
}

static void rig_input(struct netdev *d, struct netbuf *b)
{
	struct rig *r = d->stack;
	size_t sum = 0, keep = 0;

	r->inputs++;
	if (!b->frag_count || b->frag_count > NETBUF_FRAGS)
		complain(r, "a frame with no pieces, or too many");
	for (unsigned i = 0; i < b->frag_count && !r->complaint; i++) {
		check_piece(r, b->frags[i].base, b->frags[i].len);
		sum += b->frags[i].len;
		if (!r->complaint && keep < sizeof(r->last)) {
			size_t n = MIN(b->frags[i].len, sizeof(r->last) - keep);

			memcpy(r->last + keep, b->frags[i].base, n);
			keep += n;
		}
	}
	if (!r->complaint && sum != b->len)
		complain(r, "a frame whose length is not that of its pieces");
	r->last_len = b->len;
	r->last_csum_good = b->csum_good;
	r->last_frags = b->frag_count;
	if (r->hold && r->held_count < RIG_HELD_MAX && !r->complaint)
		r->held[r->held_count++] = b;
	else
		netbuf_done(b);
}

static void rig_tx_ready(struct netdev *d)
{
	((struct rig *)d->stack)->tx_readies++;
}

static void rig_link_changed(struct netdev *d, bool up)
{
	struct rig *r = d->stack;

	r->ups += up;
	r->downs += !up;
}

static void rig_wake(struct netdev *d)
{
	((struct rig *)d->stack)->wakes++;
}

static const struct netdev_upper rig_upper = {
	.input = rig_input,
	.tx_ready = rig_tx_ready,
	.link_changed = rig_link_changed,
	.wake = rig_wake,
};

struct rig *rig_new(uint64_t features)
{
	/* MAC, up, 1 pair, MTU 1500 */
	static const uint8_t config[12] = { 2, 0, 0, 0, 0, 9, 1, 0, 1, 0, 0xdc, 5 };
	struct rig *r = kzalloc(sizeof(*r));

	r->payload = page_alloc(4, PAGE_KERNEL);
	for (unsigned i = 0; i < KIB(64); i++)
		r->payload[i] = (uint8_t)(i * 7);
	model_init(&r->model, VIRTIO_ID_NET, features, 2, 256);
	memcpy(r->model.config, config, sizeof(config));
	if (virtio_device_add(&r->model.dev))
		return NULL;
	r->net = r->model.dev.driver_data;
	r->dev = &r->net->netdev;
	list_remove(&r->dev->link); /* no stack but ours is to find it */
	netdev_attach(r->dev, &rig_upper, r);
	return r->dev->ops->start(r->dev) ? NULL : r;
}

static void rig_clear(struct rig *r)
{
	rig_release_all(r);
	r->dev->ops->stop(r->dev);
	for (unsigned i = 0; i < 2; i++)
		r->model.queues[i].size_max = 256;
	r->model.config[6] = 1;
	r->model.complaint = r->complaint = NULL;
	r->hold = false;
	if (r->dev->ops->start(r->dev))
		r->complaint = "does not start again";
	r->inputs = r->wakes = r->tx_readies = r->downs = r->ups = r->dones = 0;
	r->model.interrupts = 0;
	r->dev->resets = r->dev->rx_dropped = r->dev->tx_dropped = r->dev->irqs = r->dev->kicks = 0;
}

struct rig *rig_start(uint64_t features)
{
	for (unsigned i = 0; i < ARRAY_SIZE(rigs); i++) {
		if (!rigs[i]) {
			rigs[i] = rig_new(features);
			rig_features[i] = features;
		}
		if (rigs[i] && rig_features[i] == features) {
			rig_clear(rigs[i]);
			return rigs[i];
		}
	}
	return NULL;
}

bool rig_deliver_as(struct rig *r, struct virtio_net_hdr h, uint8_t first, size_t len,
		    unsigned buffers)
{
	static uint8_t bytes[KIB(64) + 64];
	size_t total = r->net->hdr_bytes + len, done = 0;

	memcpy(bytes, &h, r->net->hdr_bytes);
	for (size_t i = 0; i < len; i++)
		bytes[r->net->hdr_bytes + i] = (uint8_t)(first + i);
	for (unsigned i = 0; i < buffers; i++) {
		size_t n;

		if (!model_pop(&r->model, RIG_RX, &r->rx_chain))
			return false;
		n = MIN(total - done, r->rx_chain.in_bytes);
		model_write(&r->rx_chain, bytes + done, n);
		model_fill(&r->model, RIG_RX, i, r->rx_chain.head, (uint32_t)n);
		done += n;
	}
	model_flush(&r->model, RIG_RX, buffers);
	return true;
}

bool rig_deliver(struct rig *r, uint8_t first, size_t len)
{
	return rig_deliver_as(r, (struct virtio_net_hdr){ .num_buffers = 1 }, first, len, 1);
}

unsigned rig_poll_all(struct rig *r)
{
	unsigned sum = 0, frames, rounds = 0;

	do {
		while ((frames = r->dev->ops->poll(r->dev, 64)) != 0 && rounds++ < 10000)
			sum += frames;
	} while (r->dev->ops->look(r->dev) && rounds++ < 10000);
	return sum;
}

void rig_sent_done(struct netbuf *b)
{
	struct rig_sent *s = container_of(b, struct rig_sent, netbuf);

	if (!s->busy)
		complain(s->rig, "a frame done twice");
	s->busy = false;
	s->rig->dones++;
}

static int send(struct rig *r, size_t len, uint16_t gso_size)
{
	unsigned i = 0, frags = 0;
	struct rig_sent *s;
	int error;

	while (i < RIG_SENT_MAX && r->sent[i].busy)
		i++;
	if (i == RIG_SENT_MAX)
		return -1;
	s = &r->sent[i];
	s->rig = r;
	s->netbuf = (struct netbuf){ .done = rig_sent_done, .len = len, .gso_size = gso_size };
	for (size_t at = 0; at < len; frags++) {
		size_t n = MIN(len - at, frags ? PAGE_SIZE : 54);

		s->netbuf.frags[frags].base = r->payload + at;
		s->netbuf.frags[frags].len = n;
		at += n;
	}
	s->netbuf.frag_count = (uint16_t)frags;
	if (gso_size) {
		s->netbuf.needs_csum = true;
		s->netbuf.csum_start = 34;
		s->netbuf.csum_offset = 50;
		s->netbuf.header_len = 54;
	}
	s->busy = true;
	error = r->dev->ops->transmit(r->dev, &s->netbuf);
	if (error)
		s->busy = false;
	return error;
}

int rig_send(struct rig *r, size_t len)
{
	return send(r, len, 0);
}

int rig_send_gso(struct rig *r, size_t len)
{
	return send(r, len, 1460);
}

unsigned rig_busy(const struct rig *r)
{
	unsigned busy = 0;

	for (unsigned i = 0; i < RIG_SENT_MAX; i++)
		busy += r->sent[i].busy;
	return busy;
}

unsigned rig_device_sends(struct rig *r)
{
	struct model_chain c;
	unsigned count = 0;

	while (model_pop(&r->model, RIG_TX, &c)) {
		model_push(&r->model, RIG_TX, c.head, 0);
		count++;
	}
	return count;
}

void rig_release_all(struct rig *r)
{
	while (r->held_count)
		netbuf_done(r->held[--r->held_count]);
}

bool rig_is_well(struct rig *r)
{
	unsigned inputs;

	r->hold = false;
	rig_release_all(r);
	rig_device_sends(r);
	rig_poll_all(r);
	inputs = r->inputs;
	if (!rig_deliver(r, 5, 100) || rig_poll_all(r) != 1 || r->inputs != inputs + 1 ||
	    r->last[99] != 104)
		return false;
	if (rig_send(r, 900) || rig_send(r, 60))
		return false;
	r->dev->ops->kick(r->dev);
	if (rig_device_sends(r) != 2)
		return false;
	rig_poll_all(r);
	return !rig_busy(r) && !r->complaint && !r->model.complaint;
}
