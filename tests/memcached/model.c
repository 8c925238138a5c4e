/*
 * model HOST PORT SEED OPERATIONS MODE: random operations against a server, and what a simple model
 * of memcached says to each of them.
 *
 * The model is an array of keys, each with a value or without, searched by number; no hash table,
 * no LRU, no memory. Operations go out in batches, so that the server pipelines, and each answer is
 * compared byte by byte. CAS numbers are the server's own: what must hold is that a key shows the
 * same number again exactly while the model says that nothing has changed it.
 *
 * MODE  time    the clock stands still, and moves when the model says so (debugtime)
 *       still   no debugtime: nothing expires but what does so at once
 *       lossy   with debugtime; the cache may forget whatever it wants, but never lie
 *       peer    as time, for memcached itself, where a number that gets shorter keeps its length
 *               only while no answer on its way holds the item, so numbers do not get shorter; and
 *               where a flush now and then misses a large item, so there are none
 *
 * The first difference ends it with the last operations on that key. 0: there was none.
 */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	KEYS = 1500, LARGE_KEYS = 8,            /* the last ones have large values, too */
	VALUE_MAX = 300 * 1024,
	SMALL_MAX = 3000, LARGE_MAX = 200 * 1024,
	BATCH_OPS = 100, BATCH_BYTES = 100 * 1024,
	TEXT_BYTES = 4 << 20,
	RELATIVE_MAX = 2592000,
	HISTORY = 12,
	BY_REFERENCE = 500,        /* larger values may be */
};

struct key {
	char name[32];
	bool present;
	char *value;
	size_t len, room;
	uint32_t flags;
	int64_t expires;           /* 0: never */
	int64_t stored;            /* when */
	uint64_t change;           /* number of the change that made it what it is */
	uint64_t cas, cas_change;  /* the CAS number last seen, and of which change */
};

/* What an answer is held against. */
enum check { EXACT, WITH_CAS, MAYBE };

struct expectation {
	enum check check;
	/* in the text of answers: exact, or what follows the CAS number */
	size_t at, len;
	struct key *key;
	uint64_t change;           /* WITH_CAS: the one whose number comes */
	size_t said, said_len;     /* the request */
};

static struct key keys[KEYS];
static char asked[TEXT_BYTES], answers[TEXT_BYTES], input[1 << 20];
static size_t asked_len, answers_len, input_at, input_len;
static struct expectation batch[BATCH_OPS * 8];
static unsigned batch_len;
static char history[HISTORY][160];
static unsigned history_len;
static int server;
static uint64_t random_state, changes;
static int64_t now = 1000000, moved;    /* the model's clock, and what debugtime has summed up */
static int64_t date_offset;             /* the server's date, less `now` */
static int64_t flush_due;               /* 0: none */
static bool with_time, lossy, peer;

static void fail(const char *what)
{
	fprintf(stderr, "model: %s\n", what);
	exit(2);
}

static uint64_t rnd(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1d >> 16;
}

static uint64_t below(uint64_t n)
{
	return rnd() % n;
}

/* ---- the model ---- */

static bool is_flushed(const struct key *k)
{
	return flush_due != 0 && flush_due <= now && k->stored <= flush_due;
}

static bool is_there(struct key *k)
{
	if (k->present && ((k->expires != 0 && k->expires <= now) || is_flushed(k)))
		k->present = false;
	return k->present;
}

static void value_set(struct key *k, const char *data, size_t len)
{
	if (len > k->room) {
		k->room = len;
		k->value = realloc(k->value, len);
		if (!k->value)
			fail("no memory");
	}
	memmove(k->value, data, len);
	k->len = len;
	k->change = ++changes;
}

static void store(struct key *k, const char *data, size_t len, uint32_t flags, int64_t expires)
{
	value_set(k, data, len);
	k->present = true;
	k->flags = flags;
	k->expires = expires;
	k->stored = now;
}

static void join(struct key *k, const char *data, size_t len, bool behind)
{
	static char sum[2 * VALUE_MAX];

	memcpy(sum + (behind ? 0 : len), k->value, k->len);
	memcpy(sum + (behind ? k->len : 0), data, len);
	value_set(k, sum, k->len + len);
	k->stored = now;
}

