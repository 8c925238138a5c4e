/*
 * memcpy, memmove, memset, memcmp: the bytes of every packet and value pass through here.
 *
 * Words of 8 bytes, eight of them a round. With CONFIG_MISALIGNED_FAST (QEMU, and cores with a fast
 * Zicclsm) words are taken at any alignment and a tail overlaps what was copied before it; without
 * it words are used only where both pointers can be aligned together, bytes elsewhere.
 *
 * The word type is deliberately an aligned one: at -mstrict-align, the default for riscv64, the
 * compiler would take an unaligned type apart into bytes.
 */
#include <core/string.h>

/* The compiler must not recognise these loops and call the function it is compiling. */
#pragma GCC optimize("no-tree-loop-distribute-patterns")
/*
 * Nor load early what several branches have in common: it would need registers that must be saved
 * first.
 */
#pragma GCC optimize("no-code-hoisting", "no-tree-pre")
/* Nor compute from the length where a loop has ended when a register says so. */
#pragma GCC optimize("no-tree-scev-cprop")

typedef uint64_t __attribute__((may_alias)) word_t;
typedef uint32_t __attribute__((may_alias)) half_t;

#define WORD     sizeof(word_t)
#define ROUND    (8 * WORD)
#define ANY_ALIGNMENT __attribute__((no_sanitize("alignment"), always_inline)) static inline

ANY_ALIGNMENT word_t load(const uint8_t *p)
{
	return *(const word_t *)p;
}

ANY_ALIGNMENT void store(uint8_t *p, word_t w)
{
	*(word_t *)p = w;
}

ANY_ALIGNMENT void copy_half(uint8_t *d, const uint8_t *s)
{
	*(half_t *)d = *(const half_t *)s;
}

static inline bool words_usable(const void *a, const void *b)
{
	return IS_ENABLED(CONFIG_MISALIGNED_FAST) || IS_ALIGNED((uintptr_t)a ^ (uintptr_t)b, WORD);
}

static inline void copy_bytes(uint8_t *d, const uint8_t *s, size_t n)
{
	while (n--)
		*d++ = *s++;
}

/* All loads of a round come before its stores, so regions that overlap forward are safe too. */
static inline void copy_round(uint8_t *d, const uint8_t *s)
{
	word_t w0 = load(s), w1 = load(s + 8), w2 = load(s + 16), w3 = load(s + 24);
	word_t w4 = load(s + 32), w5 = load(s + 40), w6 = load(s + 48), w7 = load(s + 56);

	store(d, w0);
	store(d + 8, w1);
	store(d + 16, w2);
	store(d + 24, w3);
	store(d + 32, w4);
	store(d + 40, w5);
	store(d + 48, w6);
	store(d + 56, w7);
}

static inline void copy_16(uint8_t *d, const uint8_t *s)
{
	word_t w0 = load(s), w1 = load(s + 8);

	store(d, w0);
	store(d + 8, w1);
}

static inline void copy_32(uint8_t *d, const uint8_t *s)
{
	word_t w0 = load(s), w1 = load(s + 8), w2 = load(s + 16), w3 = load(s + 24);

	store(d, w0);
	store(d + 8, w1);
	store(d + 16, w2);
	store(d + 24, w3);
}

/*
 * n >= WORD, no overlap, any alignment. Packet headers and keys are short: up to a round there is
 * no loop, but two pieces, from the start and from the end, that overlap in the middle. So does the
 * tail after rounds.
 */
static inline void copy_misaligned(uint8_t *d, const uint8_t *s, size_t n)
{
	uint8_t *d_end = d + n;
	const uint8_t *s_end = s + n;

	if (n <= 2 * WORD) {
		word_t first = load(s), last = load(s_end - WORD);

		store(d, first);
		store(d_end - WORD, last);
		return;
	}
	if (n <= 4 * WORD) {
		copy_16(d, s);
		copy_16(d_end - 16, s_end - 16);
		return;
	}
	if (n <= ROUND) {
		copy_32(d, s);
		copy_32(d_end - 32, s_end - 32);
		return;
	}
	do {
		copy_round(d, s);
		d += ROUND;
		s += ROUND;
	} while (s < s_end - ROUND);
	if (s < s_end - 4 * WORD)
		copy_round(d_end - ROUND, s_end - ROUND);
	else
		copy_32(d_end - 32, s_end - 32);
}

