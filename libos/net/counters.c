/*
 * What lwIP counts, under names of its own: every packet it drops has a reason here. The glue's own
 * counters stand beside the code that counts.
 */
#include <libos/operator.h>

#include "connections.h"
#include "lwip/stats.h"
#include "stack.h"

struct reason {
	const char *name;
	size_t offset;     /* in struct stats_proto */
};

#define REASON(field, text) { text, offsetof(struct stats_proto, field) }

static const struct reason reasons[] = {
	REASON(recv, "received"),
	REASON(xmit, "sent"),
	REASON(drop, "dropped in all"),
	REASON(chkerr, "dropped: wrong checksum"),
	REASON(lenerr, "dropped: wrong length"),
	REASON(memerr, "dropped: out of memory"),
	REASON(rterr, "dropped: no route"),
	REASON(proterr, "dropped: not for us, or not understood"),
	REASON(opterr, "dropped: wrong options"),
	REASON(err, "other errors"),
};

static const struct protocol {
	const char *name;
	const struct stats_proto *stats;
} protocols[] = {
	{ "link", &lwip_stats.link },       { "arp", &lwip_stats.etharp },
	{ "ip4", &lwip_stats.ip },          { "ip4 fragments", &lwip_stats.ip_frag },
	{ "icmp4", &lwip_stats.icmp },      { "ip6", &lwip_stats.ip6 },
	{ "ip6 fragments", &lwip_stats.ip6_frag }, { "icmp6", &lwip_stats.icmp6 },
	{ "neighbours", &lwip_stats.nd6 },  { "udp", &lwip_stats.udp },
	{ "tcp", &lwip_stats.tcp },
};

static void print_protocol(struct operator_reply *r, const struct protocol *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		STAT_COUNTER n = *(const STAT_COUNTER *)((const char *)p->stats +
							 reasons[i].offset);

		if (n)
			operator_print(r, "%s %s: %u\n", p->name, reasons[i].name, n);
	}
}

static int print_net(struct operator_reply *r, const char *arguments)
{
	size_t used, limit, connections;

	(void)arguments;
	net_enter();
	used = net_memory_used();
	limit = net_memory_limit();
	connections = net_connection_count();
	net_leave();
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		print_protocol(r, &protocols[i]);
	operator_print(r, "connections: %zu\nmemory: %zu of %zu bytes\n", connections, used, limit);
	return 0;
}

OPERATOR_COMMAND(net, "packets and drops by protocol and reason", print_net);
