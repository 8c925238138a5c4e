/*
 * The binary protocol: packets, and which command they name.
 *
 * A request is worked off when its header, extras and key are there; a value that follows is taken
 * like that of the text protocol. Quiet opcodes are the loud ones without the ordinary answer: what
 * is found by a quiet get, and every error except a miss, is still said.
 */
#include "binary.h"

#include <endian.h>
#include <stdio.h>

#include "settings.h"
#include "text.h"

enum {
	KEY = 1,                   /* must have a key; otherwise it must not */
	VALUE = 2,                 /* may have a value */
	LOOSE = 4,                 /* memcached looks at nothing but the extras */
	OPTIONAL = 8,              /* the extras may be missing */
	QUIET = 16,
};

struct command {
	void (*run)(struct conn *c, const struct binary_request *r);
	uint8_t opcode;            /* the loud one */
	uint8_t extras_len;
	uint8_t shape;
};

static const struct command COMMANDS[] = {
	[BINARY_GET] = { binary_get, BINARY_GET, 0, KEY },
	[BINARY_GETQ] = { binary_get, BINARY_GET, 0, KEY | QUIET },
	[BINARY_GETK] = { binary_get, BINARY_GETK, 0, KEY },
	[BINARY_GETKQ] = { binary_get, BINARY_GETK, 0, KEY | QUIET },
	[BINARY_TOUCH] = { binary_get, BINARY_TOUCH, 4, KEY | LOOSE },
	[BINARY_GAT] = { binary_get, BINARY_GAT, 4, KEY | LOOSE },
	[BINARY_GATQ] = { binary_get, BINARY_GAT, 4, KEY | LOOSE | QUIET },
	[BINARY_GATK] = { binary_get, BINARY_GATK, 4, KEY | LOOSE },
	[BINARY_GATKQ] = { binary_get, BINARY_GATK, 4, KEY | LOOSE | QUIET },
	[BINARY_SET] = { binary_store, BINARY_SET, 8, KEY | VALUE },
	[BINARY_SETQ] = { binary_store, BINARY_SET, 8, KEY | VALUE | QUIET },
	[BINARY_ADD] = { binary_store, BINARY_ADD, 8, KEY | VALUE },
	[BINARY_ADDQ] = { binary_store, BINARY_ADD, 8, KEY | VALUE | QUIET },
	[BINARY_REPLACE] = { binary_store, BINARY_REPLACE, 8, KEY | VALUE },
	[BINARY_REPLACEQ] = { binary_store, BINARY_REPLACE, 8, KEY | VALUE | QUIET },
	[BINARY_APPEND] = { binary_store, BINARY_APPEND, 0, KEY | VALUE },
	[BINARY_APPENDQ] = { binary_store, BINARY_APPEND, 0, KEY | VALUE | QUIET },
	[BINARY_PREPEND] = { binary_store, BINARY_PREPEND, 0, KEY | VALUE },
	[BINARY_PREPENDQ] = { binary_store, BINARY_PREPEND, 0, KEY | VALUE | QUIET },
	[BINARY_INCR] = { binary_count, BINARY_INCR, 20, KEY },
	[BINARY_INCRQ] = { binary_count, BINARY_INCR, 20, KEY | QUIET },
	[BINARY_DECR] = { binary_count, BINARY_DECR, 20, KEY },
	[BINARY_DECRQ] = { binary_count, BINARY_DECR, 20, KEY | QUIET },
	[BINARY_DELETE] = { binary_delete, BINARY_DELETE, 0, KEY },
	[BINARY_DELETEQ] = { binary_delete, BINARY_DELETE, 0, KEY | QUIET },
	[BINARY_STAT] = { binary_show_stats, BINARY_STAT, 0, LOOSE },
	[BINARY_FLUSH] = { binary_flush, BINARY_FLUSH, 4, OPTIONAL },
	[BINARY_FLUSHQ] = { binary_flush, BINARY_FLUSH, 4, OPTIONAL | QUIET },
	[BINARY_VERSION] = { binary_version, BINARY_VERSION, 0, 0 },
	[BINARY_NOOP] = { binary_noop, BINARY_NOOP, 0, 0 },
	[BINARY_QUIT] = { binary_quit, BINARY_QUIT, 0, 0 },
	[BINARY_QUITQ] = { binary_quit, BINARY_QUIT, 0, QUIET },
	[BINARY_SASL_LIST] = { binary_no_sasl, BINARY_SASL_LIST, 0, 0 },
	[BINARY_SASL_AUTH] = { binary_no_sasl, BINARY_SASL_AUTH, 0, KEY | VALUE },
	[BINARY_SASL_STEP] = { binary_no_sasl, BINARY_SASL_STEP, 0, KEY | VALUE },
};

uint32_t binary_u32(const uint8_t *p)
{
	uint32_t n;

	memcpy(&n, p, sizeof(n));
	return be32toh(n);
}

uint64_t binary_u64(const uint8_t *p)
{
	uint64_t n;

	memcpy(&n, p, sizeof(n));
	return be64toh(n);
}

/* ---- answers ---- */

