/*
 * The stack's timers, without a tick when nothing is pending (LWIP_TIMERS_CUSTOM).
 *
 * lwIP wants a dozen functions called at fixed intervals. Here each is *busy* (somebody waits for
 * it: an unanswered ARP request, an unacknowledged segment) or *idle*. Only busy ones, and the few
 * whose idle work matters after a while (leases, address lifetimes), decide when the one kernel
 * timer fires. Idle ones are caught up when the stack runs for another reason: the calls they
 * missed are made in a row, up to a bound, so that ages and lifetimes still advance.
 *
 * TCP is apart: its functions look at every connection. While all connections are quiet (nothing in
 * flight, nothing owed) they are not called at all; lwIP's clock tcp_ticks is moved by what
 * elapsed, and the next tick is set to the earliest keep-alive or TIME_WAIT deadline. Otherwise
 * they are shown only the connections that are not quiet.
 *
 * All under the stack lock, except the firing of the timer, which only wakes a runner.
 */
#include <core/assert.h>
#include <core/counter.h>

#include "connections.h"
#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/etharp.h"
#include "lwip/ip4_frag.h"
#include "lwip/ip6_frag.h"
#include "lwip/mld6.h"
#include "lwip/nd6.h"
#include "lwip/priv/nd6_priv.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/dhcp.h"
#include "lwip/sys.h"
#include "lwip/timeouts.h"
#include "stack.h"

COUNTER(net_timer_fires, "times the network's timer fired");
COUNTER(net_tcp_ticks, "runs of TCP's timers");
COUNTER(net_drop_time_wait, "connections forgotten in TIME_WAIT because there were too many");

#define CATCH_UP_MAX  400
#define TCP_TICK_NS   (TCP_TMR_INTERVAL * NSEC_PER_MSEC)
#define TCP_SLOW_NS   (TCP_SLOW_INTERVAL * NSEC_PER_MSEC)

struct cyclic {
	void (*tick)(void);      /* [I] lwIP's */
	uint64_t interval_ns;    /* [I] */
	uint64_t idle_ns;        /* [I] when idle, still tick within that time; 0: no need */
	bool (*is_busy)(void);   /* [I] or NULL: only need_until_ns decides */
	uint64_t last_ns;
	uint64_t need_until_ns;
};

static struct {
	bool ticking;
	bool active;             /* used since the last tick */
	uint64_t last_ns;        /* tcp_ticks is right as of then */
	uint64_t quiet_until_ns; /* when not ticking */
} tcp;

static struct ktimer timer;
static uint64_t armed_ns;        /* DEADLINE_NEVER: not armed */
static uint64_t next_due_ns;     /* net_timers_advance() has nothing to do before */
static bool must_settle;

static bool dhcp_is_busy(void)
{
	struct netif *netif;

	NETIF_FOREACH(netif) {
		const struct dhcp *dhcp = netif_dhcp_data(netif);

		if (dhcp && dhcp->state != DHCP_STATE_OFF && dhcp->state != DHCP_STATE_BOUND)
			return true;
	}
	return false;
}

static bool netif_is_settling(const struct netif *netif)
{
	if (!netif_is_up(netif) || !netif_is_link_up(netif))
		return false;
	for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
		if (ip6_addr_istentative(netif_ip6_addr_state(netif, i)))
			return true;
	return netif->rs_count > 0;
}

static bool nd6_is_busy(void)
{
	struct netif *netif;

	NETIF_FOREACH(netif)
		if (netif_is_settling(netif))
			return true;
	for (int i = 0; i < LWIP_ND6_NUM_NEIGHBORS; i++) {
		uint8_t state = neighbor_cache[i].state;

		if (state == ND6_INCOMPLETE || state == ND6_DELAY || state == ND6_PROBE)
			return true;
	}
	return false;
}

static bool mld6_is_busy(void)
{
	struct netif *netif;

	NETIF_FOREACH(netif)
		for (struct mld_group *g = netif_mld6_data(netif); g; g = g->next)
			if (g->timer)
				return true;
	return false;
}

static struct cyclic timers[NET_TIMERS] = {
	[NET_TIMER_ARP] = { etharp_tmr, ARP_TMR_INTERVAL *NSEC_PER_MSEC, 0, NULL, 0, 0 },
	[NET_TIMER_IP4_REASSEMBLY] = { ip_reass_tmr, IP_TMR_INTERVAL *NSEC_PER_MSEC, 0, NULL, 0,
				       0 },
	[NET_TIMER_IP6_REASSEMBLY] = { ip6_reass_tmr, IP6_REASS_TMR_INTERVAL *NSEC_PER_MSEC, 0,
				       NULL, 0, 0 },
	[NET_TIMER_DHCP] = { dhcp_fine_tmr, DHCP_FINE_TIMER_MSECS *NSEC_PER_MSEC, 0, dhcp_is_busy,
			     0, 0 },
	[NET_TIMER_DHCP_LEASE] = { dhcp_coarse_tmr, DHCP_COARSE_TIMER_MSECS *NSEC_PER_MSEC,
				   DHCP_COARSE_TIMER_MSECS *NSEC_PER_MSEC, NULL, 0, 0 },
	[NET_TIMER_DNS] = { dns_tmr, DNS_TMR_INTERVAL *NSEC_PER_MSEC, 0, NULL, 0, 0 },
	[NET_TIMER_ND6] = { nd6_tmr, ND6_TMR_INTERVAL *NSEC_PER_MSEC, 60 * NSEC_PER_SEC,
			    nd6_is_busy, 0, 0 },
	[NET_TIMER_MLD6] = { mld6_tmr, MLD6_TMR_INTERVAL *NSEC_PER_MSEC, 0, mld6_is_busy, 0, 0 },
};

