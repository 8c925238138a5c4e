/*
 * The binary protocol: packets of a 24-byte header, extras, a key and a value, all numbers
 * big-endian.
 *
 *     magic  opcode  key length (2)  extras length  data type  status, or reserved (2)
 *     length of extras, key and value together (4)    opaque (4)    CAS number (8)
 */
#ifndef MEMCACHED_BINARY_H
#define MEMCACHED_BINARY_H

#include "conn.h"

enum {
	BINARY_REQUEST = 0x80,
	BINARY_ANSWER = 0x81,
	BINARY_HEADER = 24,
};

enum binary_opcode {
	BINARY_GET, BINARY_SET, BINARY_ADD, BINARY_REPLACE, BINARY_DELETE, BINARY_INCR, BINARY_DECR,
	BINARY_QUIT, BINARY_FLUSH, BINARY_GETQ, BINARY_NOOP, BINARY_VERSION, BINARY_GETK,
	BINARY_GETKQ, BINARY_APPEND, BINARY_PREPEND, BINARY_STAT, BINARY_SETQ, BINARY_ADDQ,
	BINARY_REPLACEQ, BINARY_DELETEQ, BINARY_INCRQ, BINARY_DECRQ, BINARY_QUITQ, BINARY_FLUSHQ,
	BINARY_APPENDQ, BINARY_PREPENDQ, BINARY_TOUCH = 0x1c, BINARY_GAT, BINARY_GATQ,
	BINARY_SASL_LIST = 0x20, BINARY_SASL_AUTH, BINARY_SASL_STEP, BINARY_GATK, BINARY_GATKQ,
};

enum binary_status {
	BINARY_OK, BINARY_NOT_FOUND, BINARY_EXISTS, BINARY_TOO_LARGE, BINARY_INVALID,
	BINARY_NOT_STORED, BINARY_NON_NUMERIC, BINARY_AUTH_ERROR = 0x20, BINARY_UNKNOWN = 0x81,
	BINARY_NO_MEMORY,
};

/* A request, where it lies in the receive buffer. */
struct binary_request {
	const char *key;
	const uint8_t *extras;
	uint64_t cas;
	uint32_t value_len;        /* bytes that follow the key */
	uint16_t key_len;
	uint8_t extras_len;
	uint8_t opcode;            /* never a quiet one: those set conn->noreply */
};

/* One request without its value, if it is complete. Returns how many bytes it took. */
size_t binary_command(struct conn *c, const char *data, size_t len);
/* The value of a store command has arrived in c->item. */
void binary_value_complete(struct conn *c);
/* One packet of the answer to STAT; an empty name ends it. */
void binary_stat(struct conn *c, const char *name, const char *value, size_t len);

/* ---- between the files of the binary protocol ---- */

/* What an answer consists of; zero for what it has not. */
struct binary_answer {
	uint64_t cas;
	const void *extras, *key, *value;
	uint32_t value_len;        /* may be followed by value_send() */
	uint32_t value_later;      /* bytes of value that the caller sends */
	uint16_t key_len;
	uint8_t extras_len;
};

uint32_t binary_u32(const uint8_t *p);
uint64_t binary_u64(const uint8_t *p);
uint8_t *binary_put_header(uint8_t *to, const struct conn *c, enum binary_status status,
			   const struct binary_answer *a);
/* An answer of at most STREAM_RESERVE_MAX bytes. */
void binary_send(struct conn *c, enum binary_status status, const struct binary_answer *a);
/* Success without a body; nothing if the command is quiet. */
void binary_done(struct conn *c, uint64_t cas);
/* An error, said even to the quiet; text NULL: the usual one. */
void binary_refuse(struct conn *c, enum binary_status status, const char *text);
/* An error of the client after which nothing it sends can be trusted. */
void binary_hang_up(struct conn *c);

void binary_get(struct conn *c, const struct binary_request *r);
void binary_store(struct conn *c, const struct binary_request *r);
void binary_count(struct conn *c, const struct binary_request *r);
void binary_delete(struct conn *c, const struct binary_request *r);
void binary_show_stats(struct conn *c, const struct binary_request *r);
void binary_flush(struct conn *c, const struct binary_request *r);
void binary_version(struct conn *c, const struct binary_request *r);
void binary_noop(struct conn *c, const struct binary_request *r);
void binary_quit(struct conn *c, const struct binary_request *r);
void binary_no_sasl(struct conn *c, const struct binary_request *r);

#endif
