/*
 * Virtio consoles with several ports [5.3]: the device and its control messages.
 *
 * The device says over the control queue which ports it has, what they are called, and whether
 * somebody has opened the other end; we answer when a port is ready. A port with a name becomes a
 * character port (libos/charport.h), for good: a port that the device removes only reads as empty.
 *
 * Everything happens in one task, woken by the interrupt; owners read and write from threads of
 * their own under the console's mutex, and are called by the task without it.
 *
 * A message that makes no sense (too short, a port that is not there, an endless name) is ignored,
 * since control messages of newer devices may be unknown; a ring that makes no sense is a lie and
 * resets the device, which then announces its ports again.
 *
 * So does a device that keeps what it was sent. QEMU 7.2 never gives back the buffer it was
 * busy with when a peer left, so that a port would fall silent after PORT_TX_SLOTS peers who did
 * not read to the end. Nothing is lost by this reset: it waits until nothing else is on its way
 * out, and what had come in is kept (console_port_reclaim()).
 */
#include <core/arch.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/string.h>

#include "virtio_console.h"

#define CONSOLE_F_MULTIPORT (1ULL << 1)

enum { CONTROL_RX_QUEUE = 2, CONTROL_TX_QUEUE = 3 };

/* Control messages [5.3.6.2]. */
enum control_event {
	CONTROL_DEVICE_READY, CONTROL_PORT_ADD, CONTROL_PORT_REMOVE, CONTROL_PORT_READY,
	CONTROL_CONSOLE_PORT, CONTROL_RESIZE, CONTROL_PORT_OPEN, CONTROL_PORT_NAME
};

struct control_message {
	uint32_t port;
	uint16_t event, value;
	char name[];
};

static void control_send(struct virtio_console *c, uint32_t port, enum control_event event,
			 uint16_t value)
{
	struct control_message *m;
	struct virtq_seg seg;
	uint32_t written;

	while (virtq_take(&c->control_tx, &written))
		;
	if (virtq_outstanding(&c->control_tx) == CONTROL_OUT) {
		virtio_break(c->dev, "it leaves control messages lying");
		return;
	}
	m = (struct control_message *)(c->control_out + c->control_out_next * CONTROL_BYTES);
	c->control_out_next = (c->control_out_next + 1) % CONTROL_OUT;
	*m = (struct control_message){ port, (uint16_t)event, value };
	seg = (struct virtq_seg){ arch_direct_unmap(m), sizeof(*m) };
	if (!virtq_add(&c->control_tx, &seg, 1, 0, m))
		virtq_kick(&c->control_tx);
}

static void port_add(struct console_port *p, uint32_t id)
{
	struct virtio_console *c = p->console;

	if (!p->usable || p->added || console_port_add(p)) {
		control_send(c, id, CONTROL_PORT_READY, 0);
		return;
	}
	control_send(c, id, CONTROL_PORT_READY, 1);
	control_send(c, id, CONTROL_PORT_OPEN, 1);
	virtq_kick(&p->rx); /* last: a device may look at it only for a port that is open */
}

/* A port keeps the first name it was given. */
static void port_name(struct console_port *p, const char *name, size_t len)
{
	if (p->named || !len || len >= sizeof(p->charport.name))
		return;
	memcpy(p->charport.name, name, len);
	p->charport.name[len] = 0;
	p->named = true;
}

/* One peer may go and the next come before the owner hears of either. */
static void port_open(struct console_port *p, bool open)
{
	p->closed |= p->open && !open;
	p->open = open;
}

static void control_receive(struct virtio_console *c, const uint8_t *bytes, uint32_t len)
{
	struct control_message m;
	struct console_port *p;

	if (len < sizeof(m))
		return;
	memcpy(&m, bytes, sizeof(m));
	if (m.port >= CONSOLE_PORTS)
		return;
	p = &c->ports[m.port];
	if (m.event == CONTROL_PORT_ADD)
		port_add(p, m.port);
	else if (m.event == CONTROL_PORT_REMOVE)
		port_open(p, false);
	else if (m.event == CONTROL_PORT_OPEN)
		port_open(p, m.value);
	else if (m.event == CONTROL_PORT_NAME)
		port_name(p, (const char *)bytes + sizeof(m),
			  str_length_max((const char *)bytes + sizeof(m), len - sizeof(m)));
}

static void control_post(struct virtio_console *c, uint8_t *buffer)
{
	struct virtq_seg seg = { arch_direct_unmap(buffer), CONTROL_BYTES };

	(void)virtq_add(&c->control_rx, &seg, 0, 1, buffer);
}

static void control_poll(struct virtio_console *c)
{
	uint8_t *buffer;
	uint32_t len;

	while ((buffer = virtq_take(&c->control_rx, &len)) != NULL) {
		control_receive(c, buffer, len);
		control_post(c, buffer);
	}
	virtq_kick(&c->control_rx);
}

static int set_up_queues(struct virtio_console *c)
{
	int error = virtq_setup(&c->control_rx, c->dev, CONTROL_RX_QUEUE, CONTROL_IN, 0);

	if (!error)
		error = virtq_setup(&c->control_tx, c->dev, CONTROL_TX_QUEUE, CONTROL_OUT, 0);
	for (unsigned id = 0; !error && id < CONSOLE_PORTS; id++) {
		error = console_port_setup(&c->ports[id], id);
		if (error == -ENOENT) /* the device has fewer ports */
			error = 0;
	}
	return error;
}

