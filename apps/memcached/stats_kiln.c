/*
 * stats kiln: what a request costs below the protocol. Figures of devices are 0 where the server is
 * an ordinary program.
 */
#include <sys/sysinfo.h>

#include "report.h"
#include "stats.h"

void stats_show_kiln(struct conn *c)
{
	struct stream_stats net;
	struct sysinfo machine = { 0 };

	stream_loop_stats(conn_loop(), &net);
	sysinfo(&machine);
	stat_number(c, "wakeups", net.wakeups);
	stat_number(c, "batches", net.batches);
	stat_number(c, "packets_in", net.packets_in);
	stat_number(c, "packets_out", net.packets_out);
	stat_number(c, "datagrams_in", net.datagrams_in);
	stat_number(c, "datagrams_out", net.datagrams_out);
	stat_number(c, "notifications", net.kicks);
	stat_number(c, "interrupts", net.interrupts);
	stat_number(c, "input_bytes_copied", net.bytes_copied_in);
	stat_number(c, "output_bytes_copied", net.bytes_copied_out);
	stat_number(c, "value_bytes_copied", stats.value_bytes_copied);
	stat_number(c, "memory_total", (uint64_t)machine.totalram * machine.mem_unit);
	stat_number(c, "memory_free", (uint64_t)machine.freeram * machine.mem_unit);
}