/* The clock lwIP reads: milliseconds, wrapping. */
uint32_t sys_now(void)
{
	return (uint32_t)(net_now_ns / NSEC_PER_MSEC);
}

/* lwip_init() calls it; the timers were set up before (net_timers_init()). */
void sys_timeouts_init(void)
{
}

static void fire(struct ktimer *t)
{
	(void)t;
	counter_inc(net_timer_fires);
	net_wake();
}

void net_timers_init(void)
{
	ktimer_init(&timer, fire);
	armed_ns = DEADLINE_NEVER;
	for (int i = 0; i < NET_TIMERS; i++)
		timers[i].last_ns = net_now_ns;
	tcp.last_ns = net_now_ns;
	next_due_ns = net_now_ns;
	must_settle = true;
}

void net_timer_need(enum net_timer t, uint64_t for_ns)
{
	timers[t].need_until_ns = MAX(timers[t].need_until_ns, net_now_ns + for_ns);
	must_settle = true;
}

/* Called for every segment that comes or goes and for whatever else an application does to TCP. */
void net_timer_tcp_active(void)
{
	tcp.active = true;
	must_settle |= !tcp.ticking;
}

static inline bool pcb_is_quiet(const struct tcp_pcb *pcb)
{
	const unsigned quiet_states = 1u << ESTABLISHED | 1u << CLOSE_WAIT | 1u << FIN_WAIT_2;
	const unsigned owing = TF_ACK_DELAY | TF_ACK_NOW | TF_CLOSEPEND | TF_NAGLEMEMERR;

	if ((uintptr_t)pcb->unacked | (uintptr_t)pcb->unsent | (uintptr_t)pcb->ooseq |
	    (uintptr_t)pcb->refused_data | (pcb->flags & owing) | pcb->persist_backoff)
		return false;
	return quiet_states >> pcb->state & 1;
}

/* Ticks after pcb->tmr at which lwIP will do something about a quiet connection; 0: never. */
static inline uint32_t quiet_ticks(const struct tcp_pcb *pcb)
{
	if (unlikely(pcb->state == FIN_WAIT_2))
		return pcb->flags & TF_RXCLOSED ? TCP_FIN_WAIT_TIMEOUT / TCP_SLOW_INTERVAL + 1 : 0;
	if (!ip_get_option(pcb, SOF_KEEPALIVE))
		return 0;
	return (pcb->keep_idle + pcb->keep_cnt_sent * pcb->keep_intvl) / TCP_SLOW_INTERVAL + 1;
}

static uint64_t ticks_ahead(int32_t left)
{
	return tcp.last_ns + (left > 0 ? (uint64_t)left : 0) * TCP_SLOW_NS;
}

/* Ticks until lwIP will do something about the connection; INT32_MAX: never, 0: it is not quiet. */
static inline int32_t quiet_for(const struct tcp_pcb *pcb)
{
	uint32_t ticks;

	if (!pcb_is_quiet(pcb))
		return 0;
	ticks = quiet_ticks(pcb);
	return ticks ? (int32_t)(pcb->tmr + ticks - tcp_ticks) : INT32_MAX;
}

/*
 * Takes the connections off lwIP's list that its timers have nothing to do for, and returns them in
 * a list of their own: with ten thousand of them open, going through all for each tick would cost
 * more than the traffic of the few that talk. *soonest is the least quiet_for() among them.
 */
static struct tcp_pcb *set_quiet_aside(int32_t *soonest)
{
	struct tcp_pcb *quiet = NULL, **quiet_end = &quiet, **at = &tcp_active_pcbs, *pcb;

	*soonest = INT32_MAX;
	while ((pcb = *at)) {
		int32_t left = quiet_for(pcb);

		if (left <= 1) {         /* the tick that comes counts before it looks */
			at = &pcb->next;
			continue;
		}
		*soonest = MIN(*soonest, left);
		*at = pcb->next;
		*quiet_end = pcb;
		quiet_end = &pcb->next;
	}
	*quiet_end = NULL;
	return quiet;
}

/*
 * DEADLINE_NEVER or when to tick again, as far as the connections on lwIP's list go; 0: one is not
 * quiet.
 */
