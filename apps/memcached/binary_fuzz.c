/*
 * Fuzzing the binary protocol. Inputs are lists of packets without what every packet has: a byte
 * each for opcode, key length, extras length and value length, then the bytes; an opcode of 0xff is
 * followed by whole bytes that are taken as they are, to the end.
 */
#include <stdlib.h>
#include <string.h>

#include "stream_fuzz.h"

enum { SHORT_HEADER = 4, HEADER = 24 };

static size_t put_packet(uint8_t *to, const uint8_t *from, size_t body)
{
	memset(to, 0, HEADER);
	to[0] = 0x80;
	to[1] = from[0];
	to[3] = from[1];
	to[4] = from[2];
	to[10] = (uint8_t)(body >> 8);
	to[11] = (uint8_t)body;
	to[23] = from[3] & 1;      /* a CAS number, in every second one */
	memcpy(to + HEADER, from + SHORT_HEADER, body);
	return HEADER + body;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(size * (HEADER + 1) + 1);
	size_t len = 0, at = 0;

	while (size - at > SHORT_HEADER && data[at] != 0xff) {
		size_t body = (size_t)data[at + 1] + data[at + 2] + data[at + 3];

		if (body > size - at - SHORT_HEADER)
			break;
		len += put_packet(bytes + len, data + at, body);
		at += SHORT_HEADER + body;
	}
	memcpy(bytes + len, data + at, size - at);
	fuzz_converse(PROTOCOL_BINARY, bytes, len + size - at);
	free(bytes);
	return 0;
}
