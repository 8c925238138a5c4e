/*
 * Inside the journal: its transactions and blocks. See docs/journal.md for how they go together.
 *
 * Order of locks: the journal's, then a buffer cache's.
 */
#ifndef JBD2_PARTS_H
#define JBD2_PARTS_H

#include <core/assert.h>
#include <core/sync.h>
#include <core/thread.h>
#include <libos/journal.h>

#include "jlog.h"
#include "revoke.h"

#define JOURNAL_SLOTS 64u /* blocks that are on their way to the disk at a time */

/*
 * Life: running (handles join it) -> locked (none do, those in it end) -> committing (its blocks go
 * into the log) -> committed (its blocks go home) -> freed.
 *
 * Locks:  I set once   j journal   c the journal's thread
 */
struct transaction {
	journal_tid tid;             /* [I] */
	bool locked;                 /* [j] */
	/* [j] what is written to the device from now on is not in its flush */
	bool flushing;
	uint32_t handles;            /* [j] */
	/* [j] credits: those used, and those that handles still have */
	uint32_t reserved;
	/* [j] while running, then [c]: members of struct journal_block */
	struct list blocks;
	uint32_t block_count;        /* [j] those of them that will be written */
	struct revokes revokes;      /* [j] while running, then [c] */
	struct list ordered;         /* [j] struct journal_ordered, by link[tid & 1] */
	uint32_t kept;               /* [j] credits for those that are delayed */
	struct list callbacks;       /* [j] */
	uint64_t deadline_ns;        /* [I] it is committed then at the latest */
	struct list link;            /* [c] in the journal's list of committed ones */
	/* [c] blocks of which this is the newest committed copy, and that are not home */
	struct list home;
	uint32_t start, log_blocks;  /* [c] where it begins in the log, and how much it takes */
};

/* What the journal knows of a buffer; while there is one, it holds the buffer. */
struct journal_block {
	struct buffer *buffer;       /* [I] */
	struct member {
		struct transaction *in;  /* [j] */
		struct list link;        /* [j], then [c] as the transaction's */
		bool is_forgotten;       /* [j] freed in it: not written */
	} member[2];                 /* the running and the committing transaction's, by tid & 1 */
	struct transaction *home;    /* [j] committed, and not yet in its place */
	struct list home_link;       /* [c] */
	/* [j] what the committing transaction has, once a running one changes it */
	uint8_t *frozen;
	bool is_copied;              /* [j] the committing transaction has taken it */
};

struct journal_handle {
	struct journal *journal;         /* [I] */
	struct transaction *transaction; /* its thread's; NULL: it could not go on */
	journal_tid tid;                 /* its thread's: of the transaction, or the last one */
	uint32_t credits;                /* its thread's */
};

struct journal {
	struct jlog log;                 /* [c] after opening */
	struct journal_options options;  /* [I] */
	struct thread *thread;           /* [I] NULL: read-only */
	struct spinlock lock;
	struct waitq changed;            /* whoever waits for a transaction or for room */
	struct waitq work;               /* the thread */
	struct transaction *running, *committing; /* [j] */
	journal_tid next, committed;     /* [j] of the next transaction; the last that is durable */
	journal_tid commit_wanted;       /* [j] */
	bool room_wanted, stopping;      /* [j] */
	uint32_t checkpoints_asked, checkpoints_done; /* [j] */
	uint32_t credits_max;            /* [I] of one transaction */
	uint32_t room;                   /* [j] free blocks of the log */
	uint32_t committing_need;        /* [j] of them, what the committing transaction may take */
	const struct thread *sealed_by;  /* [j] who alone starts handles; NULL: everybody does */
	int error;                       /* [j] why it was aborted */
	bool error_is_recorded;          /* [c] */
	bool forgets_past_error;         /* [I] since before the first handle */
	struct journal_ordered *writing; /* [j] whose write() is called now */
	struct list checkpoints;         /* [c] committed transactions, oldest first */
	uint32_t head;                   /* [c] where the next transaction begins in the log */
	bool log_is_empty;               /* [c] the superblock says so */
	uint8_t *slots;                  /* [c] JOURNAL_SLOTS blocks on their way to the disk */
	uint8_t *scratch;                /* [c] a descriptor, revoke or commit block */
	struct journal_stats stats;      /* [j] */
};

/* [j] Gives up the lock while waiting, at most until the deadline. */
void journal_sleep(struct journal *j, struct waitq *q, uint64_t deadline_ns);

/*
 * What a transaction with so many credits can take of the log: descriptors and the commit block
 * with them.
 */
uint32_t journal_need(const struct journal *j, uint32_t credits);

static inline struct member *member_in(struct journal_block *b, const struct transaction *t)
{
	struct member *m = &b->member[t->tid & 1];

	return m->in == t ? m : NULL;
}

/* handle.c: [j] so many more credits for the running transaction, if they fit. */
bool transaction_reserve(struct journal *j, struct transaction *t, uint32_t credits);

/* block.c: [j] frees what no transaction needs any more. */
void journal_block_release(struct journal_block *b);
struct journal_block *journal_block_of_member(struct list *link, const struct transaction *t);

/* ordered.c, in the thread */
void transaction_place_delayed(struct journal *j, struct transaction *t); /* [j] */
void transaction_write_ordered(struct journal *j, struct transaction *t);
void transaction_drop_ordered(struct journal *j, struct transaction *t);
void transaction_call_back(struct transaction *t, int error);

/* commit.c, in the thread: the running transaction. */
void journal_commit_running(struct journal *j);

/*
 * checkpoint.c, in the thread: brings committed blocks home, oldest first, until so much of the log
 * is free.
 */
int journal_bring_home(struct journal *j, uint32_t room_goal);
int journal_mark_empty(struct journal *j); /* nothing is left to be brought home */

/* thread.c */
int journal_thread_start(struct journal *j);

#endif