/* The number that is the value: digits, then the end or a blank. */
static bool value_number(const struct key *k, uint64_t *n)
{
	char text[32], *end;
	size_t digits = 0;

	while (digits < k->len && k->value[digits] >= '0' && k->value[digits] <= '9')
		digits++;
	if (digits == 0 || digits > 20 || (digits < k->len && k->value[digits] != ' '))
		return false;
	memcpy(text, k->value, digits);
	text[digits] = '\0';
	if (digits == 20 && strcmp(text, "18446744073709551615") > 0)
		return false;
	*n = strtoull(text, &end, 10);
	return true;
}

static void value_set_number(struct key *k, uint64_t n)
{
	char text[32];
	size_t len = (size_t)sprintf(text, "%llu", (unsigned long long)n);

	if (len > k->len) {
		value_set(k, text, len);
		k->stored = now;
		return;
	}
	memset(text + len, ' ', sizeof(text) - len);
	memcpy(k->value, text, k->len < sizeof(text) ? k->len : sizeof(text));
	memset(k->value + len, ' ', k->len - len);
	k->change = ++changes;
}

/* ---- requests and the answers they should have ---- */

__attribute__((format(printf, 1, 2)))
static void ask(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	asked_len += (size_t)vsprintf(asked + asked_len, format, args);
	va_end(args);
}

static void append(char *text, size_t *at, const void *data, size_t len)
{
	memcpy(text + *at, data, len);
	*at += len;
}

static struct expectation *expect(struct key *k, size_t said)
{
	struct expectation *e = &batch[batch_len++];

	*e = (struct expectation){
		.check = EXACT, .at = answers_len, .key = k, .said = said,
		.said_len = asked_len - said,
	};
	return e;
}

__attribute__((format(printf, 3, 4)))
static void expect_line(struct key *k, size_t said, const char *format, ...)
{
	struct expectation *e = expect(k, said);
	va_list args;

	va_start(args, format);
	e->len = (size_t)vsprintf(answers + e->at, format, args);
	va_end(args);
	answers_len += e->len;
}

/* Behind a first line in the answers: value and end. */
static void expect_data(struct expectation *e, const struct key *k, const char *end)
{
	append(answers, &answers_len, k->value, k->len);
	append(answers, &answers_len, end, strlen(end));
	e->len = answers_len - e->at;
}

static int64_t random_exptime(void)
{
	static const int64_t some[] = { 1, 2, 5, 60, 3600, 100000, RELATIVE_MAX };

	switch (below(8)) {
	case 0:
		return with_time ? some[below(7)] : 100000;
	case 1:
		return with_time ? now + date_offset + (int64_t)below(5000) + 1 : 0;
	case 2:
		return below(4) ? 0 : -1;
	default:
		return 0;
	}
}

static int64_t expires_at(int64_t exptime)
{
	if (exptime == 0)
		return 0;
	if (exptime < 0)
		return 1;
	return exptime <= RELATIVE_MAX ? now + exptime : exptime - date_offset;
}

/* A value: a number, text, or something long. */
static size_t random_value(const struct key *k, char *to)
{
	size_t len = below(4) ? below(40) : below(SMALL_MAX);

	if (below(3) == 0)
		return (size_t)sprintf(to, "%llu", (unsigned long long)(rnd() >> below(47)));
	if (k >= keys + KEYS - LARGE_KEYS && below(4) == 0 && !peer)
		len = below(LARGE_MAX);
	for (size_t i = 0; i < len; i++)
		to[i] = (char)('a' + (i * 7 + len + (size_t)(random_state >> (i % 32))) % 26);
	return len;
}

static struct key *random_key(void)
{
	return &keys[below(4) ? below(KEYS) : below(50)];
}

static void op_store(struct key *k)
{
	static const char *const verbs[] = { "set",     "set",    "set",     "add",
					     "replace", "append", "prepend", "cas" };
	static char data[VALUE_MAX];
	const char *verb = lossy ? "set" : verbs[below(8)];
	size_t len = random_value(k, data), said = asked_len;
	int64_t exptime = random_exptime();
	uint32_t flags = below(2) ? 0 : (uint32_t)rnd();
	bool there = is_there(k), silent = below(8) == 0, knows = k->cas_change != 0;
	const char *answer = "STORED";

	ask("%s %s %u %lld %zu", verb, k->name, flags, (long long)exptime, len);
	if (verb[0] == 'c')
		ask(" %llu", (unsigned long long)(knows ? k->cas : 0xfffffffffffffffull));
	ask("%s\r\n", silent ? " noreply" : "");
	append(asked, &asked_len, data, len);
	ask("\r\n");
	if ((verb[0] == 'a' && verb[1] == 'd' && there) || (verb[0] == 'r' && !there) ||
	    (verb[1] != 'd' && (verb[0] == 'a' || verb[0] == 'p') && !there))
		answer = "NOT_STORED";
	else if (verb[0] == 'c' && !there)
		answer = "NOT_FOUND";
	else if (verb[0] == 'c' && (!knows || k->cas_change != k->change))
		answer = "EXISTS";
	else if (verb[0] == 'p' || strcmp(verb, "append") == 0)
		join(k, data, len, verb[0] == 'a');
	else
		store(k, data, len, flags, expires_at(exptime));
	if (!silent)
		expect_line(k, said, "%s\r\n", answer);
}

