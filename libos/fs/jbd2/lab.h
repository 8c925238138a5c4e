/* For tests: a disk with a log at its end, and a journal on it. */
#ifndef JBD2_LAB_H
#define JBD2_LAB_H

#include <libos/journal.h>

#include "../../dev/recdev.h"
#include "format.h"

struct lab {
	struct recdev *disk;
	struct buffer_cache buffers;
	struct journal_place place;
	struct journal_options options;
	struct journal *journal;
	uint32_t home_blocks, log_blocks; /* the log lies behind the home blocks */
};

/* The usual disk. */
#define LAB_DISK_BYTES KIB(512)
#define LAB_BLOCK      1024u
#define LAB_LOG_BLOCKS 128u
#define LAB_BOTH       (JBD2_CSUM_V3 | JBD2_64BIT)

/* The one there is, with an empty log of these features, and opened; false: it is not to be had. */
bool lab_set_up(struct lab *l, uint32_t incompat);
/* An empty log with these features (JBD2_*) on a disk of zeroes. */
void lab_make(struct lab *l, struct recdev *d, uint32_t block_bytes, uint32_t log_blocks,
	      uint32_t incompat);
/* The same disk as it is now, or with other contents. */
void lab_attach(struct lab *l, struct recdev *d, const struct lab *like);
int lab_open(struct lab *l);
int lab_close(struct lab *l); /* the journal, if open, and the buffers */

uint8_t *lab_home(const struct lab *l, uint64_t block);       /* on the disk */
bool lab_is_filled(const struct lab *l, uint64_t block, uint8_t byte); /* the same */
/* One transaction's part: the block is filled with a byte. */
int lab_fill(struct lab *l, struct journal_handle *h, uint64_t block, uint8_t byte);
int lab_fill_one(struct lab *l, uint64_t block, uint8_t byte); /* in a handle of its own */

#endif
