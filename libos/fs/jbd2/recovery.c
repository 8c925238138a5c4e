/*
 * Recovery: what a log holds is brought home, in three passes over it.
 *
 *   scan     finds where it ends: the first block that does not continue the sequence of
 *            transactions
 *   revoke   collects the revoke records of every committed transaction
 *   replay   writes each committed block that no later revoke covers to its place
 *
 * The log ends where a transaction has no sound commit block. Blocks of one that was being written
 * when the power went may be torn, which is no damage; but a broken block before a sound commit
 * block of the same transaction is, since a commit block is written only when all before it is
 * durable.
 *
 * Replay may be cut and begun again: it writes the same bytes to the same places, and the log is
 * marked empty only when they are durable. Every length, number and place is checked: the log is
 * hostile.
 */
#include <core/errno.h>
#include <core/log.h>
#include <core/page.h>
#include <core/string.h>

#include "recovery.h"
#include "revoke.h"

#define WINDOW_BYTES KIB(128) /* read at once */
#define DIRTY_MAX    256u     /* buffers that wait to be written */

enum pass { PASS_SCAN, PASS_REVOKE, PASS_REPLAY };

struct recovery {
	struct jlog *log;
	struct revokes revokes;
	struct journal_replay *result;
	uint8_t *block;              /* the descriptor, revoke or commit block under look */
	uint8_t *window;             /* blocks [window_at, window_at + window_count) of the log */
	uint32_t window_at, window_count;
	uint32_t at, seen;           /* the next block, and how many came before it */
	journal_tid tid, end;        /* under look; one behind the last that is committed */
	bool suspicious;             /* this transaction has a block whose checksum is wrong */
	uint64_t commit_seconds;     /* of the last commit block */
	int error;                   /* damage that did not end the pass */
};

/* ---- reading the log ---- */

/* As many blocks from `index` on as lie together on the disk. */
static int window_fill(struct recovery *r, uint32_t index)
{
	const struct jlog *l = r->log;
	uint32_t bytes = l->place.block_bytes, count = 1;
	uint64_t first = 0, next = 0;
	int error = jlog_offset(l, index, &first);

	if (error)
		return error;
	while (count < WINDOW_BYTES / bytes && index + count < l->end &&
	       jlog_offset(l, index + count, &next) == 0 && next == first + (uint64_t)count * bytes)
		count++;
	r->window_count = 0;
	error = blkdev_read(l->place.dev, first, r->window, (size_t)count * bytes);
	r->window_at = index;
	r->window_count = error ? 0 : count;
	return error;
}

/* NULL: it cannot be read. */
static uint8_t *log_block(struct recovery *r, uint32_t index)
{
	if (index - r->window_at >= r->window_count && window_fill(r, index) != 0)
		return NULL;
	return r->window + (size_t)(index - r->window_at) * r->log->place.block_bytes;
}

/* Takes the next block; false when the ring has been gone through once. */
static bool advance(struct recovery *r, uint32_t *index)
{
	if (r->seen == jlog_size(r->log))
		return false;
	*index = r->at;
	r->at = jlog_next(r->log, r->at);
	r->seen++;
	return true;
}

/* ---- descriptors ---- */

static int bring_home(struct recovery *r, const struct jlog_tag *t, const uint8_t *data)
{
	struct buffer_cache *c = r->log->place.buffers;
	struct buffer *b;
	int error = buffer_make(c, t->block, &b);

	if (error == -EIO) {
		log_error("journal: block %llu lies behind the disk's end",
			  (unsigned long long)t->block);
		return -EUCLEAN;
	}
	if (error)
		return error;
	memcpy(b->data, data, c->block_bytes);
	if (t->flags & JBD2_TAG_ESCAPED)
		*(be32_t *)b->data = to_be32(JBD2_MAGIC);
	__atomic_fetch_and(&b->flags, ~BUFFER_VERIFIED, __ATOMIC_SEQ_CST);
	buffer_mark_dirty(b);
	buffer_put(b);
	r->result->blocks++;
	return c->dirty_count < DIRTY_MAX ? 0 : buffers_write(c);
}

static int replay_block(struct recovery *r, const struct jlog_tag *t, uint32_t index)
{
	const uint8_t *data;

	if (revokes_cover(&r->revokes, t->block, r->tid) && !planted(JOURNAL_REVOKE)) {
		r->result->revoked++;
		return 0;
	}
	data = log_block(r, index);
	if (!data)
		return -EIO;
	if (!jlog_data_fits(r->log, r->tid, data, t) && !planted(JOURNAL_DATA_SUM)) {
		log_error("journal: transaction %u, block %llu: its copy in the log is damaged",
			  r->tid, (unsigned long long)t->block);
		r->error = -EUCLEAN;
		return 0;
	}
	return bring_home(r, t, data);
}

/* With asynchronous commits, the commit block says nothing about the blocks before it. */
static bool data_arrived(struct recovery *r, const struct jlog_tag *t, uint32_t index)
{
	const uint8_t *data;

	if (!(r->log->incompat & JBD2_ASYNC))
		return true;
	data = log_block(r, index);
	return data && jlog_data_fits(r->log, r->tid, data, t);
}

