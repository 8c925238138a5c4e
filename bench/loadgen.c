/*
 * loadgen: a load generator for memcached's text protocol, over TCP.
 *
 * One thread, epoll, non-blocking sockets. Every connection has up to `pipeline` requests in
 * flight; a request is a get of one or several keys, or a set, chosen by a seeded generator, so a
 * run is repeated exactly by its seed. Values are derived from their keys and compared: a wrong byte
 * counts as a mismatch and fails the run. All keys are stored first, outside the measurement.
 *
 * -L is lockstep: one request in flight over all connections, taking turns. Timing then cannot
 * move what the server does per request, and with -i FILE (insncount.c's counts) the guest's
 * instructions are read right before the first request and right after the last reply.
 *
 * The result is one JSON object on standard output. Latencies are kept in a histogram with 64
 * steps per power of two (error under 1.6 %). Exit status 0: no mismatch, no error, no miss.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "insncount.h"

#define KEY_BYTES      16
#define PIPELINE_MAX   256
#define MULTIGET_MAX   100
#define VALUE_MAX      (64 << 10)
#define STEPS_LOG2     6
#define HISTOGRAM_SIZE (64 << STEPS_LOG2)

static struct {
	const char *host, *port, *counts;
	unsigned connections, pipeline, multiget, keys, value_bytes, set_percent;
	double seconds;
	uint64_t requests, seed;
	bool lockstep, no_fill;
} opt = { .host = "127.0.0.1", .port = "11211", .connections = 50, .pipeline = 1, .multiget = 1, .keys = 10000,
	  .value_bytes = 100, .set_percent = 10, .seconds = 10, .seed = 1 };

struct request {
	bool is_set;
	unsigned key[MULTIGET_MAX];
	uint64_t sent_ns;
};

struct connection {
	int fd;
	bool wants_write;
	struct request queue[PIPELINE_MAX];
	unsigned head, in_flight;
	unsigned values_seen;          /* of the get at the head */
	char *out;
	size_t out_len, out_sent, out_cap;
	char *in;
	size_t in_len, in_cap;
};

static struct {
	uint64_t issued, done, gets, sets, hits, misses, mismatches, errors, bytes_in;
	uint64_t histogram[HISTOGRAM_SIZE];
} result;

