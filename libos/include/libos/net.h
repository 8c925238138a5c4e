/*
 * The network as a whole: is it up, under which addresses, who answers names.
 *
 * The stack starts at INIT_SERVICES: it attaches to every registered netdev and configures the
 * first from bootargs (ip=10.0.2.15/24 gw=10.0.2.2 dns=10.0.2.3 ip6=fec0::15/64 gw6=fec0::2), and
 * what they leave out by DHCP and SLAAC.
 */
#ifndef LIBOS_NET_H
#define LIBOS_NET_H

#include <core/types.h>

#define NET_ADDRESS_TEXT_MAX 46

/*
 * Any thread. True when an interface other than loopback has a usable IPv4 (or global IPv6)
 * address.
 */
bool net_is_configured(void);
/* Waits for that until `deadline_ns`; 0, -ETIMEDOUT or -EINTR. */
int net_wait_configured(uint64_t deadline_ns);

/* The index-th DNS server as text, for /etc/resolv.conf: its length, or 0 when there is none. */
size_t net_dns_server(unsigned index, char text[NET_ADDRESS_TEXT_MAX]);

/*
 * Looks a name up with the stack's own DNS client (applications bring musl's). Waits. 0 and the
 * first address as struct sockaddr_in or sockaddr_in6; -ENOENT, -ETIMEDOUT, -ENOMEM, -EINTR.
 */
int net_resolve(const char *name, bool want_ipv6, uint8_t address[28], uint64_t deadline_ns);

/*
 * Called by stream_run() when its wait is interrupted (thread_interrupt()): runs the pending signal
 * handlers of the calling thread and clears the interruption. Set once, by libos/posix.
 */
void net_set_signal_hook(void (*run_handlers)(void));

/*
 * For a loop whose thread should not be the one that devices and timers wake: it takes no frames
 * itself, and is served what others (a loop without this mark, or the stack's task) have taken.
 * Before stream_run().
 */
struct stream_loop;
void net_leave_devices(struct stream_loop *loop);

#endif