static void op_get(struct key *k)
{
	size_t said = asked_len;
	struct expectation *e;

	ask("get %s\r\n", k->name);
	if (!is_there(k)) {
		expect_line(k, said, "END\r\n");
		return;
	}
	e = expect(k, said);
	e->check = lossy ? MAYBE : EXACT;
	answers_len += (size_t)sprintf(answers + e->at, "VALUE %s %u %zu\r\n", k->name, k->flags,
				       k->len);
	expect_data(e, k, "\r\nEND\r\n");
}

static void op_gets(struct key *k)
{
	size_t said = asked_len;
	struct expectation *e;

	ask("gets %s\r\n", k->name);
	if (!is_there(k)) {
		expect_line(k, said, "END\r\n");
		return;
	}
	expect_line(k, said, "VALUE %s %u %zu ", k->name, k->flags, k->len);
	e = expect(k, said);
	e->check = WITH_CAS;
	e->change = k->change;
	append(answers, &answers_len, "\r\n", 2);
	expect_data(e, k, "\r\nEND\r\n");
}

static void op_gets_many(struct key *k)
{
	size_t said = asked_len;
	unsigned n = 2 + (unsigned)below(5), first = (unsigned)(k - keys) % (KEYS - 8);
	struct expectation *e;

	if (first >= KEYS - 8 - LARGE_KEYS)
		first = 0;
	ask("get");
	for (unsigned i = 0; i < n; i++)
		ask(" %s", keys[first + i].name);
	ask("\r\n");
	e = expect(k, said);
	for (unsigned i = 0; i < n; i++) {
		struct key *one = &keys[first + i];

		if (!is_there(one))
			continue;
		answers_len += (size_t)sprintf(answers + answers_len, "VALUE %s %u %zu\r\n",
					       one->name, one->flags, one->len);
		expect_data(e, one, "\r\n");
	}
	append(answers, &answers_len, "END\r\n", 5);
	e->len = answers_len - e->at;
}

static void op_delete(struct key *k)
{
	size_t said = asked_len;
	bool there = is_there(k);

	ask("delete %s%s\r\n", k->name, lossy ? " noreply" : "");
	k->present = false;
	if (!lossy)
		expect_line(k, said, there ? "DELETED\r\n" : "NOT_FOUND\r\n");
}

