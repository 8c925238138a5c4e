/*
 * One port of a virtio console: bytes in, bytes out.
 *
 * What was received stays in the device's buffers until the owner reads it, and only then does the
 * device get the buffer back; so nobody can make us hold more than PORT_RX_BUFFERS of them. What is
 * written is copied into slots, and when all are taken the owner waits for `writable`.
 *
 * There are more buffers than a peer fills before he waits for an answer. When a peer leaves while
 * none is free, QEMU takes the port for blocked until the next one has left, too: it discovers the
 * end by writing, closes, and only then notes that the writing had failed.
 */
#include <core/arch.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>

#include "virtio_console.h"

#define RX_STRIDE (sizeof(struct port_buffer) + PORT_RX_BYTES)
#define TX_STRIDE (sizeof(struct port_buffer) + PORT_TX_BYTES)

/* Queue numbers [5.3.2]: 2 and 3 are the control queues, after those of port 0. */
int console_port_setup(struct console_port *p, unsigned id)
{
	unsigned first = id ? 2 * id + 2 : 0;
	int error = virtq_setup(&p->rx, p->console->dev, first, PORT_RX_BUFFERS, 0);

	if (!error)
		error = virtq_setup(&p->tx, p->console->dev, first + 1, PORT_TX_SLOTS, 0);
	p->usable = !error;
	return error;
}

static void post(struct console_port *p, struct port_buffer *b)
{
	struct virtq_seg seg = { arch_direct_unmap(b->data), PORT_RX_BYTES };

	b->held = false;
	(void)virtq_add(&p->rx, &seg, 0, 1, b); /* there are no more buffers than descriptors */
}

static struct port_buffer *rx_buffer(struct console_port *p, unsigned i)
{
	return (struct port_buffer *)(p->memory + i * RX_STRIDE);
}

static void tx_put(struct console_port *p, struct port_buffer *b)
{
	b->next = p->tx_free;
	p->tx_free = b;
}

int console_port_add(struct console_port *p)
{
	unsigned rx_buffers = MIN(PORT_RX_BUFFERS, p->rx.size);

	if (!p->memory)
		p->memory = kzalloc(PORT_RX_BUFFERS * RX_STRIDE + PORT_TX_SLOTS * TX_STRIDE);
	if (!p->memory)
		return -ENOMEM;
	p->tx_free = NULL;
	for (unsigned i = 0; i < PORT_TX_SLOTS; i++)
		tx_put(p, (struct port_buffer *)(p->memory + PORT_RX_BUFFERS * RX_STRIDE +
						 i * TX_STRIDE));
	for (unsigned i = 0; i < rx_buffers; i++) {
		if (!rx_buffer(p, i)->held)
			post(p, rx_buffer(p, i));
	}
	p->added = true;
	return 0;
}

static struct port_buffer *receive(struct console_port *p)
{
	uint32_t written;
	struct port_buffer *b = virtq_take(&p->rx, &written);

	if (!b)
		return NULL;
	b->len = written;
	b->taken = 0;
	b->held = true;
	b->next = NULL;
	return b;
}

/* All of it, behind what was taken before. */
static void receive_rest(struct console_port *p)
{
	struct port_buffer **end = &p->received;

	while (*end)
		end = &(*end)->next;
	while ((*end = receive(p)) != NULL)
		end = &(*end)->next;
}

static void forget_peer(struct console_port *p)
{
	for (struct port_buffer *b = p->received; b; b = b->next)
		b->held = false;
	p->received = NULL;
	p->closed |= p->open;
	p->open = false;
}

void console_port_reclaim(struct console_port *p, bool keep)
{
	if (keep && p->added)
		receive_rest(p);
	if (!keep)
		forget_peer(p);
	while (virtq_reclaim(&p->rx) || virtq_reclaim(&p->tx))
		;
	p->tx_free = p->tx_newest = NULL;
	p->usable = p->added = false;
}

static bool next_received(struct console_port *p)
{
	if (!p->received)
		p->received = receive(p);
	return p->received;
}

static size_t read_current(struct console_port *p, uint8_t *to, size_t len)
{
	struct port_buffer *b = p->received;
	size_t n = MIN(len, b->len - b->taken);

	memcpy(to, b->data + b->taken, n);
	b->taken += (uint32_t)n;
	if (b->taken == b->len) {
		p->received = b->next;
		post(p, b);
	}
	return n;
}

/* The task asks for no interrupt while bytes wait to be read; so who has read them all does. */
static bool more_is_here(struct console_port *p)
{
	return p->added && !p->received && !virtq_interrupt_after(&p->rx, 1);
}

static kssize_t port_read(struct charport *c, void *buf, size_t len)
{
	struct console_port *p = c->driver;
	size_t done = 0;

	mutex_lock(&p->console->lock);
	while (p->added && done < len && next_received(p))
		done += read_current(p, (uint8_t *)buf + done, len - done);
	if (p->added)
		virtq_kick(&p->rx);
	if (more_is_here(p) || virtio_is_broken(p->console->dev))
		task_wake(&p->console->task);
	mutex_unlock(&p->console->lock);
	return (kssize_t)done;
}

static void reap(struct console_port *p)
{
	struct port_buffer *b;
	uint32_t written;

	while ((b = virtq_take(&p->tx, &written)) != NULL) {
		if (b == p->tx_newest)
			p->tx_newest = NULL;
		tx_put(p, b);
	}
}

static size_t write_slot(struct console_port *p, const uint8_t *from, size_t len)
{
	struct port_buffer *b = p->tx_free;
	size_t n = MIN(len, PORT_TX_BYTES);
	struct virtq_seg seg = { arch_direct_unmap(b->data), (uint32_t)n };

	memcpy(b->data, from, n);
	if (virtq_add(&p->tx, &seg, 1, 0, b))
		return 0;
	p->tx_free = b->next;
	p->tx_newest = b;
	return n;
}

static kssize_t port_write(struct charport *c, const void *buf, size_t len)
{
	struct console_port *p = c->driver;
	size_t done = 0, n = 1;

	mutex_lock(&p->console->lock);
	if (p->added) {
		reap(p);
		for (; done < len && p->tx_free && n; done += n)
			n = write_slot(p, (const uint8_t *)buf + done, len - done);
		virtq_kick(&p->tx);
	}
	p->owner_waits = done < len;
	if (p->owner_waits)
		task_wake(&p->console->task); /* which arms the interrupt, or finds room already */
	mutex_unlock(&p->console->lock);
	return (kssize_t)done;
}

bool console_port_can_read(struct console_port *p)
{
	return p->added && next_received(p);
}

/*
 * Bytes are sent in order: what is still out when the newest slot has come back stays out. With all
 * of them out nothing tells, but a closed port has nobody to wait for.
 */
bool console_port_has_lost(struct console_port *p)
{
	if (!p->added)
		return false;
	reap(p);
	return virtq_outstanding(&p->tx) && (!p->tx_newest || (!p->tx_free && !p->open));
}

bool console_port_can_write(struct console_port *p)
{
	if (!p->added)
		return false;
	reap(p);
	if (!p->owner_waits || !p->tx_free)
		return false;
	p->owner_waits = false;
	return true;
}

bool console_port_arm(struct console_port *p)
{
	bool rx, tx = true;

	if (!p->added)
		return true;
	rx = p->received || virtq_interrupt_after(&p->rx, 1);
	if (p->owner_waits && virtq_outstanding(&p->tx))
		tx = virtq_interrupt_after(&p->tx, 1);
	return rx && tx;
}

const struct charport_ops console_port_ops = {
	.read = port_read,
	.write = port_write,
};
