/*
 * Replay: what was committed is brought home after a cut, what was not leaves nothing, and freed
 * blocks stay as they are.
 */
#include <core/crc.h>
#include <core/errno.h>
#include <core/string.h>
#include <core/test.h>

#include "lab.h"

/* The power goes, all that was written is kept, and comes back: `after` has replayed. */
static int cut_and_replay(const struct lab *before, struct lab *after)
{
	static struct recdev *spare;

	spare = spare ? spare : recdev_create(LAB_DISK_BYTES);
	if (!spare)
		return -ENOMEM;
	recdev_load(spare, before->disk->bytes);
	lab_attach(after, spare, before);
	return lab_open(after);
}

TEST(journal_replays_what_was_committed_and_nothing_else)
{
	static const uint32_t kinds[] = { 0,
					  JBD2_64BIT,
					  JBD2_CSUM_V2,
					  JBD2_CSUM_V2 | JBD2_64BIT,
					  JBD2_CSUM_V3,
					  LAB_BOTH,
					  LAB_BOTH | JBD2_ASYNC,
					  JBD2_ASYNC };

	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct lab l, after;

		CHECK(lab_set_up(&l, kinds[k]));
		for (unsigned i = 0; i < 90; i++)
			CHECK_EQ(lab_fill_one(&l, i % 60, (uint8_t)(i + 1)),
				 i % 10 ? 0 : journal_commit(l.journal));
		CHECK_EQ(journal_commit(l.journal), 0);
		CHECK_EQ(lab_fill_one(&l, 7, 0xff), 0);
		CHECK_EQ(cut_and_replay(&l, &after), 0);
		for (unsigned i = 0; i < 60; i++)
			CHECK(lab_is_filled(&after, i, (uint8_t)(i < 30 ? i + 61 : i + 1)));
		CHECK_EQ(lab_close(&after), 0);
		CHECK_EQ(lab_close(&l), 0);
		CHECK(lab_is_filled(&l, 7, 0xff));
	}
}

TEST(journal_escapes_blocks_that_look_like_its_own)
{
	struct lab l, after;
	struct journal_handle *h;
	struct buffer *b;

	CHECK(lab_set_up(&l, LAB_BOTH));
	CHECK_EQ(journal_start(l.journal, 1, &h), 0);
	CHECK_EQ(buffer_make(&l.buffers, 9, &b), 0);
	CHECK_EQ(journal_write(h, b), 0);
	memset(b->data, 0x77, LAB_BLOCK);
	*(be32_t *)b->data = to_be32(JBD2_MAGIC);
	CHECK_EQ(journal_stop(h), 0);
	CHECK_EQ(journal_commit(l.journal), 0);
	CHECK_EQ(be32(*(be32_t *)lab_home(&l, l.home_blocks + 2)), 0);
	CHECK_EQ(cut_and_replay(&l, &after), 0);
	CHECK(!memcmp(lab_home(&after, 9), b->data, LAB_BLOCK));
	buffer_put(b);
	CHECK_EQ(lab_close(&after), 0);
	CHECK_EQ(lab_close(&l), 0);
}

/* A transaction that the log does not hold as a whole must leave nothing. */
TEST(journal_leaves_out_a_transaction_without_its_commit_block)
{
	struct lab l, after;

	CHECK(lab_set_up(&l, LAB_BOTH));
	CHECK_EQ(lab_fill_one(&l, 3, 0x31), 0);
	CHECK_EQ(journal_commit(l.journal), 0);
	CHECK_EQ(lab_fill_one(&l, 3, 0x32), 0);
	CHECK_EQ(lab_fill_one(&l, 4, 0x42), 0);
	CHECK_EQ(journal_commit(l.journal), 0);
	/* Descriptor, block, commit; descriptor, two blocks, commit. */
	memset(lab_home(&l, l.home_blocks + 1 + 6), 0, LAB_BLOCK);
	CHECK_EQ(cut_and_replay(&l, &after), 0);
	CHECK(lab_is_filled(&after, 3, 0x31) && lab_is_filled(&after, 4, 0));
	CHECK_EQ(lab_close(&after), 0);
	CHECK_EQ(lab_close(&l), 0);
}

TEST(journal_tells_damage_from_a_cut)
{
	/* A descriptor, and a block's copy, of a transaction that is committed. */
	for (unsigned at = 1; at <= 2; at++) {
		struct lab l, after;

		CHECK(lab_set_up(&l, LAB_BOTH));
		CHECK_EQ(lab_fill_one(&l, 3, 0x31), 0);
		CHECK_EQ(journal_commit(l.journal), 0);
		lab_home(&l, l.home_blocks + at)[LAB_BLOCK / 2] ^= 1;
		CHECK_EQ(cut_and_replay(&l, &after), -EUCLEAN);
		CHECK(lab_is_filled(&after, 3, 0));
		CHECK_EQ(lab_close(&after), 0);
		CHECK_EQ(lab_close(&l), 0);
	}
}