uint8_t *binary_put_header(uint8_t *to, const struct conn *c, enum binary_status status,
			   const struct binary_answer *a)
{
	uint32_t body = htobe32(a->extras_len + a->key_len + a->value_len + a->value_later);
	uint64_t cas = htobe64(a->cas);

	to[0] = BINARY_ANSWER;
	to[1] = c->opcode;
	to[2] = (uint8_t)(a->key_len >> 8);
	to[3] = (uint8_t)a->key_len;
	to[4] = a->extras_len;
	to[5] = 0;
	to[6] = 0;
	to[7] = (uint8_t)status;
	memcpy(to + 8, &body, sizeof(body));
	memcpy(to + 12, &c->opaque, sizeof(c->opaque));
	memcpy(to + 16, &cas, sizeof(cas));
	to += BINARY_HEADER;
	memcpy(to, a->extras, a->extras_len);
	memcpy(to + a->extras_len, a->key, a->key_len);
	return to + a->extras_len + a->key_len;
}

void binary_send(struct conn *c, enum binary_status status, const struct binary_answer *a)
{
	size_t len = BINARY_HEADER + a->extras_len + a->key_len + a->value_len;
	uint8_t *start = conn_reserve(c, len), *p;

	if (!start) {
		conn_fail(c);
		return;
	}
	p = binary_put_header(start, c, status, a);
	memcpy(p, a->value, a->value_len);
	conn_commit(c, len);
}

void binary_done(struct conn *c, uint64_t cas)
{
	if (!c->noreply)
		binary_send(c, BINARY_OK,
			    &(struct binary_answer){
				    .cas = cas, .extras = "", .key = "", .value = "" });
}

static const char *usual_text(enum binary_status status)
{
	switch (status) {
	case BINARY_NOT_FOUND:
		return "Not found";
	case BINARY_EXISTS:
		return "Data exists for key.";
	case BINARY_TOO_LARGE:
		return "Too large.";
	case BINARY_INVALID:
		return "Invalid arguments";
	case BINARY_NOT_STORED:
		return "Not stored.";
	case BINARY_NON_NUMERIC:
		return "Non-numeric server-side value for incr or decr";
	case BINARY_AUTH_ERROR:
		return "Auth failure.";
	case BINARY_UNKNOWN:
		return "Unknown command";
	case BINARY_NO_MEMORY:
		return "Out of memory";
	case BINARY_OK:
		break;
	}
	return "";
}

void binary_refuse(struct conn *c, enum binary_status status, const char *text)
{
	const char *say = text ? text : usual_text(status);

	binary_send(c, status, &(struct binary_answer){
		.extras = "", .key = "", .value = say, .value_len = (uint32_t)strlen(say) });
}

void binary_hang_up(struct conn *c)
{
	binary_refuse(c, BINARY_INVALID, NULL);
	conn_quit(c);
}

/* ---- requests ---- */

static bool shape_is_right(const struct command *cmd, const struct binary_request *r)
{
	bool extras = r->extras_len == cmd->extras_len ||
		      (cmd->shape & OPTIONAL && r->extras_len == 0);

	if (!extras || (cmd->shape & KEY && r->key_len == 0))
		return false;
	if (cmd->shape & LOOSE)
		return true;
	return (cmd->shape & KEY || r->key_len == 0) && (cmd->shape & VALUE || r->value_len == 0);
}

static const struct command *command_find(uint8_t opcode)
{
	bool known = opcode < sizeof(COMMANDS) / sizeof(COMMANDS[0]) && COMMANDS[opcode].run;

	return known ? &COMMANDS[opcode] : NULL;
}

/* An opcode that means nothing: memcached skips as many bytes as the whole body had. */
static void unknown_command(struct conn *c, uint32_t body_len)
{
	c->noreply = false;
	binary_refuse(c, BINARY_UNKNOWN, NULL);
	conn_swallow(c, body_len);
}

static void run(struct conn *c, struct binary_request *r)
{
	const struct command *cmd = command_find(c->opcode);

	if (!cmd) {
		unknown_command(c, r->extras_len + r->key_len + r->value_len);
		return;
	}
	c->noreply = cmd->shape & QUIET;
	r->opcode = cmd->opcode;
	if (shape_is_right(cmd, r))
		cmd->run(c, r);
	else
		binary_hang_up(c);
}

/* Lengths that contradict each other, or a key that no item has. True: the connection is over. */
static bool header_is_wrong(struct conn *c, const struct binary_request *r, uint32_t body_len)
{
	if ((uint32_t)r->key_len + r->extras_len > body_len) {
		binary_refuse(c, BINARY_UNKNOWN, NULL);
		conn_quit(c);
		return true;
	}
	if (r->key_len > KEY_MAX) {
		binary_hang_up(c);
		return true;
	}
	return false;
}

size_t binary_command(struct conn *c, const char *data, size_t len)
{
	const uint8_t *p = (const uint8_t *)data;
	struct binary_request r;
	uint32_t body_len;
	size_t size;

	if (len < BINARY_HEADER)
		return 0;
	if (p[0] != BINARY_REQUEST) {
		conn_quit(c);
		return len;
	}
	c->opcode = p[1];
	memcpy(&c->opaque, p + 12, sizeof(c->opaque));
	r.key_len = (uint16_t)(p[2] << 8 | p[3]);
	r.extras_len = p[4];
	body_len = binary_u32(p + 8);
	if (header_is_wrong(c, &r, body_len))
		return len;
	size = BINARY_HEADER + r.extras_len + r.key_len;
	if (len < size)
		return 0;
	r.cas = binary_u64(p + 16);
	r.extras = p + BINARY_HEADER;
	r.key = data + BINARY_HEADER + r.extras_len;
	r.value_len = body_len - r.extras_len - r.key_len;
	c->last_command = clock_now;
	if (settings.verbose > 1)
		fprintf(stderr, "<%d opcode 0x%02x %.*s\n", conn_id(c), c->opcode, r.key_len,
			r.key);
	run(c, &r);
	return size;
}