static uint64_t random_state;
static int epoll_fd;
static uint64_t stop_ns;

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "loadgen: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* SplitMix64. */
static uint64_t random_next(void)
{
	uint64_t z = (random_state += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void key_name(char *out, unsigned key)
{
	char text[KEY_BYTES + 1];
	snprintf(text, sizeof(text), "key-%012u", key);
	memcpy(out, text, KEY_BYTES);
}

static char value_byte(unsigned key, unsigned i)
{
	return (char)('a' + (key * 7u + i) % 26u);
}

static bool value_matches(unsigned key, const char *bytes)
{
	for (unsigned i = 0; i < opt.value_bytes; i++)
		if (bytes[i] != value_byte(key, i))
			return false;
	return true;
}

/* Latencies: exact below 2^STEPS_LOG2 ns, then 2^STEPS_LOG2 buckets per power of two. */
static unsigned bucket_of(uint64_t ns)
{
	if (ns < (1u << STEPS_LOG2))
		return (unsigned)ns;
	unsigned power = 63u - (unsigned)__builtin_clzll(ns);
	return ((power - STEPS_LOG2 + 1) << STEPS_LOG2) +
	       (unsigned)((ns >> (power - STEPS_LOG2)) & ((1u << STEPS_LOG2) - 1));
}

static uint64_t bucket_value(unsigned bucket)
{
	unsigned power = bucket >> STEPS_LOG2;
	uint64_t step = bucket & ((1u << STEPS_LOG2) - 1);
	return power == 0 ? step : ((1u << STEPS_LOG2) + step) << (power - 1);
}

static double percentile_us(double fraction)
{
	uint64_t wanted = (uint64_t)((double)result.done * fraction), seen = 0;
	for (unsigned i = 0; i < HISTOGRAM_SIZE; i++) {
		seen += result.histogram[i];
		if (seen > wanted)
			return (double)bucket_value(i) / 1000.0;
	}
	return 0;
}

static char *out_room(struct connection *c, size_t len)
{
	if (c->out_sent == c->out_len)
		c->out_sent = c->out_len = 0;
	if (c->out_len + len > c->out_cap) {
		c->out_cap = (c->out_len + len) * 2;
		c->out = realloc(c->out, c->out_cap);
		if (!c->out)
			die("memory");
	}
	return c->out + c->out_len;
}

static void put_set(struct connection *c, unsigned key)
{
	char name[KEY_BYTES];
	char *p = out_room(c, opt.value_bytes + 80);
	key_name(name, key);
	int n = sprintf(p, "set %.*s 0 0 %u\r\n", KEY_BYTES, name, opt.value_bytes);
	for (unsigned i = 0; i < opt.value_bytes; i++)
		p[n++] = value_byte(key, i);
	memcpy(p + n, "\r\n", 2);
	c->out_len += (size_t)n + 2;
}

static void put_get(struct connection *c, struct request *r)
{
	char *p = out_room(c, 8 + opt.multiget * (KEY_BYTES + 1));
	size_t n = 3;
	memcpy(p, "get", 3);
	for (unsigned i = 0; i < opt.multiget; i++) {
		r->key[i] = (unsigned)(random_next() % opt.keys);
		p[n++] = ' ';
		key_name(p + n, r->key[i]);
		n += KEY_BYTES;
	}
	memcpy(p + n, "\r\n", 2);
	c->out_len += n + 2;
}

static bool may_issue(void)
{
	return opt.requests ? result.issued < opt.requests : now_ns() < stop_ns;
}

static void issue(struct connection *c)
{
	struct request *r = &c->queue[(c->head + c->in_flight) % PIPELINE_MAX];
	r->is_set = random_next() % 100 < opt.set_percent;
	if (r->is_set) {
		r->key[0] = (unsigned)(random_next() % opt.keys);
		put_set(c, r->key[0]);
	} else {
		put_get(c, r);
	}
	r->sent_ns = now_ns();
	c->in_flight++;
	result.issued++;
}

static void watch(struct connection *c, bool wants_write)
{
	struct epoll_event e = { .events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.ptr = c };
	if (c->wants_write == wants_write)
		return;
	c->wants_write = wants_write;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e))
		die("epoll_ctl");
}

static void send_pending(struct connection *c)
{
	while (c->out_sent < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			die("send");
		c->out_sent += (size_t)n;
	}
	watch(c, c->out_sent < c->out_len);
}

static void request_done(struct connection *c)
{
	struct request *r = &c->queue[c->head];
	unsigned bucket = bucket_of(now_ns() - r->sent_ns);
	result.histogram[bucket < HISTOGRAM_SIZE ? bucket : HISTOGRAM_SIZE - 1]++;
	if (r->is_set) {
		result.sets++;
	} else {
		result.gets++;
		result.hits += c->values_seen;
		result.misses += opt.multiget - c->values_seen;
	}
	c->values_seen = 0;
	c->head = (c->head + 1) % PIPELINE_MAX;
	c->in_flight--;
	result.done++;
}

/* "VALUE key flags bytes\r\n", then the bytes. Returns how much it takes; 0: more is needed. */
static size_t take_value(struct connection *c, const char *line, size_t line_len, size_t available)
{
	unsigned key, flags, bytes;
	struct request *r = &c->queue[c->head];
	if (sscanf(line, "VALUE key-%u %u %u", &key, &flags, &bytes) != 3 || bytes != opt.value_bytes) {
		result.mismatches++;
		return line_len;
	}
	size_t whole = line_len + bytes + 2;
	if (available < whole)
		return 0;
	/* Hits come in the order of the keys; keys that missed are passed over. */
	bool expected = false;
	for (unsigned i = c->values_seen; i < opt.multiget && !expected; i++)
		expected = r->key[i] == key;
	if (!expected || !value_matches(key, line + line_len) || memcmp(line + line_len + bytes, "\r\n", 2))
		result.mismatches++;
	c->values_seen++;
	return whole;
}