static void op_count(struct key *k)
{
	size_t said = asked_len;
	bool up = peer || below(2);
	uint64_t by = rnd() >> below(47), n;

	/* A value sent by reference is held, and then a shorter number does not keep its length. */
	if (is_there(k) && value_number(k, &n) && (k->len > BY_REFERENCE || (peer && n + by < n)))
		return;
	ask("%s %s %llu\r\n", up ? "incr" : "decr", k->name, (unsigned long long)by);
	if (!is_there(k)) {
		expect_line(k, said, "NOT_FOUND\r\n");
	} else if (!value_number(k, &n)) {
		expect_line(k, said,
			    "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
	} else {
		n = up ? n + by : by > n ? 0 : n - by;
		value_set_number(k, n);
		expect_line(k, said, "%llu\r\n", (unsigned long long)n);
	}
}

static void op_touch(struct key *k)
{
	size_t said = asked_len;
	int64_t exptime = random_exptime();
	bool there = is_there(k);

	ask("touch %s %lld%s\r\n", k->name, (long long)exptime, lossy ? " noreply" : "");
	if (there)
		k->expires = expires_at(exptime);
	if (!lossy)
		expect_line(k, said, there ? "TOUCHED\r\n" : "NOT_FOUND\r\n");
}

static void op_gat(struct key *k)
{
	size_t said = asked_len;
	int64_t exptime = random_exptime();
	struct expectation *e;

	ask("gat %lld %s\r\n", (long long)exptime, k->name);
	if (!is_there(k)) {
		expect_line(k, said, "END\r\n");
		return;
	}
	k->expires = expires_at(exptime);
	e = expect(k, said);
	answers_len += (size_t)sprintf(answers + e->at, "VALUE %s %u %zu\r\n", k->name, k->flags,
				       k->len);
	expect_data(e, k, "\r\nEND\r\n");
}

static void op_meta_get(struct key *k)
{
	size_t said = asked_len;
	struct expectation *e;

	ask("mg %s s t f v\r\n", k->name);
	if (!is_there(k)) {
		expect_line(k, said, "EN\r\n");
		return;
	}
	e = expect(k, said);
	answers_len += (size_t)sprintf(answers + e->at, "VA %zu s%zu t%lld f%u\r\n", k->len, k->len,
				       k->expires ? (long long)(k->expires - now) : -1, k->flags);
	if (!with_time && k->expires) {  /* the time to live is not known to the second */
		answers_len = e->at;
		batch_len--;
		asked_len = said;
		return;
	}
	expect_data(e, k, "\r\n");
}

static void op_meta_set(struct key *k)
{
	static char data[VALUE_MAX];
	size_t said = asked_len, len = random_value(k, data);

	ask("ms %s %zu T0 F%u\r\n", k->name, len, 5);
	append(asked, &asked_len, data, len);
	ask("\r\n");
	store(k, data, len, 5, 0);
	expect_line(k, said, "HD\r\n");
}

static void op_meta_delete(struct key *k)
{
	size_t said = asked_len;

	ask("md %s\r\n", k->name);
	expect_line(k, said, is_there(k) ? "HD\r\n" : "NF\r\n");
	k->present = false;
}

/* Everything goes, or will. */
static void op_flush(struct key *k)
{
	size_t said = asked_len;
	int64_t delay = with_time && below(2) ? 2 + (int64_t)below(20) : 0;

	if (delay) {
		for (unsigned i = 0; i < KEYS; i++)
			is_there(&keys[i]);  /* what an earlier flush has killed stays dead */
		ask("flush_all %lld\r\n", (long long)delay);
		flush_due = now + delay - 1;
	} else {
		ask("flush_all\r\n");
		flush_due = 0;
		for (unsigned i = 0; i < KEYS; i++)
			keys[i].present = false;
	}
	expect_line(k, said, "OK\r\n");
}

static void op_time(struct key *k)
{
	static const int64_t some[] = { 1, 1, 1, 2, 10, 59, 600, 5000, 100001 };
	size_t said = asked_len;
	int64_t step = some[below(below(8) ? 5 : 9)];

	/* The server adds the sum of all that was ever said. */
	ask("debugtime %lld\r\n", (long long)(step - moved));
	moved = step;
	now += step;
	expect_line(k, said, "OK\r\n");
}

static void operation(void)
{
	struct key *k = random_key();
	uint64_t n = below(1000);

	if (n < 350)
		op_store(k);
	else if (n < 650)
		op_get(k);
	else if (n < 690)
		op_delete(k);
	else if (n < 730)
		op_touch(k);
	else if (n < 745)
		with_time ? op_time(k) : op_get(k);
	else if (n == 745 && below(20) == 0)
		op_flush(k);
	else if (lossy)
		op_store(k);
	else if (n < 800)
		op_gets(k);
	else if (n < 830)
		op_gets_many(k);
	else if (n < 900)
		op_count(k);
	else if (n < 920)
		op_gat(k);
	else if (n < 960)
		op_meta_get(k);
	else if (n < 980)
		op_meta_set(k);
	else
		op_meta_delete(k);
}

/* ---- the conversation ---- */

static void send_all(const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(server, data, len);

		if (n <= 0)
			fail("the server hears nothing more");
		data += n;
		len -= (size_t)n;
	}
}

/* At least `len` bytes of input, or all that comes within a time. */
static const char *need(size_t len)
{
	while (input_len - input_at < len) {
		ssize_t n;

		if (input_at > 0) {
			memmove(input, input + input_at, input_len - input_at);
			input_len -= input_at;
			input_at = 0;
		}
		n = read(server, input + input_len, sizeof(input) - input_len);
		if (n <= 0)
			break;
		input_len += (size_t)n;
	}
	return input + input_at;
}

