/*
 * What must not be guessed: initial sequence numbers, local ports, identifiers.
 *
 * Sequence numbers follow RFC 6528: a clock of 4 microseconds plus a keyed hash of the connection's
 * four names, so that numbers of one connection grow from life to life while those of another say
 * nothing. The hash is SipHash-2-4 (Aumasson and Bernstein, 2012) with a key drawn at first use.
 */
#include <libos/rng.h>

#include "connections.h"
#include "lwip_hooks.h"
#include "lwip/ip_addr.h"
#include "stack.h"

#define LOCAL_PORT_FIRST 32768u
#define LOCAL_PORTS      28232u    /* to 60999, Linux's range */

static uint64_t isn_key[2];
/* weak: drawn before any entropy came */
static enum { KEY_NONE, KEY_WEAK, KEY_STRONG } isn_key_state;

static uint32_t pool[32];
static unsigned pool_left;
static bool pool_is_strong;     /* drawn after entropy came */

/* Stack lock. Drawn in lots: the generator costs more to start than to run. */
uint32_t net_random32(void)
{
	if (!pool_left || (unlikely(!pool_is_strong) && random_is_seeded())) {
		pool_is_strong = random_is_seeded();
		random_bytes(pool, sizeof(pool));
		pool_left = ARRAY_SIZE(pool);
	}
	return pool[--pool_left];
}

uint16_t net_random_port(void)
{
	return (uint16_t)(LOCAL_PORT_FIRST + net_random32() % LOCAL_PORTS);
}

static inline uint64_t rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static void sip_rounds(uint64_t v[4], int rounds)
{
	while (rounds--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

static uint64_t siphash(const uint64_t *words, size_t count, const uint64_t key[2])
{
	uint64_t v[4] = { key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
			  key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573 };
	uint64_t last = (uint64_t)(count * 8) << 56;

	for (size_t i = 0; i <= count; i++) {
		uint64_t word = i < count ? words[i] : last;

		v[3] ^= word;
		sip_rounds(v, 2);
		v[0] ^= word;
	}
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void address_words(uint64_t out[2], const ip_addr_t *ip)
{
	out[0] = out[1] = 0;
	if (IP_IS_V6(ip))
		__builtin_memcpy(out, ip_2_ip6(ip)->addr, 16);
	else
		out[0] = ip4_addr_get_u32(ip_2_ip4(ip));
}

static void isn_key_draw(void)
{
	bool is_seeded = random_is_seeded();

	if (isn_key_state == KEY_WEAK && !is_seeded)
		return;
	random_bytes(isn_key, sizeof(isn_key));
	isn_key_state = is_seeded ? KEY_STRONG : KEY_WEAK;
}

uint32_t net_initial_sequence(const void *local_ip, uint16_t local_port, const void *remote_ip,
			      uint16_t remote_port)
{
	uint64_t words[5];
	uint32_t sequence;

	if (unlikely(isn_key_state != KEY_STRONG))
		isn_key_draw();
	address_words(&words[0], local_ip);
	address_words(&words[2], remote_ip);
	words[4] = (uint64_t)local_port << 16 | remote_port;
	sequence = (uint32_t)(siphash(words, ARRAY_SIZE(words), isn_key) + net_now_ns / 4000);
	return net_connection_sequence(local_ip, local_port, remote_ip, remote_port, sequence);
}
