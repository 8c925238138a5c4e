/*
 * memcpy and its family as the program has them (on the host: the C library's, which checks the
 * checks).
 */
#include <core/string.h>
#include "mem_check.h"

TEST(mem_copies)
{
	check_memcpy(memcpy);
}

TEST(mem_moves_over_itself)
{
	check_memmove(memmove);
}

TEST(mem_sets)
{
	check_memset(memset);
}

TEST(mem_compares)
{
	check_memcmp(memcmp);
}
