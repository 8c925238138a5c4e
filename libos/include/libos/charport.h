/*
 * Character ports: byte streams of a machine, found by name ("kiln.ctl"), such as the ports of a
 * virtio-console.
 *
 * The port pulls nothing out of its owner and pushes nothing into it: the owner is told that bytes
 * wait or that room came, and then reads or writes as much as it likes. Bytes not read stay with
 * the device, so a flood stops at its source.
 */
#ifndef LIBOS_CHARPORT_H
#define LIBOS_CHARPORT_H

#include <core/list.h>
#include <core/types.h>

struct charport;

#define CHARPORT_NAME_MAX 32

struct charport_ops {
	/*
	 * Threads; never sleep. Bytes moved, 0 when there is nothing (no room), -EIO: the port is
	 * gone.
	 */
	kssize_t (*read)(struct charport *p, void *buf, size_t len);
	kssize_t (*write)(struct charport *p, const void *buf, size_t len);
};

struct charport_owner {
	void (*readable)(struct charport *p);               /* any thread; must not sleep */
	void (*writable)(struct charport *p);
	/* somebody opened or closed the other end */
	void (*peer_changed)(struct charport *p, bool open);
};

struct charport {
	struct list link;                    /* registry */
	char name[CHARPORT_NAME_MAX];        /* [I] */
	const struct charport_ops *ops;      /* [I] */
	const struct charport_owner *owner;  /* set by charport_claim() */
	void *driver, *owner_data;           /* theirs */
};

/*
 * charport_claim() makes `owner` the owner of the port of that name, now or when it appears; then
 * `claimed` is called once, in thread context. One claim per name. Both may be called in any order.
 */
struct charport_claim {
	struct list link;
	const char *name;
	const struct charport_owner *owner;
	void *owner_data;
	void (*claimed)(struct charport *p);  /* may sleep */
	/* by its port: a second one of that name stays alone */
	bool taken;
};
void charport_claim(struct charport_claim *claim);
void charport_register(struct charport *p);   /* drivers; threads; may sleep */

#endif
