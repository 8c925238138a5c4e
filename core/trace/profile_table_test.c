/*
 * The table of stacks: equal ones are counted, different ones kept apart, and a full table loses
 * only what is new.
 */
#include <core/string.h>
#include <core/test.h>

#include "profile_table.h"

static uint32_t words[PROFILE_BUCKETS + 64];
static struct profile_table table;

static void start(void)
{
	memset(words, 0, sizeof(words));
	profile_table_init(&table, words, ARRAY_SIZE(words));
}

TEST(profile_table_counts_equal_stacks)
{
	const uint32_t a[] = { 1, 2, 3 }, b[] = { 1, 2, 4 };
	const struct profile_entry *e;

	start();
	for (unsigned i = 0; i < 5; i++)
		profile_table_add(&table, 7, a, 3);
	profile_table_add(&table, 7, b, 3);
	profile_table_add(&table, 8, a, 3);
	profile_table_add(&table, 7, a, 2);
	e = profile_table_next(&table, NULL);
	CHECK(e && e->count == 5 && e->thread_id == 7 && e->depth == 3 && e->pcs[2] == 3);
	e = profile_table_next(&table, e);
	CHECK(e && e->count == 1 && e->pcs[2] == 4);
	e = profile_table_next(&table, e);
	CHECK(e && e->count == 1 && e->thread_id == 8);
	e = profile_table_next(&table, e);
	CHECK(e && e->depth == 2);
	CHECK(!profile_table_next(&table, e));
	CHECK_EQ(table.lost, 0);
}

TEST(profile_table_takes_an_empty_stack)
{
	const uint32_t none[1] = { 0 };

	start();
	profile_table_add(&table, 1, none, 0);
	profile_table_add(&table, 1, none, 0);
	CHECK_EQ(profile_table_next(&table, NULL)->count, 2);
}

/* Every sample is either in the table or lost, whatever comes. */
TEST(profile_table_loses_only_what_is_new_when_full)
{
	uint64_t counted = 0, samples = 20000;
	const uint32_t known[] = { 1000 };

	start();
	profile_table_add(&table, 1, known, 1);
	for (uint64_t i = 1; i < samples; i++) {
		uint32_t pcs[4] = { (uint32_t)test_random_below(8),
				    (uint32_t)test_random_below(8) };

		profile_table_add(&table, 1, pcs, 1 + (uint32_t)test_random_below(4));
	}
	profile_table_add(&table, 1, known, 1);
	CHECK(table.lost > 0);
	CHECK_EQ(profile_table_next(&table, NULL)->count, 2);
	for (const struct profile_entry *e = NULL; (e = profile_table_next(&table, e)) != NULL;)
		counted += e->count;
	CHECK_EQ(counted + table.lost, samples + 1);
	CHECK(table.used <= table.room);
}
