/*
 * Keys and values. A value follows from its key: the key's name, then letters from a place in the
 * alphabet that the key gives. So every reply can be checked without remembering what was stored,
 * and a value that belongs to another key is noticed.
 */
#include <string.h>

#include "loadgen.h"

#define DIGITS 12

static uint64_t random_state;
static char alphabet[VALUE_MAX + 26];

void random_seed(uint64_t seed)
{
	random_state = seed;
	for (unsigned i = 0; i < sizeof(alphabet); i++)
		alphabet[i] = (char)('a' + i % 26);
}

/* SplitMix64. */
uint64_t random_next(void)
{
	uint64_t z = (random_state += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

unsigned random_key(void)
{
	return (unsigned)(random_next() % opt.keys);
}

void key_write(char *out, unsigned key)
{
	memcpy(out, "key-", KEY_BYTES - DIGITS);
	for (int i = KEY_BYTES - 1; i >= KEY_BYTES - DIGITS; i--, key /= 10)
		out[i] = (char)('0' + key % 10);
}

bool key_read(const char *text, unsigned *key)
{
	uint64_t n = 0;
	if (memcmp(text, "key-", KEY_BYTES - DIGITS) != 0)
		return false;
	for (unsigned i = KEY_BYTES - DIGITS; i < KEY_BYTES; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(text[i] - '0');
	}
	*key = (unsigned)n;
	return n < opt.keys;
}

static size_t named_bytes(void)
{
	return opt.value_bytes < KEY_BYTES ? 0 : KEY_BYTES;
}

void value_write(char *out, unsigned key)
{
	size_t named = named_bytes();
	if (named)
		key_write(out, key);
	memcpy(out + named, alphabet + key % 26, opt.value_bytes - named);
}

bool value_matches(unsigned key, const char *bytes)
{
	char name[KEY_BYTES];
	size_t named = named_bytes();
	key_write(name, key);
	return memcmp(bytes, name, named) == 0 &&
	       memcmp(bytes + named, alphabet + key % 26, opt.value_bytes - named) == 0;
}
