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
#define PORT_RX_BUFFERS   2u
#define PORT_RX_BYTES     128u
#define PORT_TX_SLOTS     4u
#define PORT_TX_BYTES     256u
#define CONTROL_BUFFERS   4u
#define CONTROL_BYTES     (8u + CHARPORT_NAME_MAX)

struct port_buffer {
	uint32_t len, taken;           /* received: bytes there, bytes read */
	struct port_buffer *next_free;
	uint8_t data[];
};

/*  Locks:  m the console's mutex   t only its task   I set once */
struct console_port {
	struct charport charport;
	struct virtio_console *console;  /* [I] */
	struct virtqueue rx, tx;         /* [m] */
	uint8_t *memory;                 /* [m] NULL: the device has not added this port */
	struct port_buffer *rx_current;  /* [m] partly read */
	struct port_buffer *tx_free;     /* [m] */
	bool usable;                     /* [m] queues are set up */
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
	uint8_t *control_in, *control_out;       /* [I] CONTROL_BUFFERS of CONTROL_BYTES each */
	unsigned control_out_next;               /* [m] */
	bool dead;                               /* [m] */
	struct console_port ports[CONSOLE_PORTS];
};

extern const struct charport_ops console_port_ops;

/* All with the console's mutex held. */
int console_port_setup(struct console_port *p, unsigned id);
int console_port_add(struct console_port *p);         /* memory, and buffers to the device */
void console_port_reclaim(struct console_port *p);    /* after a reset */
bool console_port_can_read(struct console_port *p);
bool console_port_can_write(struct console_port *p);  /* and somebody waits for it */
bool console_port_arm(struct console_port *p);        /* false: something is there already */

#endif
