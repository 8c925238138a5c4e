/*
 * The parts of the virtio console driver: virtio_console.c (the device, control messages) and
 * virtio_console_port.c (the bytes of one port).
 */
#ifndef VIRTIO_CONSOLE_H
#define VIRTIO_CONSOLE_H

#include <core/executor.h>
#include <core/sync.h>
#include <libos/charport.h>

#include "virtqueue.h"

#define CONSOLE_PORTS     3u    /* ports 0, 1 and 2; a device's further ones are left alone */
#define PORT_RX_BUFFERS   16u
#define PORT_RX_BYTES     64u
#define PORT_TX_SLOTS     4u
#define PORT_TX_BYTES     256u
#define CONTROL_OUT       4u
/* QEMU drops messages that find no buffer; peers come and go fast */
#define CONTROL_IN        32u
#define CONTROL_BYTES     (8u + CHARPORT_NAME_MAX)

struct port_buffer {
	uint32_t len, taken;           /* received: bytes there, bytes read */
	bool held;                     /* received, not yet given back to the device */
	struct port_buffer *next;      /* received after this one, or also free */
	uint8_t data[];
};

/*  Locks:  m the console's mutex   t only its task   I set once */
struct console_port {
	struct charport charport;
	struct virtio_console *console;  /* [I] */
	struct virtqueue rx, tx;         /* [m] */
	uint8_t *memory;                 /* [m] NULL: the device has never added this port */
	/* [m] taken from the device; the first may be partly read */
	struct port_buffer *received;
	struct port_buffer *tx_free;     /* [m] */
	struct port_buffer *tx_newest;   /* [m] the last that was sent; NULL: it came back */
	bool usable;                     /* [m] queues are set up */
	/* [m] and the device has announced the port since its reset */
	bool added;
	bool owner_waits;                /* [m] a write found no room */
	bool open;                       /* [m] as the device last said */
	bool closed;                     /* [m] it said so since the owner was told */
	bool named, registered;          /* [t] */
	bool open_told;                  /* [t] */
};

struct virtio_console {
	struct virtio_device *dev;
	struct mutex lock;
	struct task task;
	struct virtqueue control_rx, control_tx; /* [m] */
	/* [I] CONTROL_IN, CONTROL_OUT of CONTROL_BYTES each */
	uint8_t *control_in, *control_out;
	unsigned control_out_next;               /* [m] */
	bool dead;                               /* [m] */
	struct console_port ports[CONSOLE_PORTS];
};

extern const struct charport_ops console_port_ops;

/* All with the console's mutex held. */
int console_port_setup(struct console_port *p, unsigned id);
int console_port_add(struct console_port *p);         /* memory, and buffers for the next kick */
/* After a reset. `keep`: the rings can be believed, and what was received stays the owner's. */
void console_port_reclaim(struct console_port *p, bool keep);
/* Slots that will not come back, while nothing is on its way to a peer. */
bool console_port_has_lost(struct console_port *p);
bool console_port_can_read(struct console_port *p);
bool console_port_can_write(struct console_port *p);  /* and somebody waits for it */
bool console_port_arm(struct console_port *p);        /* false: something is there already */

#endif
