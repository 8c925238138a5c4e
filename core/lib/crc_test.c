/*
 * Checksums: published check values, and the same at every alignment, length and division.
 */
#include <core/crc.h>
#include <core/string.h>
#include <core/test.h>

static uint32_t iscsi(const void *bytes, size_t len)
{
	return ~crc32c(~0u, bytes, len);
}

TEST(crc32c_gives_the_values_of_rfc_3720)
{
	uint8_t bytes[32] = { 0 };

	CHECK_EQ(iscsi("123456789", 9), 0xe3069283u);
	CHECK_EQ(iscsi(bytes, 32), 0x8a9136aau);
	memset(bytes, 0xff, 32);
	CHECK_EQ(iscsi(bytes, 32), 0x62a8ab43u);
	for (unsigned i = 0; i < 32; i++)
		bytes[i] = (uint8_t)i;
	CHECK_EQ(iscsi(bytes, 32), 0x46dd794eu);
}

TEST(crc32c_chains_at_any_place)
{
	uint8_t bytes[80];
	uint32_t whole;

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 37 + 11);
	for (unsigned from = 0; from < 9; from++) {
		whole = crc32c(7, bytes + from, 70);
		for (unsigned cut = 0; cut <= 70; cut++)
			CHECK_EQ(crc32c(crc32c(7, bytes + from, cut), bytes + from + cut, 70 - cut),
				 whole);
	}
}

TEST(crc16_gives_its_check_value)
{
	CHECK_EQ(crc16(0, "123456789", 9), 0xbb3du);
	CHECK_EQ(crc16(crc16(0, "1234", 4), "56789", 5), 0xbb3du);
}

TEST(crc32c_of_a_change_is_a_change_of_the_sum)
{
	static uint8_t text[4096], change[4096];

	test_seed(3);
	for (int round = 0; round < 50; round++) {
		size_t len = 8 + test_random_below(sizeof(text) - 8),
		       at = test_random_below(len - 8), tail = len - at - 8;
		uint32_t before, sum;

		for (size_t n = 0; n < len; n++)
			text[n] = (uint8_t)test_random();
		before = crc32c(~0u, text, len);
		for (size_t n = 0; n < 8; n++)
			text[at + n] ^= change[n] = (uint8_t)test_random();
		sum = crc32c_shift(crc32c(0, change, 8), tail);
		CHECK_EQ(before ^ sum, crc32c(~0u, text, len));
	}
	CHECK_EQ(crc32c_shift(12345, 0), 12345u);
}
