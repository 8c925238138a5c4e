/*
 * The journal: changes of many blocks that happen together or not at all. Its format on disk is
 * jbd2's (Linux, Documentation/filesystems/ext4/journal.rst), so Linux's tools replay ours and we
 * replay theirs.
 *
 * An operation opens a handle, declares how many blocks it may change at most, announces each
 * buffer before it changes it, and closes the handle. Handles of many threads join the running
 * transaction. A commit closes it to new handles (they join the next), waits for those in it, lets
 * ordered data reach the disk, copies the blocks into the log behind a descriptor, flushes, and
 * writes the commit block durably: that is the commit point. Later, checkpointing writes the blocks
 * home, and their part of the log becomes free. Who wants durability waits for the commit of a
 * transaction's number.
 *
 * Rules for callers. A handle belongs to one thread and is not nested. Locks of inodes and
 * directories are taken before journal_start(), which may wait for room in the log; locks of groups
 * and of buffers after it. Between start and stop nobody waits for pages of file bytes to be
 * written, since their write-back opens handles of its own.
 *
 * After an I/O error of the log, or journal_abort(), nothing is written any more: journal_start()
 * and all waits answer the error, and the file system turns read-only.
 */
#ifndef LIBOS_JOURNAL_H
#define LIBOS_JOURNAL_H

#include <core/list.h>
#include <core/types.h>
#include <libos/buffer.h>

struct journal;
struct journal_handle;

typedef uint32_t journal_tid; /* of a transaction; wraps: compare by journal_tid_reached() */

/* Where the log lies: its blocks need not be neighbours. */
struct journal_place {
	struct buffer_cache *buffers;  /* of the file system whose blocks are journaled */
	struct blkdev *dev;            /* of the log: the same, or an external journal's */
	uint32_t block_bytes;
	uint32_t blocks;               /* of the log, its superblock with them */
	/* The place on `dev` of the log's block `index`: 0, -EIO. */
	int (*map)(void *arg, uint32_t index, uint64_t *block);
	void *arg;
	uint8_t uuid[16];              /* of the file system: among the log's users */
};

struct journal_options {
	uint32_t commit_interval_ms;   /* the oldest a running transaction gets; 0: 5000 */
	bool no_barrier;               /* the device loses no power: flushes are left out */
	/* a log that needs replay is -EROFS; handles are not started */
	bool read_only;
	/* block numbers of 64 bits (the file system has the feature) */
	bool wide;
	/* of everything in the log: a file system with metadata_csum */
	bool checksums;
	void (*aborted)(void *arg, int error); /* once; threads and tasks */
	void *arg;
};

/*
 * Reads the log's superblock, checks it (features it does not know are -EOPNOTSUPP, damage is
 * -EUCLEAN, each with a line in the log), replays what is committed, and starts the commit thread.
 * Reads nothing of the disk but the log.
 */
int journal_open(const struct journal_place *p, const struct journal_options *o,
		 struct journal **out);
/*
 * Why an earlier user of the log aborted it (journal.rst, s_errno): 0, it did not. A file system
 * that notes it in its first transaction has it forgotten, before the first handle: when the log is
 * empty again, the note is in its place.
 */
int journal_past_error(const struct journal *j);
void journal_forget_past_error(struct journal *j);
/* Only the replay, for checkers: how many transactions and blocks it took. */
struct journal_replay { uint32_t transactions, blocks, revoked; journal_tid first, last; };
int journal_replay(const struct journal_place *p, struct journal_replay *out);
/*
 * Commits, checkpoints everything, marks the log empty. 0, or the first error; the journal is gone
 * in any case.
 */
int journal_close(struct journal *j);

/* ---- operations ---- */

/*
 * May change or forget `blocks` buffers. 0, -ENOSPC (more than the log can ever hold), -EIO, -EROFS
 * (aborted), -ENOMEM.
 */
int journal_start(struct journal *j, unsigned blocks, struct journal_handle **out);
/* What was changed is in the transaction. 0, or the journal's error. */
int journal_stop(struct journal_handle *h);
/* of the last one, after journal_restart() has failed */
journal_tid journal_handle_tid(const struct journal_handle *h);
unsigned journal_credits(const struct journal_handle *h);   /* blocks that may still be changed */
/*
 * More credits without leaving the transaction: false when there is no room, then
 * journal_restart().
 */
