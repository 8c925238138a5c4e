/*
 * The table behind bit_lowest(): entry (2^n * 0x077cb531) >> 27 is n.
 */
#include <core/atomic.h>

const uint8_t bit_lowest_table[32] = {
	0,  1,	28, 2,	29, 14, 24, 3, 30, 22, 20, 15, 25, 17, 4,  8,
	31, 27, 13, 23, 21, 19, 16, 7, 26, 12, 18, 6,  11, 5,  10, 9,
};