/* Each of its tags stands for one of the blocks that follow. 1: the log ends here. */
static int descriptor(struct recovery *r, enum pass pass)
{
	uint32_t at = sizeof(struct jbd2_header), index;
	struct jlog_tag t = { 0 };
	int error = 0;

	while (!error && !(t.flags & JBD2_TAG_LAST) && jlog_tag_get(r->log, r->block, &at, &t)) {
		if (!advance(r, &index))
			return 1;
		if (pass == PASS_SCAN && !data_arrived(r, &t, index))
			r->suspicious = true;
		if (pass == PASS_REPLAY)
			error = replay_block(r, &t, index);
	}
	return error;
}

/* ---- passes ---- */

static int revoke_block(struct recovery *r, enum pass pass)
{
	uint32_t count = jlog_revoke_count(r->log, r->block);
	int error = 0;

	if (pass != PASS_REVOKE)
		return 0;
	for (uint32_t i = 0; i < count && !error; i++)
		error = revokes_add(&r->revokes, jlog_revoke_get(r->log, r->block, i), r->tid);
	return error;
}

/*
 * The end of a transaction: 0, 1 when the log ends before it. With asynchronous commits, one that
 * did not arrive as a whole was not committed; else all of it was durable before its commit block.
 * A commit block that is older than the one before it is left from another life of the log.
 */
static int commit_block(struct recovery *r, enum pass pass)
{
	uint64_t seconds = be64(((struct jbd2_commit *)r->block)->seconds);

	if (pass == PASS_REPLAY)
		r->result->transactions++;
	if (pass == PASS_SCAN && !jlog_commit_is_sound(r->log, r->block))
		return 1;
	if (pass == PASS_SCAN && r->suspicious) {
		if ((r->log->incompat & JBD2_ASYNC) || seconds < r->commit_seconds)
			return 1;
		log_error("journal: transaction %u is committed, and damaged", r->tid);
		return -EUCLEAN;
	}
	r->commit_seconds = seconds;
	r->suspicious = false;
	r->tid++;
	return 0;
}

/* One block of the sequence: 0, 1 when the log ends before it, or an error. */
static int step(struct recovery *r, enum pass pass)
{
	uint32_t index;
	const uint8_t *block;

	if (pass != PASS_SCAN && r->tid == r->end)
		return 1;
	if (!advance(r, &index))
		return 1;
	block = log_block(r, index);
	if (!block)
		return -EIO;
	if (!jlog_header_is(block, r->tid))
		return 1;
	memcpy(r->block, block, r->log->place.block_bytes);
	switch (jlog_type(r->block)) {
	case JBD2_COMMIT:
		return commit_block(r, pass);
	case JBD2_DESCRIPTOR:
		r->suspicious |= !jlog_is_sealed(r->log, r->block);
		return descriptor(r, pass);
	case JBD2_REVOKE:
		r->suspicious |= !jlog_is_sealed(r->log, r->block);
		return revoke_block(r, pass);
	default:
		return 1;
	}
}

static int run(struct recovery *r, enum pass pass)
{
	int error;

	r->at = be32(r->log->super->start);
	r->tid = be32(r->log->super->tid);
	r->seen = 0;
	r->suspicious = false;
	do
		error = step(r, pass);
	while (!error);
	if (pass == PASS_SCAN)
		r->end = r->tid;
	return error > 0 ? 0 : error;
}

static int write_home(struct recovery *r)
{
	int error = buffers_write(r->log->place.buffers);

	return error ? error : jlog_flush_home(r->log);
}

static int passes(struct recovery *r)
{
	int error = run(r, PASS_SCAN), written;

	if (!error)
		error = run(r, PASS_REVOKE);
	if (!error)
		error = run(r, PASS_REPLAY);
	written = write_home(r);
	error = error ? error : r->error;
	return error ? error : written;
}

/*
 * The number behind the last one may be in the log already, with a transaction that was never
 * committed: it is left out.
 */
static int finish(struct recovery *r, journal_tid *next)
{
	r->result->first = be32(r->log->super->tid);
	r->result->last = r->end - 1;
	*next = r->end + 1;
	return jlog_set_start(r->log, 0, *next);
}

int jlog_recover(struct jlog *l, struct journal_replay *out, journal_tid *next)
{
	struct recovery r = { .log = l, .result = out };
	int error = -ENOMEM;

	*out = (struct journal_replay){ 0 };
	revokes_init(&r.revokes);
	r.block = page_alloc(0, PAGE_KERNEL);
	r.window = page_alloc_exact(WINDOW_BYTES, PAGE_KERNEL);
	if (r.block && r.window)
		error = passes(&r);
	if (!error)
		error = finish(&r, next);
	if (r.block)
		page_free(r.block, 0);
	if (r.window)
		page_free_exact(r.window, WINDOW_BYTES);
	revokes_destroy(&r.revokes);
	return error;
}
