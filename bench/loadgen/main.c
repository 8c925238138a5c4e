/*
 * loadgen: a load generator for memcached, over TCP, TLS or UDP, in its text or binary protocol.
 *
 * One thread, epoll, non-blocking sockets. Every connection has up to `pipeline` requests in
 * flight; a request is a get of one or several keys, or a set, chosen by a seeded generator, so a
 * run is repeated exactly by its seed. Every value is compared with what its key says it must be: a
 * wrong byte counts as a mismatch and fails the run. All keys are stored first, over TCP or TLS,
 * outside the measurement.
 *
 * Free-running (the default), each connection sends its next requests as soon as the last were
 * answered. A pipeline is refilled when it has run empty, as a client library that batches does, so
 * `pipeline` requests travel together.
 *
 * In lockstep (-L N), N connections send their requests at once, then all replies are awaited;
 * after -g such rounds the next N connections have their turn. Timing then cannot move what the
 * server does per request, even on a busy machine when the emulator's process is given (-P; see
 * guest.c). With -i FILE (insncount.c's counts), the guest's instructions are read right before the
 * first request and right after the last reply.
 *
 * The result is one JSON object on standard output. Exit status 0: no mismatch, no error, no miss.
 *
 *   options.c     the command line          connection.c  rings of requests, epoll
 *   text.c        binary.c  the protocols   transport.c   TCP, TLS, UDP
 *   value.c       keys and values           result.c      histogram, JSON
 *   guest.c       instructions and threads of the emulator
 */
#include <stdlib.h>

#include "loadgen.h"

static uint64_t stop_ns, stop_requests;

static bool may_issue(uint64_t now)
{
	return stop_requests ? result.issued < stop_requests : now < stop_ns;
}

/* Fills the connection's pipeline, as far as the run goes on. */
static void send_batch(struct connection *c)
{
	uint64_t now = now_ns();
	while (c->in_flight < opt.pipeline && may_issue(now)) {
		result.issued++;
		if (random_next() % 100 < opt.set_percent)
			connection_issue_set(c, random_key(), now);
		else
			connection_issue_get(c, now);
	}
	connection_send(c);
}

static unsigned waiting;        /* connections with requests in flight */

static void one_less(struct connection *c)
{
	(void)c;
	waiting--;
}

static void send_next(struct connection *c)
{
	send_batch(c);
	waiting -= c->in_flight == 0;
}

static void run_lockstep(struct connection *all)
{
	unsigned first = 0, rounds = 0;
	while (may_issue(now_ns())) {
		guest_settle();
		if (opt.lockstep > 1)
			guest_hold();
		for (unsigned i = 0; i < opt.lockstep; i++) {
			struct connection *c = &all[(first + i) % opt.connections];
			send_batch(c);
			waiting += c->in_flight > 0;
		}
		if (opt.lockstep > 1)
			guest_release();
		/* replies are read when all are there: when, decides who acknowledges */
		guest_settle();
		while (waiting)
			connections_pump(one_less);
		if (++rounds % opt.stay == 0)
			first = (first + opt.lockstep) % opt.connections;
	}
}

static void run_free(struct connection *all)
{
	for (unsigned i = 0; i < opt.connections; i++) {
		send_batch(&all[i]);
		waiting += all[i].in_flight > 0;
	}
	while (waiting)
		connections_pump(send_next);
}

static void run(struct connection *all, uint64_t requests, double seconds)
{
	result_clear();
	stop_requests = requests;
	stop_ns = now_ns() + (uint64_t)(seconds * 1e9);
	if (opt.lockstep)
		run_lockstep(all);
	else
		run_free(all);
}

/* Stores every key over a connection of its own. */
static void fill(void)
{
	struct connection c = { 0 };
	connection_open(&c, opt.tls ? &transport_tls : &transport_tcp, FILL_DEPTH);
	for (unsigned key = 0; key < opt.keys;) {
		uint64_t now = now_ns();
		for (; c.in_flight < FILL_DEPTH && key < opt.keys; key++)
			connection_issue_set(&c, key, now);
		connection_send(&c);
		for (waiting = 1; waiting;)
			connections_pump(one_less);
	}
	connection_close(&c);
	if (result.errors)
		exit(1);
}

int main(int argc, char **argv)
{
	options_read(argc, argv);
	random_seed(opt.seed);
	guest_begin();
	connections_begin();
	if (!opt.no_fill)
		fill();
	struct connection *all = calloc(opt.connections, sizeof(*all));
	if (!all)
		die("memory");
	for (unsigned i = 0; i < opt.connections; i++)
		connection_open(&all[i],
				opt.udp   ? &transport_udp
				: opt.tls ? &transport_tls
					  : &transport_tcp,
				opt.pipeline);
	connections_watch(all);
	if (opt.stall)
		staller_begin();
	if (opt.warm_up)
		run(all, opt.warm_up, 0);

	guest_mark_start();
	uint64_t start_ns = now_ns();
	run(all, opt.requests, opt.seconds);
	double seconds = (double)(now_ns() - start_ns) / 1e9;
	guest_mark_end();
	connections_close(all);
	result_print(seconds);
	return result.mismatches || result.errors || result.misses ? 1 : 0;
}
