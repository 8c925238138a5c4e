/*
 * Base64 with padding, in both directions.
 */
#include "base64.h"

#include <stdint.h>
#include <string.h>

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(char *to, const char *from, size_t len)
{
	while (len > 0) {
		size_t n = len < 3 ? len : 3;
		uint32_t bits = (uint32_t)(uint8_t)from[0] << 16;

		bits |= n > 1 ? (uint32_t)(uint8_t)from[1] << 8 : 0;
		bits |= n > 2 ? (uint8_t)from[2] : 0;
		*to++ = ALPHABET[bits >> 18];
		*to++ = ALPHABET[bits >> 12 & 63];
		*to++ = n > 1 ? ALPHABET[bits >> 6 & 63] : '=';
		*to++ = n > 2 ? ALPHABET[bits & 63] : '=';
		from += n;
		len -= n;
	}
	return to;
}

size_t base64_decode(char *to, const char *from, size_t len)
{
	char *start = to;

	if (len == 0 || len % 4 != 0)
		return 0;
	for (; len > 0; len -= 4, from += 4) {
		/* Padding ends the text: one or two characters of the last four. */
		size_t pad = len > 4 ? 0
				     : (size_t)(from[3] == '=') +
					       (from[3] == '=' && from[2] == '=');
		uint32_t bits = 0;

		for (size_t i = 0; i < 4; i++) {
			const char *at = i < 4 - pad && from[i] ? strchr(ALPHABET, from[i]) : NULL;

			if (!at && i < 4 - pad)
				return 0;
			bits = bits << 6 | (at ? (uint32_t)(at - ALPHABET) : 0);
		}
		*to++ = (char)(bits >> 16);
		if (pad < 2)
			*to++ = (char)(bits >> 8);
		if (pad < 1)
			*to++ = (char)bits;
	}
	return (size_t)(to - start);
}
