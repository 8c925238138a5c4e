/*
 * The monitor's HTTP server: a few clients, GET and HEAD, one request of a client at a time.
 *
 * It runs in a loop of its own in a thread of its own, so that it answers while the application is
 * busy, and costs the application's own loop nothing. Whoever connects is not trusted:
 *
 *   memory   CLIENTS_MAX clients, then the one that has waited longest for nothing makes room, and
 *            when all are being answered a new one is refused. An answer is written a piece at a
 *            time and stands still while BACKLOG_MAX of it wait to be taken, so a client holds that
 *            much and a request's head. What follows a request stays unread until it is answered.
 *   time     a head must be complete HEAD_NS after the connection or its first byte, an answer
 *            taken ANSWER_NS after its request (and what the page itself needs); a connection
 *            without a request lasts IDLE_NS.
 *
 * One timer looks after all of this: often while an answer waits, else at the next deadline.
 * Answers to HTTP/1.1 are chunked, since nobody knows their length; those to 1.0 end with the
 * connection.
 */
#include "monitor.h"

#define CLIENTS_MAX  8
#define BACKLOG_MAX  4096u
#define PIECE_ROOM   16384u
#define PIECE_ENOUGH 2048u
#define CHUNK_HEAD   8u              /* the size in hexadecimal, and CR LF */
#define CHUNK_TAIL   2u

#define NS_PER_MS    1000000ull
#define TICK_NS      (5 * NS_PER_MS)
#define HEAD_NS      (10000 * NS_PER_MS)
#define ANSWER_NS    (60000 * NS_PER_MS)
#define IDLE_NS      (75000 * NS_PER_MS)
#define REFUSED_NS   (500 * NS_PER_MS)

#define REFUSED      (-12)           /* -ENOMEM, in every C library of Linux */

enum client_state {
	CLIENT_FREE,
	CLIENT_IDLE,       /* between requests */
	CLIENT_ASKING,     /* in the middle of one */
	CLIENT_ANSWERED,   /* its answer is being written; its input waits */
	CLIENT_REFUSED,    /* whatever it still sends is thrown away, so that it sees why */
	CLIENT_CLOSING,
};

struct client {
	struct stream *stream;
	enum client_state state;
	struct answer answer;            /* [CLIENT_ANSWERED] */
	bool in_chunks, keep_alive, is_refused; /* [CLIENT_ANSWERED] */
	uint64_t deadline_ns;            /* until then this state may last */
};

/* All of it belongs to the loop's thread. */
static struct client clients[CLIENTS_MAX];
static struct stream_loop *server_loop;
static struct stream_timer timer;
static char piece[CHUNK_HEAD + PIECE_ROOM + CHUNK_TAIL];

extern const struct monitor_page *const __start_monitor_pages[];
extern const struct monitor_page *const __stop_monitor_pages[];

static void tick(struct stream_timer *t);

static uint64_t next_deadline(void)
{
	uint64_t deadline = UINT64_MAX;

	for (struct client *c = clients; c < clients + CLIENTS_MAX; c++) {
		if (c->state == CLIENT_ANSWERED)
			return stream_now_ns() + TICK_NS;
		if (c->state != CLIENT_FREE && c->deadline_ns < deadline)
			deadline = c->deadline_ns;
	}
	return deadline;
}

static void watch(void)
{
	uint64_t deadline = next_deadline();

	stream_timer_cancel(server_loop, &timer);
	if (deadline != UINT64_MAX)
		stream_timer_arm(server_loop, &timer, deadline, tick);
}

static void enter(struct client *c, enum client_state state, uint64_t lasts_ns)
{
	c->state = state;
	c->deadline_ns = stream_now_ns() + lasts_ns;
}

static void answer_end(struct client *c)
{
	const struct monitor_page *page = c->answer.page;

	c->answer.page = NULL;
	if (page && page->end)
		page->end(&c->answer);
}

/* ---- writing ---- */

static void hang_up(struct client *c)
{
	answer_end(c);
	enter(c, CLIENT_CLOSING, ANSWER_NS);
	stream_close(c->stream);
}

static void write_out(struct client *c, const char *bytes, size_t len)
{
	if (stream_write(c->stream, bytes, len) && c->state != CLIENT_CLOSING) {
		answer_end(c);
		enter(c, CLIENT_CLOSING, ANSWER_NS);
		stream_abort(c->stream);
	}
}