static uint64_t tcp_quiet_deadline(void)
{
	uint64_t deadline = DEADLINE_NEVER;
	const struct tcp_pcb *pcb;

	for (pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
		int32_t left = quiet_for(pcb);

		if (!pcb_is_quiet(pcb))
			return 0;
		if (left != INT32_MAX)
			deadline = MIN(deadline, ticks_ahead(left));
	}
	for (pcb = tcp_tw_pcbs; pcb; pcb = pcb->next)
		deadline = MIN(deadline,
			       ticks_ahead((int32_t)(pcb->tmr + 2 * TCP_MSL / TCP_SLOW_INTERVAL +
						     1 - tcp_ticks)));
	return deadline;
}

/* The oldest stand at the end of the list. */
static void time_wait_bound(void)
{
	struct tcp_pcb *pcb = tcp_tw_pcbs, *next;
	unsigned n = 0;

	for (; pcb && n < CONFIG_NET_TIME_WAIT_MAX; pcb = pcb->next)
		n++;
	for (; pcb; pcb = next) {
		next = pcb->next;
		counter_inc(net_drop_time_wait);
		tcp_abort(pcb);
	}
}

/*
 * RFC 5681 keeps the congestion window at one segment or more. Where lwIP's has fallen below the
 * next segment and nothing is in flight, neither an acknowledgement nor a timer would ever move it.
 */
static void unstick(void)
{
	for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next)
		if (unlikely(pcb->unsent && !pcb->unacked && pcb->cwnd < pcb->unsent->len))
			pcb->cwnd = pcb->unsent->len;
}

static void tcp_tick(void)
{
	struct tcp_pcb *quiet, **end = &tcp_active_pcbs;
	int32_t soonest;

	counter_inc(net_tcp_ticks);
	net_connections_expire();
	quiet = set_quiet_aside(&soonest);
	unstick();
	tcp_tmr();
	time_wait_bound();
	tcp.last_ns += TCP_TICK_NS;
	tcp.quiet_until_ns = tcp_quiet_deadline();
	if (soonest != INT32_MAX)
		tcp.quiet_until_ns = MIN(tcp.quiet_until_ns, ticks_ahead(soonest));
	while (*end)
		end = &(*end)->next;
	*end = quiet;
}

static void tcp_advance(void)
{
	uint64_t slow_ticks;

	if (!tcp.ticking && net_now_ns >= tcp.quiet_until_ns)
		tcp.ticking = must_settle = true;
	for (int i = 0; i < 4 && tcp.ticking && net_now_ns - tcp.last_ns >= TCP_TICK_NS; i++) {
		tcp.active = false;
		tcp_tick();
		tcp.ticking = tcp.active || !tcp.quiet_until_ns;
		must_settle = true;
	}
	slow_ticks = (net_now_ns - tcp.last_ns) / TCP_SLOW_NS;
	tcp_ticks += (uint32_t)slow_ticks;
	tcp.last_ns += slow_ticks * TCP_SLOW_NS;
}

static void cyclic_advance(struct cyclic *c)
{
	unsigned n = 0;

	while (net_now_ns - c->last_ns >= c->interval_ns) {
		if (n++ == CATCH_UP_MAX) {
			c->last_ns = net_now_ns;
			break;
		}
		c->last_ns += c->interval_ns;
		c->tick();
		must_settle = true;
	}
}

void net_timers_advance(void)
{
	if (likely(net_now_ns < next_due_ns))
		return;
	tcp_advance();
	next_due_ns = tcp.last_ns + (tcp.ticking ? TCP_TICK_NS : TCP_SLOW_NS);
	for (int i = 0; i < NET_TIMERS; i++) {
		cyclic_advance(&timers[i]);
		next_due_ns = MIN(next_due_ns, timers[i].last_ns + timers[i].interval_ns);
	}
}

static uint64_t cyclic_deadline(const struct cyclic *c)
{
	if (c->need_until_ns > net_now_ns || (c->is_busy && c->is_busy()))
		return c->last_ns + c->interval_ns;
	return c->idle_ns ? c->last_ns + c->idle_ns : DEADLINE_NEVER;
}

uint64_t net_timers_deadline(void)
{
	uint64_t deadline = tcp.ticking ? tcp.last_ns + TCP_TICK_NS : tcp.quiet_until_ns;

	for (int i = 0; i < NET_TIMERS; i++)
		deadline = MIN(deadline, cyclic_deadline(&timers[i]));
	return deadline;
}

/* A timer that is set too early costs one wake-up, so it is moved only when it would be late. */
static __attribute__((noinline)) void settle(void)
{
	uint64_t deadline;

	must_settle = false;
	if (tcp.active && !tcp.ticking) {
		tcp.ticking = true;
		next_due_ns = MIN(next_due_ns, tcp.last_ns + TCP_TICK_NS);
	}
	deadline = net_timers_deadline();
	if (armed_ns > net_now_ns && armed_ns <= deadline)
		return;
	armed_ns = deadline;
	if (deadline != DEADLINE_NEVER)
		ktimer_arm(&timer, MAX(deadline, net_now_ns + NSEC_PER_MSEC));
	else
		ktimer_cancel(&timer);
}

void net_timers_settle(void)
{
	if (unlikely(must_settle))
		settle();
}