static size_t take_reply(struct connection *c, const char *line, size_t available)
{
	const char *end = memchr(line, '\n', available);
	if (!end)
		return 0;
	size_t line_len = (size_t)(end - line) + 1;
	if (!strncmp(line, "VALUE ", 6))
		return take_value(c, line, line_len, available);
	bool is_set = c->queue[c->head].is_set;
	if (strncmp(line, is_set ? "STORED\r\n" : "END\r\n", is_set ? 8 : 5)) {
		if (!result.errors++)
			fprintf(stderr, "loadgen: unexpected reply %.*s", (int)line_len, line);
	}
	request_done(c);
	return line_len;
}

static void receive(struct connection *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_len, c->in_cap - c->in_len - 1, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		errno = n ? errno : ECONNRESET;
		die("recv");
	}
	result.bytes_in += (uint64_t)n;
	c->in_len += (size_t)n;
	c->in[c->in_len] = '\0';
	size_t used = 0, took;
	while (c->in_flight && (took = take_reply(c, c->in + used, c->in_len - used)) != 0)
		used += took;
	memmove(c->in, c->in + used, c->in_len - used);
	c->in_len -= used;
	if (!c->in_flight && c->in_len) {
		result.errors++;
		c->in_len = 0;
	}
}

static void open_connection(struct connection *c, const struct addrinfo *a)
{
	int one = 1;
	c->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, a->ai_addr, a->ai_addrlen))
		die("connect");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (fcntl(c->fd, F_SETFL, O_NONBLOCK))
		die("fcntl");
	c->in_cap = 2 * (VALUE_MAX + 256) + (size_t)opt.multiget * (opt.value_bytes + 64) * opt.pipeline;
	c->in = malloc(c->in_cap);
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
	if (!c->in || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e))
		die("epoll");
}

/* Handles what is ready; waits at most `timeout_ms` for something to be. */
static void pump(int timeout_ms)
{
	struct epoll_event events[256];
	int n = epoll_wait(epoll_fd, events, 256, timeout_ms);
	if (n < 0 && errno != EINTR)
		die("epoll_wait");
	if (n == 0 && timeout_ms > 0) {
		errno = ETIMEDOUT;
		die("no reply");
	}
	for (int i = 0; i < n; i++) {
		struct connection *c = events[i].data.ptr;
		if (events[i].events & EPOLLOUT)
			send_pending(c);
		if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			receive(c);
	}
}

/* Stores every key, 64 at a time, over the first connection. */
static void fill(struct connection *c)
{
	for (unsigned key = 0; key < opt.keys;) {
		while (c->in_flight < 64 && key < opt.keys) {
			struct request *r = &c->queue[(c->head + c->in_flight) % PIPELINE_MAX];
			r->is_set = true;
			r->sent_ns = now_ns();
			put_set(c, key++);
			c->in_flight++;
		}
		send_pending(c);
		while (c->in_flight)
			pump(30000);
	}
	if (result.errors)
		exit(1);
	memset(&result, 0, sizeof(result));
}

static void run_lockstep(struct connection *all)
{
	for (unsigned turn = 0; may_issue(); turn++) {
		struct connection *c = &all[turn % opt.connections];
		issue(c);
		send_pending(c);
		while (c->in_flight)
			pump(30000);
	}
}

static void top_up(struct connection *c)
{
	while (c->in_flight < opt.pipeline && may_issue())
		issue(c);
	send_pending(c);
}

/*
 * Pipelines are refilled when they have run empty, as a client library that batches does; so
 * `pipeline` requests travel in one segment.
 */
static void run_free(struct connection *all)
{
	bool busy = true;
	for (unsigned i = 0; i < opt.connections; i++)
		top_up(&all[i]);
	while (busy) {
		pump(30000);
		busy = false;
		for (unsigned i = 0; i < opt.connections; i++) {
			if (!all[i].in_flight)
				top_up(&all[i]);
			busy = busy || all[i].in_flight;
		}
	}
}