/* The text stands behind CHUNK_HEAD bytes of `piece`; the chunk's size goes in front of it. */
static void write_piece(struct client *c, struct textbuf *t)
{
	char head[CHUNK_HEAD + 1];
	struct textbuf size = { .at = head, .room = sizeof(head) };

	if (!c->in_chunks) {
		write_out(c, t->at, t->len);
		return;
	}
	textbuf_add_hex(&size, t->len);
	textbuf_add(&size, "\r\n");
	__builtin_memcpy(t->at - size.len, head, size.len);
	__builtin_memcpy(t->at + t->len, "\r\n", CHUNK_TAIL);
	write_out(c, t->at - size.len, size.len + t->len + CHUNK_TAIL);
}

static void answer_complete(struct client *c)
{
	answer_end(c);
	if (c->in_chunks)
		write_out(c, "0\r\n\r\n", 5);
	if (c->state == CLIENT_CLOSING)
		return;
	if (!c->keep_alive && !c->is_refused) {
		hang_up(c);
		return;
	}
	if (c->is_refused)
		enter(c, CLIENT_REFUSED, REFUSED_NS);
	else
		enter(c, CLIENT_IDLE, IDLE_NS);
	stream_pause(c->stream, false);
}

/* Writes until the page has nothing to say for now, or the client has enough to take. */
static void answer_more(struct client *c)
{
	while (c->state == CLIENT_ANSWERED && stream_backlog(c->stream) <= BACKLOG_MAX) {
		struct textbuf t = { .at = piece + CHUNK_HEAD, .room = PIECE_ROOM };

		while (!c->answer.is_over && t.len < PIECE_ENOUGH) {
			size_t before = t.len;

			c->answer.page->more(&c->answer, &t);
			if (t.len == before)
				break;
		}
		if (t.len)
			write_piece(c, &t);
		if (c->state == CLIENT_ANSWERED && c->answer.is_over)
			answer_complete(c);
		else if (!t.len)
			break;
	}
	if (c->state != CLIENT_FREE)
		stream_flush(c->stream);
}

/* `len`: of the answer, where it is known. */
static void write_head(struct client *c, unsigned status, const char *type, size_t len)
{
	char head[256];
	struct textbuf t = { .at = head, .room = sizeof(head) };

	textbuf_add(&t, "HTTP/1.1 ");
	textbuf_add_number(&t, status);
	textbuf_add_char(&t, ' ');
	textbuf_add(&t, http_reason(status));
	textbuf_add(&t, "\r\nContent-Type: ");
	textbuf_add(&t, type);
	textbuf_add(&t, "\r\nCache-Control: no-store\r\n");
	if (len) {
		textbuf_add(&t, "Content-Length: ");
		textbuf_add_number(&t, len);
		textbuf_add(&t, "\r\n");
	}
	if (c->in_chunks)
		textbuf_add(&t, "Transfer-Encoding: chunked\r\n");
	if (status == 405)
		textbuf_add(&t, "Allow: GET, HEAD\r\n");
	if (status == 503)
		textbuf_add(&t, "Retry-After: 1\r\n");
	if (!c->keep_alive)
		textbuf_add(&t, "Connection: close\r\n");
	textbuf_add(&t, "\r\n");
	write_out(c, head, t.len);
}

/* ---- requests ---- */

/* An error is a page, too: its reason in one line. */
static void error_write(struct textbuf *t, const char *reason)
{
	textbuf_add(t, reason);
	textbuf_add(t, ".\n");
}

static void error_more(struct answer *a, struct textbuf *t)
{
	error_write(t, a->at);
	a->is_over = true;
}

static size_t error_len(unsigned status)
{
	char text[64];
	struct textbuf t = { .at = text, .room = sizeof(text) };

	error_write(&t, http_reason(status));
	return t.len;
}

static const struct monitor_page error_page = { .type = "text/plain", .more = error_more };

static const struct monitor_page *page_find(struct http_word path)
{
	for (const struct monitor_page *const *p = __start_monitor_pages; p < __stop_monitor_pages;
	     p++) {
		if (http_word_is(path, (*p)->path))
			return *p;
	}
	return NULL;
}

/* What the request comes to: a page, begun unless only its head is wanted, or an error's status. */
static unsigned page_choose(struct client *c, const struct http_request *r, bool is_head,
			    uint64_t *patience_ns)
{
	const struct monitor_page *page;
	unsigned status = r->status;

	if (status)
		return status;
	if (!is_head && !http_word_is(r->method, "GET"))
		return 405;
	page = page_find(r->path);
	if (!page)
		return 404;
	c->answer = (struct answer){ .page = page, .is_over = is_head };
	status = page->begin && !is_head ? page->begin(&c->answer, r->query, patience_ns) : 0;
	return status ? status : 200;
}