static void show(const char *what, const char *text, size_t len)
{
	fprintf(stderr, "%s (%zu bytes): %.*s\n", what, len, (int)(len < 300 ? len : 300), text);
}

static void differ(const struct expectation *e, const char *why)
{
	fprintf(stderr, "model: %s: %s\n", e->key->name, why);
	show("asked", asked + e->said, e->said_len);
	show("expected", answers + e->at, e->len);
	show("got", input + input_at, input_len - input_at);
	for (unsigned i = history_len > HISTORY ? history_len - HISTORY : 0; i < history_len; i++)
		fprintf(stderr, "before: %s\n", history[i % HISTORY]);
	exit(1);
}

static bool comes(const struct expectation *e)
{
	const char *got = need(e->len);

	return input_len - input_at >= e->len && memcmp(got, answers + e->at, e->len) == 0;
}

static void check_cas(struct expectation *e)
{
	/* of the number at least so much that it is complete */
	const char *got = need(e->len + 1);
	char *end;
	uint64_t cas = strtoull(got, &end, 10);
	struct key *k = e->key;

	if (k->cas_change == e->change ? cas != k->cas : cas == k->cas)
		differ(e, "the CAS number says something else than the model");
	k->cas = cas;
	k->cas_change = e->change;
	input_at += (size_t)(end - got);
	if (!comes(e))
		differ(e, "another answer");
	input_at += e->len;
}

static void check(struct expectation *e)
{
	if (e->check == WITH_CAS) {
		check_cas(e);
		return;
	}
	if (e->check == MAYBE && memcmp(need(5), "END\r\n", 5) == 0) {
		input_at += 5;
		return;
	}
	if (!comes(e))
		differ(e, "another answer");
	input_at += e->len;
	snprintf(history[history_len++ % HISTORY], sizeof(history[0]), "%.*s",
		 (int)(e->said_len < 80 ? e->said_len : 80), asked + e->said);
}

static void batch_run(unsigned operations)
{
	asked_len = answers_len = batch_len = 0;
	while (operations-- > 0 && asked_len < BATCH_BYTES && answers_len < BATCH_BYTES)
		operation();
	send_all(asked, asked_len);
	for (unsigned i = 0; i < batch_len; i++)
		check(&batch[i]);
}

/* Stops the server's clock, and asks what it shows. */
static void clock_learn(void)
{
	const char *line;

	send_all("debugtime p\r\n", 13);
	if (memcmp(need(4), "OK\r\n", 4) != 0)
		fail("this server has no debugtime");
	input_at += 4;
	send_all("stats\r\n", 7);
	do {
		line = need(input_len - input_at + 1);
	} while (input_len < 5 || memcmp(input + input_len - 5, "END\r\n", 5) != 0);
	input[input_len - 1] = '\0';
	line = strstr(line, "STAT time ");
	if (!line)
		fail("no time in stats");
	date_offset = atoll(line + 10) - now;
	input_at = input_len = 0;
}

static void server_connect(const char *host, const char *port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))
	};
	struct timeval patience = { .tv_sec = 20 };

	server = socket(AF_INET, SOCK_STREAM, 0);
	if (inet_pton(AF_INET, host, &addr.sin_addr) != 1 ||
	    connect(server, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		fail("no server there");
	setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

int main(int argc, char **argv)
{
	uint64_t left;

	if (argc != 6)
		fail("usage: model HOST PORT SEED OPERATIONS time|still|lossy|peer");
	random_state = strtoull(argv[3], NULL, 10) * 0x9e3779b97f4a7c15 + 1;
	left = strtoull(argv[4], NULL, 10);
	lossy = strcmp(argv[5], "lossy") == 0;
	peer = strcmp(argv[5], "peer") == 0;
	with_time = strcmp(argv[5], "still") != 0;
	server_connect(argv[1], argv[2]);
	for (unsigned i = 0; i < KEYS; i++)
		snprintf(keys[i].name, sizeof(keys[i].name), "key-%.*s%u", (int)(i % 15),
			 "abcdefghijklmno", i);
	if (with_time)
		clock_learn();
	while (left > 0) {
		unsigned n = left < BATCH_OPS ? (unsigned)left : BATCH_OPS;

		batch_run(n);
		left -= n;
	}
	return 0;
}