static int console_begin(struct virtio_console *c)
{
	int error = virtio_begin(c->dev, CONSOLE_F_MULTIPORT);

	if (!error && !virtio_has(c->dev, CONSOLE_F_MULTIPORT))
		error = -EOPNOTSUPP;
	if (!error)
		error = set_up_queues(c);
	if (error)
		return error;
	virtio_ready(c->dev);
	for (unsigned i = 0; i < MIN(CONTROL_IN, c->control_rx.size); i++)
		control_post(c, c->control_in + i * CONTROL_BYTES);
	virtq_interrupt_after(&c->control_rx, 1);
	virtq_kick(&c->control_rx);
	control_send(c, 0, CONTROL_DEVICE_READY, 1);
	return 0;
}

static void console_restart(struct virtio_console *c)
{
	bool sound = !virtio_is_broken(c->dev);
	int error = virtio_reset(c->dev);

	for (unsigned id = 0; id < CONSOLE_PORTS; id++)
		console_port_reclaim(&c->ports[id], sound);
	while (virtq_reclaim(&c->control_rx) || virtq_reclaim(&c->control_tx))
		;
	if (!error)
		error = console_begin(c);
	if (!error)
		return;
	c->dead = true;
	virtio_fail(c->dev);
	log_error("%s: virtio-console lost after a reset, error %d", c->dev->name, -error);
}

static bool arm(struct virtio_console *c)
{
	bool armed = virtq_interrupt_after(&c->control_rx, 1);

	for (unsigned id = 0; id < CONSOLE_PORTS; id++)
		armed &= console_port_arm(&c->ports[id]);
	return armed;
}

/*
 * Tells a port's owner what has changed. The mutex is not held, so that owners may read and write.
 */
static void tell_owner(struct console_port *p)
{
	struct charport *port = &p->charport;
	bool readable, writable, open, closed;

	mutex_lock(&p->console->lock);
	readable = console_port_can_read(p);
	writable = console_port_can_write(p);
	open = p->open;
	closed = p->closed;
	p->closed = false;
	mutex_unlock(&p->console->lock);
	if (p->named && !p->registered) {
		p->registered = true;
		charport_register(port);
	}
	if (!port->owner)
		return;
	if (closed && p->open_told)
		port->owner->peer_changed(port, p->open_told = false);
	if (open && !p->open_told)
		port->owner->peer_changed(port, p->open_told = true);
	if (readable)
		port->owner->readable(port);
	if (writable)
		port->owner->writable(port);
}

static bool has_lost(struct virtio_console *c)
{
	bool lost = false;

	for (unsigned id = 0; id < CONSOLE_PORTS; id++)
		lost |= console_port_has_lost(&c->ports[id]);
	return lost;
}

static void console_task(struct task *t)
{
	struct virtio_console *c = container_of(t, struct virtio_console, task);
	bool armed;

	mutex_lock(&c->lock);
	if (!c->dead)
		control_poll(c);
	if (!c->dead && (virtio_is_broken(c->dev) || has_lost(c)))
		console_restart(c);
	mutex_unlock(&c->lock);
	for (unsigned id = 0; id < CONSOLE_PORTS; id++)
		tell_owner(&c->ports[id]);
	mutex_lock(&c->lock);
	armed = c->dead || (arm(c) && !virtio_is_broken(c->dev));
	mutex_unlock(&c->lock);
	if (!armed)
		task_wake(t);
}

static void console_interrupt(struct virtio_device *d, uint32_t causes)
{
	struct virtio_console *c = d->driver_data;

	if (c && causes)
		task_wake(&c->task);
}

static void port_init(struct virtio_console *c, struct console_port *p)
{
	p->console = c;
	p->charport.ops = &console_port_ops;
	p->charport.driver = p;
}

static void console_destroy(struct virtio_console *c)
{
	if (virtio_reset(c->dev))
		return; /* its memory stays with the device */
	for (unsigned id = 0; id < CONSOLE_PORTS; id++) {
		virtq_release(&c->ports[id].rx);
		virtq_release(&c->ports[id].tx);
	}
	virtq_release(&c->control_rx);
	virtq_release(&c->control_tx);
	kfree(c->control_in);
	kfree(c);
}

static int console_probe(struct virtio_device *d)
{
	struct virtio_console *c = kzalloc(sizeof(*c));
	int error = -ENOMEM;

	if (!c)
		return -ENOMEM;
	c->dev = d;
	mutex_init(&c->lock);
	task_init(&c->task, "virtio-console", console_task);
	for (unsigned id = 0; id < CONSOLE_PORTS; id++)
		port_init(c, &c->ports[id]);
	c->control_in = kzalloc((CONTROL_IN + CONTROL_OUT) * CONTROL_BYTES);
	c->control_out = c->control_in + CONTROL_IN * CONTROL_BYTES;
	d->driver_data = c;
	mutex_lock(&c->lock);
	if (c->control_in)
		error = console_begin(c);
	mutex_unlock(&c->lock);
	if (error) {
		d->driver_data = NULL;
		console_destroy(c);
		return error;
	}
	log_info("%s: virtio-console", d->name);
	return 0;
}

static const struct virtio_driver virtio_console_driver = {
	.name = "virtio-console",
	.id = VIRTIO_ID_CONSOLE,
	.probe = console_probe,
	.interrupt = console_interrupt,
};
VIRTIO_DRIVER(virtio_console_driver);