static const struct counts *map_counts(void)
{
	if (!opt.counts)
		return NULL;
	int fd = open(opt.counts, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(opt.counts);
	const struct counts *c = mmap(NULL, sizeof(*c), PROT_READ, MAP_SHARED, fd, 0);
	if (c == MAP_FAILED)
		die("mmap");
	return c;
}

static uint64_t instructions(const struct counts *c)
{
	uint64_t sum = 0;
	for (unsigned i = 0; c && i < COUNTS_HARTS; i++)
		sum += ((const volatile uint64_t *)c->total)[i * COUNTS_STRIDE];
	return sum;
}

static void report(double seconds, uint64_t insns)
{
	printf("{\"requests\": %lu, \"seconds\": %.6f, \"ops\": %.1f, \"gets\": %lu, \"sets\": %lu, \"hits\": %lu, "
	       "\"misses\": %lu, \"mismatches\": %lu, \"errors\": %lu, \"bytes_in\": %lu, \"p50_us\": %.1f, "
	       "\"p99_us\": %.1f, \"p999_us\": %.1f, \"instructions\": %lu}\n",
	       result.done, seconds, (double)result.done / seconds, result.gets, result.sets, result.hits,
	       result.misses, result.mismatches, result.errors, result.bytes_in, percentile_us(0.5),
	       percentile_us(0.99), percentile_us(0.999), insns);
}

static unsigned number(const char *text, unsigned least, unsigned most)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);
	if (*end || n < least || n > most) {
		fprintf(stderr, "loadgen: %s is not a number from %u to %u\n", text, least, most);
		exit(2);
	}
	return (unsigned)n;
}

static void usage(void)
{
	fputs("loadgen -s HOST -p PORT [-c connections] [-d requests in flight on each] [-m keys per get]\n"
	      "        [-w percent of sets] [-k keys] [-v value bytes] [-t seconds | -n requests]\n"
	      "        [-S seed] [-L: lockstep] [-F: keys are stored already] [-i instruction counts]\n",
	      stderr);
	exit(2);
}

static void read_options(int argc, char **argv)
{
	int o;
	while ((o = getopt(argc, argv, "s:p:c:d:m:w:k:v:t:n:S:i:LF")) != -1) {
		switch (o) {
		case 's': opt.host = optarg; break;
		case 'p': opt.port = optarg; break;
		case 'c': opt.connections = number(optarg, 1, 100000); break;
		case 'd': opt.pipeline = number(optarg, 1, PIPELINE_MAX); break;
		case 'm': opt.multiget = number(optarg, 1, MULTIGET_MAX); break;
		case 'w': opt.set_percent = number(optarg, 0, 100); break;
		case 'k': opt.keys = number(optarg, 1, 100000000); break;
		case 'v': opt.value_bytes = number(optarg, 1, VALUE_MAX); break;
		case 't': opt.seconds = atof(optarg); break;
		case 'n': opt.requests = number(optarg, 1, 2000000000); break;
		case 'S': opt.seed = number(optarg, 0, 4294967295u); break;
		case 'i': opt.counts = optarg; break;
		case 'L': opt.lockstep = true; break;
		case 'F': opt.no_fill = true; break;
		default: usage();
		}
	}
	if (optind != argc)
		usage();
}

int main(int argc, char **argv)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *address;
	read_options(argc, argv);
	random_state = opt.seed;
	if (getaddrinfo(opt.host, opt.port, &hints, &address)) {
		fprintf(stderr, "loadgen: no address for %s port %s\n", opt.host, opt.port);
		return 2;
	}
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct connection *all = calloc(opt.connections, sizeof(*all));
	if (!all)
		die("memory");
	for (unsigned i = 0; i < opt.connections; i++)
		open_connection(&all[i], address);
	if (!opt.no_fill)
		fill(&all[0]);

	const struct counts *counts = map_counts();
	uint64_t insns_before = instructions(counts), start_ns = now_ns();
	stop_ns = start_ns + (uint64_t)(opt.seconds * 1e9);
	if (opt.lockstep)
		run_lockstep(all);
	else
		run_free(all);
	double seconds = (double)(now_ns() - start_ns) / 1e9;
	report(seconds, instructions(counts) - insns_before);
	return result.mismatches || result.errors || result.misses ? 1 : 0;
}