/*
 * Linux may write commit blocks before what they vouch for (journal_async_commit): then what has
 * not arrived is a cut.
 */
TEST(journal_replays_asynchronous_commits_as_far_as_they_arrived)
{
	struct lab l, after;
	struct jbd2_super *s;

	CHECK(lab_set_up(&l, LAB_BOTH));
	for (uint8_t i = 1; i <= 3; i++) {
		CHECK_EQ(lab_fill_one(&l, 3, i), 0);
		CHECK_EQ(journal_commit(l.journal), 0);
	}
	s = (struct jbd2_super *)lab_home(&l, l.home_blocks);
	s->incompat = to_be32(be32(s->incompat) | JBD2_ASYNC);
	s->checksum = to_be32(0);
	s->checksum = to_be32(crc32c(~0u, s, sizeof(*s)));
	/* Descriptor, block, commit: the second one's block. */
	lab_home(&l, l.home_blocks + 1 + 4)[LAB_BLOCK / 2] ^= 1;
	CHECK_EQ(cut_and_replay(&l, &after), 0);
	CHECK(lab_is_filled(&after, 3, 1));
	CHECK_EQ(lab_close(&after), 0);
	CHECK_EQ(lab_close(&l), 0);
}

/* ---- revoke ---- */

static int forget_one(struct lab *l, uint64_t block)
{
	struct journal_handle *h;
	int error = journal_start(l->journal, 1, &h), stopped;

	if (error)
		return error;
	error = journal_forget(h, block, NULL);
	stopped = journal_stop(h);
	return error ? error : stopped;
}

TEST(journal_does_not_bring_back_what_was_freed)
{
	for (unsigned wide = 0; wide < 2; wide++) {
		struct lab l, after;

		CHECK(lab_set_up(&l, wide ? LAB_BOTH : 0));
		CHECK_EQ(lab_fill_one(&l, 8, 0x81), 0);
		CHECK_EQ(journal_commit(l.journal), 0);
		CHECK_EQ(forget_one(&l, 8), 0);
		CHECK_EQ(journal_commit(l.journal), 0);
		memset(lab_home(&l, 8), 0xda, LAB_BLOCK); /* a file's bytes */
		CHECK_EQ(cut_and_replay(&l, &after), 0);
		CHECK(lab_is_filled(&after, 8, 0xda));
		CHECK_EQ(lab_close(&after), 0);
		CHECK_EQ(lab_close(&l), 0);
		CHECK(lab_is_filled(&l, 8, 0xda));
	}
}

TEST(journal_frees_a_block_only_with_its_transaction)
{
	struct lab l, after;

	CHECK(lab_set_up(&l, LAB_BOTH));
	CHECK_EQ(lab_fill_one(&l, 8, 0x81), 0);
	CHECK_EQ(journal_commit(l.journal), 0);
	CHECK_EQ(forget_one(&l, 8), 0);
	CHECK_EQ(cut_and_replay(&l, &after), 0); /* before the commit */
	CHECK(lab_is_filled(&after, 8, 0x81));
	CHECK_EQ(lab_close(&after), 0);
	CHECK_EQ(lab_close(&l), 0);
}

TEST(journal_writes_again_what_was_freed_in_the_same_transaction)
{
	struct lab l, after;
	struct journal_handle *h;
	struct buffer *b;

	CHECK(lab_set_up(&l, LAB_BOTH));
	CHECK_EQ(lab_fill_one(&l, 8, 0x81), 0);
	CHECK_EQ(journal_commit(l.journal), 0);
	CHECK_EQ(journal_start(l.journal, 2, &h), 0);
	CHECK_EQ(journal_forget(h, 8, NULL), 0);
	CHECK_EQ(buffer_make(&l.buffers, 8, &b), 0);
	CHECK_EQ(journal_write(h, b), 0);
	memset(b->data, 0x82, LAB_BLOCK);
	buffer_put(b);
	CHECK_EQ(journal_credits(h), 1);
	CHECK_EQ(journal_stop(h), 0);
	CHECK_EQ(journal_commit(l.journal), 0);
	CHECK_EQ(cut_and_replay(&l, &after), 0);
	CHECK(lab_is_filled(&after, 8, 0x82));
	CHECK_EQ(lab_close(&after), 0);
	CHECK_EQ(lab_close(&l), 0);
}