bool journal_extend(struct journal_handle *h, unsigned blocks);
/*
 * Ends this transaction's part and goes on in the running one: the caller's structures must be
 * whole here. After an error the handle can only be stopped.
 */
int journal_restart(struct journal_handle *h, unsigned blocks);

/*
 * Before a change of b->data. Takes one credit the first time in a transaction. 0, -ENOMEM, -ENOSPC
 * (no credit is left, and the transaction has no room for more), -EIO (the contents are gone: the
 * block was freed since it was read, as on a damaged disk where two structures have it), the
 * journal's error. The buffer then is changed at will until journal_stop(); it is part of the
 * transaction in any case.
 */
int journal_write(struct journal_handle *h, struct buffer *b);
/*
 * The block was freed as metadata: its changes need not be written, and a replay must not bring
 * back older ones (a revoke record). `b` may be NULL when it is not in memory. The buffer is
 * discarded. Takes a credit, unless the block had one in this transaction. Errors as
 * journal_write().
 */
int journal_forget(struct journal_handle *h, uint64_t block, struct buffer *b);

/* ---- commits ---- */

bool journal_tid_reached(journal_tid now, journal_tid wanted);
void journal_commit_soon(struct journal *j);                     /* starts one, waits for nothing */
/* until it is durable; starts its commit if need be */
int journal_wait(struct journal *j, journal_tid tid);
/* everything stopped before is durable */
int journal_commit(struct journal *j);
/* commits, and everything is in its place, flushed */
int journal_checkpoint(struct journal *j);
journal_tid journal_newest(struct journal *j);                   /* no transaction is younger */
/*
 * Will a flush of the device still come before this transaction is durable? Then who has written to
 * the device before this call, and waits for the transaction after it, needs no flush of his own.
 */
bool journal_will_flush(struct journal *j, journal_tid tid);

/*
 * Called when a transaction is durable (error 0) or will never be. In the commit thread, which must
 * not wait for handles: blocks that were freed become free for others, for instance. The memory is
 * the caller's.
 */
struct journal_callback {
	struct list link;
	void (*committed)(struct journal_callback *c, int error);
};
void journal_on_commit(struct journal_handle *h, struct journal_callback *c);

/*
 * Ordered data: write() is called in the commit thread before the log is written, once for each
 * transaction it was added to; it writes the file's bytes that the transaction makes reachable,
 * waits for them, and opens no handle.
 */
struct journal_ordered {
	/* the journal's: of the running and the committing transaction */
	struct list link[2];
	bool is_delayed[2];            /* the journal's, too */
	int (*write)(struct journal_ordered *o);
	/* for journal_add_delayed() */
	void (*place)(struct journal_ordered *o, struct journal_handle *h);
};
void journal_ordered_init(struct journal_ordered *o, int (*write)(struct journal_ordered *o));
void journal_add_ordered(struct journal_handle *h, struct journal_ordered *o);
/*
 * The same for a file with bytes that have no blocks yet. Before the commit, when all other handles
 * have ended, place() is called in the commit thread to find some, with a handle that has the
 * credits kept here and must not be restarted. False: too much is kept already, so the blocks have
 * to be found now.
 */
bool journal_add_delayed(struct journal_handle *h, struct journal_ordered *o, unsigned credits);
bool journal_is_its_thread(const struct journal *j);   /* am I in write() or place()? */
/*
 * Before dirty pages are thrown away, after a handle that keeps later commits from showing them: a
 * transaction that is committing now may still show them, so it is waited for until it has called
 * write().
 */
void journal_settle_ordered(struct journal *j, struct journal_ordered *o);
/* The file goes, its pages too, as above: on return the journal does not know it. */
void journal_drop_ordered(struct journal *j, struct journal_ordered *o);

/*
 * While a journal is sealed, handles are started by the thread that sealed it alone; others are
 * told -EROFS.
 */
void journal_seal(struct journal *j);
void journal_unseal(struct journal *j);

void journal_abort(struct journal *j, int error);
int journal_error(const struct journal *j);                      /* 0: well */

struct journal_stats {
	uint64_t commits, blocks, handles, revokes, checkpoints;
	uint64_t commit_ns;            /* all commits together */
};
void journal_stats(const struct journal *j, struct journal_stats *out);

#endif
