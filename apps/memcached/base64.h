/*
 * Base64 (RFC 4648, section 4), for keys that are not text.
 */
#ifndef MEMCACHED_BASE64_H
#define MEMCACHED_BASE64_H

#include <stddef.h>

#define BASE64_ENCODED(len) (((len) + 2) / 3 * 4)

/* Writes BASE64_ENCODED(len) characters, returns the end. */
char *base64_encode(char *to, const char *from, size_t len);
/* Decodes into `to`, which has room for len / 4 * 3. Returns the length; 0: not base64. */
size_t base64_decode(char *to, const char *from, size_t len);

#endif
