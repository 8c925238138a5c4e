/*
 * The stack's metrics: what lwIP counts, connections by state, memory, timers.
 *
 * collect() holds the stack lock while it looks; with ten thousand connections that is some tens of
 * microseconds.
 */
#include <libos/metrics.h>

#include "connections.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/stats.h"
#include "stack.h"

static const struct protocol {
	const char *name;
	const struct stats_proto *stats;
} protocols[] = {
	{ "link", &lwip_stats.link },       { "arp", &lwip_stats.etharp },
	{ "ip4", &lwip_stats.ip },          { "ip4_fragment", &lwip_stats.ip_frag },
	{ "icmp4", &lwip_stats.icmp },      { "ip6", &lwip_stats.ip6 },
	{ "ip6_fragment", &lwip_stats.ip6_frag }, { "icmp6", &lwip_stats.icmp6 },
	{ "nd6", &lwip_stats.nd6 },         { "udp", &lwip_stats.udp },
	{ "tcp", &lwip_stats.tcp },
};

static void packets(struct metric_samples *out, size_t field)
{
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		const STAT_COUNTER *n = (const void *)((const char *)protocols[i].stats + field);

		metric_sample(out, *n, METRIC_LABELS({ "protocol", protocols[i].name }));
	}
}

static void packets_received(struct metric_samples *out)
{
	packets(out, offsetof(struct stats_proto, recv));
}
METRIC(kiln_net_received_packets_total, METRIC_COUNTER,
       "packets that a protocol of lwIP took; expected segments go past it (kiln_net_rx_predicted_total)",
       packets_received);

static void packets_sent(struct metric_samples *out)
{
	packets(out, offsetof(struct stats_proto, xmit));
}
METRIC(kiln_net_sent_packets_total, METRIC_COUNTER,
       "packets that a protocol of lwIP sent; others go past it (kiln_net_tx_templated_total)",
       packets_sent);

#define REASON(field, name) { name, offsetof(struct stats_proto, field) }

static void packets_dropped(struct metric_samples *out)
{
	static const struct {
		const char *name;
		size_t field;
	} reasons[] = {
		REASON(chkerr, "checksum"), REASON(lenerr, "length"),   REASON(memerr, "memory"),
		REASON(rterr, "route"),     REASON(proterr, "protocol"), REASON(opterr, "options"),
		REASON(err, "other"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(reasons); j++) {
			const STAT_COUNTER *n =
				(const void *)((const char *)protocols[i].stats + reasons[j].field);

			metric_sample(out, *n, METRIC_LABELS({ "protocol", protocols[i].name },
							     { "reason", reasons[j].name }));
		}
	}
}
METRIC(kiln_net_dropped_packets_total, METRIC_COUNTER, "packets a protocol has dropped, by reason",
       packets_dropped);

/* ---- connections ---- */

static const char *const state_names[] = {
	[CLOSED] = "closed",           [LISTEN] = "listen",         [SYN_SENT] = "syn_sent",
	[SYN_RCVD] = "syn_received",   [ESTABLISHED] = "established", [FIN_WAIT_1] = "fin_wait_1",
	[FIN_WAIT_2] = "fin_wait_2",   [CLOSE_WAIT] = "close_wait", [CLOSING] = "closing",
	[LAST_ACK] = "last_ack",       [TIME_WAIT] = "time_wait",
};

static void tcp_states(struct metric_samples *out)
{
	uint64_t count[ARRAY_SIZE(state_names)] = { 0 };

	net_enter();
	for (const struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next)
		count[pcb->state]++;
	for (const struct tcp_pcb *pcb = tcp_tw_pcbs; pcb; pcb = pcb->next)
		count[TIME_WAIT]++;
	for (const struct tcp_pcb_listen *pcb = tcp_listen_pcbs.listen_pcbs; pcb; pcb = pcb->next)
		count[LISTEN]++;
	net_leave();
	for (size_t i = LISTEN; i < ARRAY_SIZE(state_names); i++)
		metric_sample(out, count[i], METRIC_LABELS({ "state", state_names[i] }));
}
METRIC(kiln_tcp_connections, METRIC_GAUGE, "TCP connections by state", tcp_states);

/* ---- memory and timers ---- */

static void memory_used(struct metric_samples *out)
{
	size_t used;

	net_enter();
	used = net_memory_used();
	net_leave();
	metric_sample(out, used, NULL);
}
METRIC(kiln_net_memory_bytes, METRIC_GAUGE, "heap that the network stack holds", memory_used);

static void memory_limit(struct metric_samples *out)
{
	metric_sample(out, net_memory_limit(), NULL);
}
METRIC(kiln_net_memory_limit_bytes, METRIC_GAUGE,
       "bound on the heap that the network stack may hold", memory_limit);

static void timer_next(struct metric_samples *out)
{
	uint64_t deadline, now;

	net_enter();
	deadline = net_timers_deadline();
	now = net_now_ns;
	net_leave();
	if (deadline != DEADLINE_NEVER)
		metric_sample_ns(out, deadline > now ? deadline - now : 0, NULL);
}
METRIC(kiln_net_timer_seconds, METRIC_GAUGE,
       "time until the network's timer fires; absent: it is not needed", timer_next);
