/* Bitmaps against a map of bytes that is looked at one by one. */
#include <core/string.h>
#include <core/test.h>

#include "bits.h"

#define BITS 512u

static uint8_t map[BITS / 8] __attribute__((aligned(8)));
static bool model[BITS];

static uint32_t model_next(uint32_t from, uint32_t end, bool set)
{
	while (from < end && model[from] != set)
		from++;
	return from;
}

static void change(uint32_t from, uint32_t count, bool set)
{
	for (uint32_t n = from; n < from + count; n++)
		model[n] = set;
	if (set)
		bits_set(map, from, count);
	else
		bits_clear(map, from, count);
}

TEST(ext4_bits_agree_with_a_map_of_bytes)
{
	memset(map, 0, sizeof(map));
	memset(model, 0, sizeof(model));
	for (int round = 0; round < 3000; round++) {
		uint32_t from = (uint32_t)test_random_below(BITS),
			 end = from + (uint32_t)test_random_below(BITS - from + 1);
		uint32_t clear = 0;
		bool set = test_random_below(2);

		change(from, (uint32_t)test_random_below(end - from + 1), set);
		for (uint32_t n = 0; n < end; n++)
			clear += !model[n];
		CHECK_EQ(bits_count_clear(map, end), clear);
		CHECK_EQ(bits_next(map, from, end, set), model_next(from, end, set));
		CHECK_EQ(bits_are(map, from, end - from, set), model_next(from, end, !set) == end);
		CHECK_EQ(bit_is_set(map, from), model[from]);
	}
}
