/*
 * The generator: RFC 8439's own vectors, and what mixing and erasing must do.
 */
#include <core/string.h>
#include <core/test.h>
#include <libos/rng.h>

#include "chacha20.h"

/* RFC 8439, section 2.3.2. */
TEST(chacha20_gives_the_block_of_rfc_8439)
{
	static const uint8_t want[64] = {
		0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15, 0x50, 0x0f, 0xdd, 0x1f, 0xa3,
		0x20, 0x71, 0xc4, 0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0, 0x68, 0x03, 0x04, 0x22,
		0xaa, 0x9a, 0xc3, 0xd4, 0x6c, 0x4e, 0xd2, 0x82, 0x64, 0x46, 0x07, 0x9f, 0xaa,
		0x09, 0x14, 0xc2, 0xd7, 0x05, 0xd9, 0x8b, 0x02, 0xa2, 0xb5, 0x12, 0x9c, 0xd1,
		0xde, 0x16, 0x4e, 0xb9, 0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e
	};
	static const uint8_t nonce[12] = { 0, 0, 0, 9, 0, 0, 0, 0x4a, 0, 0, 0, 0 };
	uint8_t key[32], out[64];

	for (unsigned i = 0; i < 32; i++)
		key[i] = (uint8_t)i;
	chacha20_block(out, key, 1, nonce);
	CHECK(!memcmp(out, want, 64));
}

/* RFC 8439, appendix A.1, vectors 1 and 2: all zero, counters 0 and 1. */
TEST(chacha20_gives_the_blocks_of_the_zero_key)
{
	static const uint8_t want0[8] = { 0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90 };
	static const uint8_t want1[8] = { 0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a };
	static const uint8_t zero[32];
	uint8_t out[64];

	chacha20_block(out, zero, 0, zero);
	CHECK(!memcmp(out, want0, 8));
	chacha20_block(out, zero, 1, zero);
	CHECK(!memcmp(out, want1, 8));
}

TEST(random_bytes_never_repeat_and_look_random)
{
	uint8_t a[96], b[96], all = 0;
	unsigned ones = 0;

	for (size_t len = 1; len <= sizeof(a); len++) {
		memset(a, 0, sizeof(a));
		random_bytes(a, len);
		random_bytes(b, len);
		CHECK(len < 8 || memcmp(a, b, len));
		for (size_t i = len; i < sizeof(a); i++)
			CHECK_EQ(a[i], 0);
	}
	for (unsigned i = 0; i < 1000; i++) {
		random_bytes(a, 16);
		for (unsigned k = 0; k < 16; k++) {
			ones += (unsigned)__builtin_popcount(a[k]);
			all |= a[k];
		}
	}
	CHECK_EQ(all, 0xff);
	CHECK(ones > 62800 && ones < 65200); /* 64,000, within seven standard deviations */
}

TEST(random_is_seeded_by_credit_and_not_by_bytes)
{
	uint8_t noise[64];
	bool before = random_is_seeded();

	memset(noise, 7, sizeof(noise));
	random_add_entropy(noise, sizeof(noise), 0);
	CHECK_EQ(random_is_seeded(), before);
	random_add_entropy(noise, sizeof(noise), 512);
	CHECK(random_is_seeded());
	random_wait_seeded();
}

static unsigned requests;

static void count_request(struct random_source *s)
{
	(void)s;
	requests++;
}

TEST(random_asks_a_new_source_at_once_and_then_seldom)
{
	static struct random_source source = { .request = count_request };
	uint8_t b[8];

	if (source.next || requests)
		return; /* sources live for ever: once a run */
	random_source_add(&source);
	CHECK_EQ(requests, 1);
	for (unsigned i = 0; i < 100; i++)
		random_bytes(b, sizeof(b));
	CHECK(requests <= 2);
}
