/*
 * The choice of a hash function, and the keyed one.
 *
 * Keyed multiply-and-fold: 16 bytes of key, each half mixed with a random number, are multiplied to
 * 128 bits whose halves are folded together. The secrets come from the system's random numbers; an
 * attacker who does not know them cannot aim at the zero factor that would make products collide.
 * The last 16 bytes may overlap those before, so that no key needs a loop over single bytes.
 */
#include "hash.h"
#include "hash_parts.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

enum hash_algorithm hash_algorithm;

static uint64_t secret[4];

static int secrets_draw(void)
{
	uint8_t *p = (uint8_t *)secret;
	size_t left = sizeof(secret);

	while (left > 0) {
		ssize_t n = getrandom(p, left, 0);

		if (n < 0 && errno != EINTR)
			return -errno;
		p += n > 0 ? n : 0;
		left -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int hash_start(const char *name)
{
	static const char *const names[] = {
		[HASH_MURMUR3] = "murmur3", [HASH_JENKINS] = "jenkins", [HASH_XXH3] = "xxh3",
		[HASH_KEYED] = "keyed",
	};

	for (hash_algorithm = 0; hash_algorithm < HASH_ALGORITHMS; hash_algorithm++) {
		if (strcmp(names[hash_algorithm], name) == 0)
			return secrets_draw();
	}
	return -EINVAL;
}

uint32_t hash_keyed(const char *key, size_t len)
{
	uint64_t state = secret[0] ^ len, a, b;
	size_t left = len;

	for (; left > 16; left -= 16, key += 16)
		state = fold(load64(key) ^ secret[1], load64(key + 8) ^ state);
	if (left >= 8) {
		a = load64(key);
		b = load64(key + left - 8);
	} else if (left >= 4) {
		a = load32(key);
		b = load32(key + left - 4);
	} else {
		a = (uint64_t)(uint8_t)key[0] << 16 | (uint64_t)(uint8_t)key[left / 2] << 8 |
		    (uint8_t)key[left - 1];
		b = 0;
	}
	state = fold(a ^ secret[2], b ^ state);
	return (uint32_t)fold(state ^ secret[3], secret[1] | 1);
}

/* Apart, so that their registers and stack are no cost of the keyed one. */
__attribute__((noinline)) uint32_t hash_named(const char *key, size_t len)
{
	if (hash_algorithm == HASH_MURMUR3)
		return hash_murmur3(key, len, (uint32_t)secret[0]);
	if (hash_algorithm == HASH_JENKINS)
		return hash_jenkins(key, len, (uint32_t)secret[0]);
	return hash_xxh3(key, len, secret[0]);
}
