/*
 * Power cuts; see powercut.h. Their memory is the build machine's: the tests' own has no room for
 * so many disks.
 */
#include <stdlib.h>

#include "powercut.h"

#include <core/assert.h>
#include <core/string.h>

#define SUBSETS_MAX 20u

static uint64_t disk_bytes(const struct powercut *p)
{
	return p->recorded->dev.bytes;
}

static size_t sectors(const struct powercut *p)
{
	return (size_t)(disk_bytes(p) / CUT_SECTOR);
}

bool powercut_begin(struct powercut *p, const struct recdev *r, const void *image)
{
	*p = (struct powercut){ .recorded = r, .pending_capacity = r->count + 1 };
	p->durable = malloc((size_t)disk_bytes(p));
	p->durable_by = calloc(sectors(p), sizeof(uint64_t));
	p->pending = malloc(p->pending_capacity * sizeof(size_t));
	if (!p->durable || !p->durable_by || !p->pending)
		return false;
	memcpy(p->durable, image, disk_bytes(p));
	return true;
}

void powercut_end(struct powercut *p)
{
	free(p->durable);
	free(p->durable_by);
	free(p->pending);
}

/* ---- what is certain ---- */

static void become_durable(struct powercut *p, size_t number)
{
	const struct rec_event *e = &p->recorded->events[number];

	for (uint64_t at = 0; at < e->len; at += CUT_SECTOR) {
		uint64_t *by = &p->durable_by[(e->offset + at) / CUT_SECTOR];

		if (*by > number + 1)
			continue; /* a younger one with FUA */
		*by = number + 1;
		memcpy(p->durable + e->offset + at, e->bytes + at, CUT_SECTOR);
	}
}

/* Has the write ended before event `limit`? */
static bool ended_before(const struct powercut *p, size_t number, uint64_t limit)
{
	const struct rec_event *events = p->recorded->events;

	for (size_t i = number + 1; i < limit; i++) {
		if (events[i].kind == REC_ENDED && events[i].of == number)
			return true;
	}
	return false;
}

static void pending_remove(struct powercut *p, size_t i)
{
	p->pending_count--;
	memmove(p->pending + i, p->pending + i + 1, (p->pending_count - i) * sizeof(*p->pending));
}

static void flush(struct powercut *p, uint64_t covers)
{
	size_t i = 0;

	while (i < p->pending_count) {
		if (!ended_before(p, p->pending[i], covers)) {
			i++;
			continue;
		}
		become_durable(p, p->pending[i]);
		pending_remove(p, i);
	}
}

static void end_write(struct powercut *p, size_t number)
{
	if (!p->recorded->events[number].fua)
		return;
	become_durable(p, number);
	for (size_t i = 0; i < p->pending_count; i++) {
		if (p->pending[i] == number) {
			pending_remove(p, i);
			return;
		}
	}
}

const struct rec_event *powercut_step(struct powercut *p)
{
	const struct rec_event *e = &p->recorded->events[p->at];

	if (p->at == p->recorded->count)
		return NULL;
	if (e->kind == REC_WRITE)
		p->pending[p->pending_count++] = p->at;
	else if (e->kind == REC_ENDED)
		end_write(p, (size_t)e->of);
	else if (e->kind == REC_FLUSH)
		flush(p, e->of);
	p->at++;
	return e;
}

/* ---- what might be ---- */

static void keep_sector(const struct powercut *p, size_t number, uint64_t at, uint8_t *out)
{
	const struct rec_event *e = &p->recorded->events[number];

	if (p->durable_by[(e->offset + at) / CUT_SECTOR] <= number)
		memcpy(out + e->offset + at, e->bytes + at, CUT_SECTOR);
}

static void keep(const struct powercut *p, size_t number, uint8_t *out)
{
	for (uint64_t at = 0; at < p->recorded->events[number].len; at += CUT_SECTOR)
		keep_sector(p, number, at, out);
}

uint64_t powercut_subsets(const struct powercut *p)
{
	return p->pending_count > SUBSETS_MAX ? 0 : 1ull << p->pending_count;
}

void powercut_subset(const struct powercut *p, uint64_t subset, uint8_t *out)
{
	memcpy(out, p->durable, disk_bytes(p));
	for (size_t i = 0; i < p->pending_count; i++) {
		if (subset >> i & 1)
			keep(p, p->pending[i], out);
	}
}

/* splitmix64 (Steele, Lea, Flood, 2014). */
static uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* Of the sectors of a write that was torn, any may be there. */
static void keep_torn(const struct powercut *p, size_t number, uint64_t *state, uint8_t *out)
{
	for (uint64_t at = 0; at < p->recorded->events[number].len; at += CUT_SECTOR) {
		if (random_next(state) & 1)
			keep_sector(p, number, at, out);
	}
}

/*
 * How much is kept differs from seed to seed, or samples of many writes would all keep about half
 * of them.
 */
void powercut_sample(const struct powercut *p, uint64_t seed, uint8_t *out)
{
	uint64_t state = seed * 0x2545f4914f6cdd1dull + p->at, share = random_next(&state) % 17;

	memcpy(out, p->durable, disk_bytes(p));
	for (size_t i = 0; i < p->pending_count; i++) {
		uint64_t dice = random_next(&state) % 16;

		if (dice >= share)
			continue;
		if (random_next(&state) % 4 == 0)
			keep_torn(p, p->pending[i], &state, out);
		else
			keep(p, p->pending[i], out);
	}
}

/* FNV-1a over words (Fowler, Noll, Vo). */
static uint64_t hash_piece(uint64_t hash, const uint8_t *bytes, size_t len)
{
	uint64_t word;

	for (size_t at = 0; at < len; at += sizeof(word)) {
		memcpy(&word, bytes + at, sizeof(word));
		hash = (hash ^ word) * 0x100000001b3ull;
		hash ^= hash >> 29;
	}
	return hash;
}

/* Most of a disk is zeroes, which are passed over. */
uint64_t powercut_hash(const uint8_t *image, size_t bytes)
{
	static const uint8_t zeroes[1024];
	uint64_t hash = 0xcbf29ce484222325ull;

	for (size_t at = 0, len; at < bytes; at += len) {
		len = MIN(bytes - at, sizeof(zeroes));
		if (memcmp(image + at, zeroes, len))
			hash = hash_piece(hash_piece(hash, (const uint8_t *)&at, sizeof(at)),
					  image + at, len);
	}
	return hash;
}
