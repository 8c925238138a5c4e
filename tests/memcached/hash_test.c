/*
 * The hash functions against results published with their reference implementations: the
 * verification value of SMHasher (keys 0, 01, 012, ... hashed with falling seeds, and the results
 * hashed again) for murmur3, lookup3's own examples, and single values of XXH3 for each of its
 * lengths.
 */
#include <assert.h>
#include <string.h>

#include "../../apps/memcached/hash.h"

static void murmur3_verifies(void)
{
	char key[256];
	uint32_t results[256];

	for (unsigned i = 0; i < 256; i++) {
		key[i] = (char)i;
		results[i] = hash_murmur3(key, i, 256 - i);
	}
	assert(hash_murmur3((char *)results, sizeof(results), 0) == 0xb0f57ee3);
}

static void jenkins_verifies(void)
{
	assert(hash_jenkins("Four score and seven years ago", 30, 0) == 0x17770551);
	assert(hash_jenkins("Four score and seven years ago", 30, 1) == 0xcd628161);
}

/* The reference's test buffer: bytes of a multiplicative sequence. */
static void xxh3_verifies(void)
{
	static const struct {
		size_t len;
		uint32_t low;      /* of the 64 bits */
	} known[] = {
		{ 1, 0x074eecdb },
		{ 2, 0x4cb8a8bb },
		{ 3, 0xa8d6b94d },
		{ 4, 0x51848a51 },
		{ 6, 0xcd2d7325 },
		{ 8, 0xaa9f65e4 },
		{ 9, 0x15dd3f2b },
		{ 14, 0x2b9fcf03 },
		{ 16, 0x6c7498c9 },
		{ 17, 0x3a60f862 },
		{ 32, 0xbf57eed3 },
		{ 33, 0x1b400a10 },
		{ 64, 0x720ec49d },
		{ 65, 0xbebc3883 },
		{ 80, 0x2c47c90a },
		{ 96, 0x7f94776f },
		{ 97, 0xfd3c3a6c },
		{ 128, 0x6754d861 },
		{ 129, 0x79a2ca29 },
		{ 195, 0xe362ec3a },
		{ 240, 0x7f568ccf },
		{ 241, 0xd2030e5e },
		{ 250, 0x568187cc },
	};
	unsigned char buffer[256];
	uint64_t state = 0x9e3779b1;

	for (size_t i = 0; i < sizeof(buffer); i++) {
		buffer[i] = (unsigned char)(state >> 56);
		state *= 0x9e3779b185ebca8d;
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		assert(hash_xxh3((char *)buffer, known[i].len, 0) == known[i].low);
}

int main(void)
{
	murmur3_verifies();
	jenkins_verifies();
	xxh3_verifies();
	return 0;
}