static void answer_begin(struct client *c, const struct http_request *r)
{
	bool is_head = http_word_is(r->method, "HEAD"), is_error;
	uint64_t patience_ns = 0;
	unsigned status = page_choose(c, r, is_head, &patience_ns);
	const char *type;

	is_error = status != 200;
	if (is_error)
		c->answer = (struct answer){
			.page = &error_page, .at = http_reason(status), .is_over = is_head
		};
	type = c->answer.page->type;
	if (is_head)
		c->answer.page = NULL;       /* it was not begun */
	c->keep_alive = r->keep_alive;
	c->is_refused = r->status != 0;
	c->in_chunks = r->is_1_1 && !is_error;
	enter(c, CLIENT_ANSWERED, ANSWER_NS + patience_ns);
	stream_pause(c->stream, true);
	write_head(c, status, type, is_error ? error_len(status) : 0);
	c->in_chunks &= !is_head;
	answer_more(c);
}

static size_t client_received(struct stream *s, const uint8_t *data, size_t len)
{
	struct client *c = stream_user(s);
	struct http_request request;
	size_t taken;

	if (!c || c->state == CLIENT_CLOSING || c->state == CLIENT_REFUSED)
		return len;
	taken = http_parse(data, len, &request);
	if (!taken && c->state == CLIENT_IDLE)
		enter(c, CLIENT_ASKING, HEAD_NS);
	else if (taken)
		answer_begin(c, &request);
	watch();
	return taken;
}

/* ---- clients ---- */

/* A free place, or that of the client who would be the first to be sent away for silence. */
static struct client *client_place(void)
{
	struct client *longest = NULL;

	for (struct client *c = clients; c < clients + CLIENTS_MAX; c++) {
		if (c->state == CLIENT_FREE)
			return c;
		if (c->state != CLIENT_ANSWERED &&
		    (!longest || c->deadline_ns < longest->deadline_ns))
			longest = c;
	}
	if (longest) {
		stream_set_user(longest->stream, NULL);
		stream_abort(longest->stream);
	}
	return longest;
}

static int client_opened(struct stream *s)
{
	struct client *c = client_place();

	if (!c)
		return REFUSED;
	*c = (struct client){ .stream = s };
	stream_set_user(s, c);
	enter(c, CLIENT_IDLE, HEAD_NS);
	watch();
	return 0;
}

static void client_closed(struct stream *s, int error)
{
	struct client *c = stream_user(s);

	(void)error;
	if (!c)
		return;              /* it had to make room */
	answer_end(c);
	c->state = CLIENT_FREE;
	watch();
}

/* The peer will ask for nothing more; what it asked for it gets. */
static void client_ended(struct stream *s)
{
	struct client *c = stream_user(s);

	if (!c)
		return;
	if (c->state == CLIENT_ANSWERED)
		c->keep_alive = false;
	else if (c->state != CLIENT_CLOSING)
		hang_up(c);
}

static void client_look_after(struct client *c, uint64_t now)
{
	if (c->state == CLIENT_ANSWERED)
		answer_more(c);
	if (c->state == CLIENT_FREE || now < c->deadline_ns)
		return;
	if (c->state == CLIENT_IDLE || c->state == CLIENT_REFUSED) {
		hang_up(c);
	} else {
		answer_end(c);
		enter(c, CLIENT_CLOSING, ANSWER_NS);
		stream_abort(c->stream);
	}
}

static void tick(struct stream_timer *t)
{
	uint64_t now = stream_now_ns();

	(void)t;
	for (struct client *c = clients; c < clients + CLIENTS_MAX; c++)
		client_look_after(c, now);
	watch();
}

/* ---- the port ---- */

/* Socket addresses as Linux lays them out; not every image has a header that says so. */
struct address {
	uint16_t family;
	uint8_t port[2];
	uint8_t rest[24];
};

int monitor_listen(struct stream_loop *loop, unsigned port)
{
	static const struct stream_ops ops = {
		.opened = client_opened,
		.received = client_received,
		.ended = client_ended,
		.closed = client_closed,
	};
	static const struct stream_options options = {
		.max_pending = 2 * HTTP_HEAD_MAX,
		.backlog = CLIENTS_MAX,
		.nodelay = true,
	};
	struct address a = { .family = 10, .port = { (uint8_t)(port >> 8), (uint8_t)port } };
	struct stream_listener *listener;
	int error;

	server_loop = loop;
	error = stream_listen(loop, (struct sockaddr *)&a, 28, &ops, &options, NULL, &listener);
	if (!error)
		return 0;
	a.family = 2;
	return stream_listen(loop, (struct sockaddr *)&a, 16, &ops, &options, NULL, &listener);
}