static void copy_aligned(uint8_t *d, const uint8_t *s, size_t n)
{
	size_t head = -(uintptr_t)d & (WORD - 1);

	head = MIN(head, n);
	copy_bytes(d, s, head);
	d += head;
	s += head;
	n -= head;
	for (; n >= ROUND; n -= ROUND, d += ROUND, s += ROUND)
		copy_round(d, s);
	for (; n >= WORD; n -= WORD, d += WORD, s += WORD)
		store(d, load(s));
	copy_bytes(d, s, n);
}

/* n < WORD */
static inline void copy_short(uint8_t *d, const uint8_t *s, size_t n)
{
	if (IS_ENABLED(CONFIG_MISALIGNED_FAST) && n >= sizeof(half_t)) {
		copy_half(d + n - sizeof(half_t), s + n - sizeof(half_t));
		copy_half(d, s);
		return;
	}
	copy_bytes(d, s, n);
}

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	if (n < WORD)
		copy_short(dst, src, n);
	else if (IS_ENABLED(CONFIG_MISALIGNED_FAST))
		copy_misaligned(dst, src, n);
	else if (words_usable(dst, src))
		copy_aligned(dst, src, n);
	else
		copy_bytes(dst, src, n);
	return dst;
}

/* From the end, for a destination that begins inside the source. */
static void copy_backward(uint8_t *d, const uint8_t *s, size_t n)
{
	d += n;
	s += n;
	if (words_usable(d, s)) {
		while (n &&
		       (!IS_ENABLED(CONFIG_MISALIGNED_FAST) && !IS_ALIGNED((uintptr_t)d, WORD))) {
			*--d = *--s;
			n--;
		}
		for (; n >= ROUND; n -= ROUND) {
			d -= ROUND;
			s -= ROUND;
			copy_round(d, s);
		}
		for (; n >= WORD; n -= WORD) {
			d -= WORD;
			s -= WORD;
			store(d, load(s));
		}
	}
	while (n--)
		*--d = *--s;
}

/*
 * From the start, for a destination that begins before a source it runs into: no overlapping tail
 * word.
 */
static void copy_forward(uint8_t *d, const uint8_t *s, size_t n)
{
	if (IS_ENABLED(CONFIG_MISALIGNED_FAST)) {
		for (; n >= ROUND; n -= ROUND, d += ROUND, s += ROUND)
			copy_round(d, s);
		for (; n >= WORD; n -= WORD, d += WORD, s += WORD)
			store(d, load(s));
	} else if (words_usable(d, s)) {
		copy_aligned(d, s, n);
		return;
	}
	copy_bytes(d, s, n);
}

void *memmove(void *dst, const void *src, size_t n)
{
	uintptr_t distance = (uintptr_t)dst - (uintptr_t)src;

	if (distance >= n && -distance >= n)
		return memcpy(dst, src, n);
	if (distance < n)
		copy_backward(dst, src, n);
	else
		copy_forward(dst, src, n);
	return dst;
}

static inline void set_bytes(uint8_t *d, uint8_t byte, size_t n)
{
	while (n--)
		*d++ = byte;
}

void *memset(void *dst, int byte, size_t n)
{
	uint8_t *d = dst;
	word_t w = (uint8_t)byte * 0x0101010101010101UL;
	size_t head = -(uintptr_t)d & (WORD - 1);

	if (n < 2 * WORD) {
		set_bytes(d, (uint8_t)byte, n);
		return dst;
	}
	set_bytes(d, (uint8_t)byte, head);
	d += head;
	n -= head;
	for (; n >= ROUND; n -= ROUND, d += ROUND) {
		store(d, w);
		store(d + 8, w);
		store(d + 16, w);
		store(d + 24, w);
		store(d + 32, w);
		store(d + 40, w);
		store(d + 48, w);
		store(d + 56, w);
	}
	for (; n >= WORD; n -= WORD, d += WORD)
		store(d, w);
	set_bytes(d, (uint8_t)byte, n);
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *p = a, *q = b;

	if (words_usable(p, q)) {
		for (; !IS_ENABLED(CONFIG_MISALIGNED_FAST) && n &&
		       !IS_ALIGNED((uintptr_t)p, WORD) && *p == *q;
		     n--, p++, q++)
			;
		if (IS_ENABLED(CONFIG_MISALIGNED_FAST) || IS_ALIGNED((uintptr_t)p, WORD))
			for (; n >= WORD && load(p) == load(q); n -= WORD, p += WORD, q += WORD)
				;
	}
	for (; n; n--, p++, q++) {
		if (*p != *q)
			return (int)*p - (int)*q;
	}
	return 0;
}
