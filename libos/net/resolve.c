/*
 * Looking names up, with lwIP's DNS client: queries with random identifiers from random ports.
 *
 * lwIP answers by callback, possibly after the caller has given up; so a query is an object of its
 * own, freed by whichever of the two comes last. All fields are guarded by the stack lock.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <libos/net.h>

#include <string.h>

#include "address.h"
#include "lwip/dns.h"
#include "stack.h"

#define QUERY_NS (30 * NSEC_PER_SEC)      /* lwIP gives up well before */

struct query {
	struct waitq waitq;
	ip_addr_t address;
	int result;               /* -EINPROGRESS until the answer */
	bool is_abandoned;
};

static void finish(struct query *q, int result)
{
	if (q->is_abandoned) {
		kfree(q);
		return;
	}
	__atomic_store_n(&q->result, result, __ATOMIC_RELEASE);
	waitq_wake_all(&q->waitq);
}

static void found(const char *name, const ip_addr_t *address, void *arg)
{
	struct query *q = arg;

	(void)name;
	if (address)
		ip_addr_copy(q->address, *address);
	finish(q, address ? 0 : -ENOENT);
}

static void start(struct query *q, const char *name, bool want_ipv6)
{
	err_t err = dns_gethostbyname_addrtype(name, &q->address, found, q,
					       want_ipv6 ? LWIP_DNS_ADDRTYPE_IPV6
							 : LWIP_DNS_ADDRTYPE_IPV4);

	if (err == ERR_OK)
		q->result = 0;
	else if (err == ERR_INPROGRESS)
		net_timer_need(NET_TIMER_DNS, QUERY_NS);
	else
		q->result = err == ERR_MEM ? -ENOMEM : -ENOENT;
}

/* The caller's part is over: its result, and the query freed now or by the late answer. */
static int conclude(struct query *q, int wait_error, uint8_t address[28])
{
	struct socket_name name;
	int err;

	net_enter();
	err = q->result == -EINPROGRESS ? wait_error : q->result;
	if (!err) {
		net_address_write(&name, IP_IS_V6(&q->address) ? SOCKET_AF_INET6 : SOCKET_AF_INET,
				  &q->address, 0);
		memcpy(address, name.bytes, name.len);
	}
	if (q->result == -EINPROGRESS)
		q->is_abandoned = true;
	else
		kfree(q);
	net_leave();
	return err;
}

int net_resolve(const char *name, bool want_ipv6, uint8_t address[28], uint64_t deadline_ns)
{
	struct query *q = kzalloc(sizeof(*q));
	int err;

	if (!q)
		return -ENOMEM;
	waitq_init(&q->waitq);
	q->result = -EINPROGRESS;
	net_enter();
	start(q, name, want_ipv6);
	net_leave();
	err = waitq_wait(&q->waitq, __atomic_load_n(&q->result, __ATOMIC_ACQUIRE) != -EINPROGRESS,
			 deadline_ns, true);
	return conclude(q, err, address);
}
