/*
 * The registry of network devices. Devices come at boot and stay; the list is only ever extended,
 * under a lock, so that readers walk it without one.
 */
#include <core/arch.h>
#include <core/errno.h>
#include <core/fmt.h>
#include <core/sync.h>
#include <libos/netdev.h>

static struct list devices = LIST_INIT(devices);
static struct spinlock devices_lock = SPINLOCK_INIT;
static unsigned device_count;

int netdev_register(struct netdev *d)
{
	spin_lock(&devices_lock);
	fmt_print(d->name, sizeof(d->name), "eth%u", device_count++);
	list_push_back(&devices, &d->link);
	spin_unlock(&devices_lock);
	return 0;
}

struct netdev *netdev_next(struct netdev *after)
{
	struct list *next = after ? after->link.next : devices.next;

	return next == &devices ? NULL : list_entry(next, struct netdev, link);
}

void netdev_attach(struct netdev *d, const struct netdev_upper *upper, void *stack)
{
	d->stack = stack;
	__atomic_store_n(&d->upper, upper, __ATOMIC_RELEASE);
}
