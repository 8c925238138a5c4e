/*
 * Kiln's own memory functions on the host, under other names, with words at any alignment.
 */
#include <core/types.h>
#undef CONFIG_MISALIGNED_FAST
#define CONFIG_MISALIGNED_FAST 1
#define memcpy  own_memcpy
#define memmove own_memmove
#define memset  own_memset
#define memcmp  own_memcmp
static void *own_memcpy(void *restrict dst, const void *restrict src, size_t n);
static void *own_memmove(void *dst, const void *src, size_t n);
static void *own_memset(void *dst, int byte, size_t n);
static int own_memcmp(const void *a, const void *b, size_t n);
#include "mem.c"
#include "mem_check.h"

TEST(mem_fast_copies)
{
	check_memcpy(own_memcpy);
	check_memmove(own_memmove);
}

TEST(mem_fast_sets_and_compares)
{
	check_memset(own_memset);
	check_memcmp(own_memcmp);
}
