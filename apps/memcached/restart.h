/*
 * Warm restart: the memory file (-e), a regular file or a disk.
 *
 * restart_save() at a clean stop writes every live item; restart_load() at the next start reads
 * them back and uses the file up, so that no cache is ever loaded twice, nor one that a crash has
 * left behind. CAS numbers, expiry times and the clock go on.
 *
 * Layout, in the byte order of the machine:
 *
 *     header     4096 bytes: struct restart_header, zeros
 *     blocks     64 KiB each: a checksum of all that follows in it, its number, the length of its
 *                payload, payload. The payloads in order are the items, one behind the other.
 *     item       struct restart_item, key, value with CR LF
 *
 * The header says RESTART_COMPLETE only after all blocks have reached the disk, and is checked
 * first; it is taken back before the first item is read. What is read is not trusted: each block is
 * checked, each number in each item, and whatever is wrong refuses the whole file.
 */
#ifndef MEMCACHED_RESTART_H
#define MEMCACHED_RESTART_H

#include <stdint.h>

enum {
	RESTART_VERSION = 1,
	RESTART_HEADER_BYTES = 4096,
	RESTART_BLOCK_BYTES = 64 * 1024,
};

enum restart_state { RESTART_OPEN = 0x6e65706f, RESTART_COMPLETE = 0x656e6f64 };

struct restart_header {
	char     magic[8];         /* "KilnMemc" */
	uint32_t version;
	uint32_t state;            /* enum restart_state */
	uint64_t item_size_max;    /* -I, and */
	uint32_t use_cas;          /* -C must be as they were */
	uint32_t flush_due;        /* a flush_all that waits */
	int64_t  origin;           /* clock_origin() */
	uint64_t last_cas;
	uint64_t items, blocks;
	uint64_t sum;              /* of all that precedes */
};

struct restart_block {
	uint64_t sum;
	uint32_t number, len;
	char payload[RESTART_BLOCK_BYTES - 16];
};

struct restart_item {
	uint64_t cas;
	uint32_t value_len;        /* with CR LF */
	uint32_t client_flags;
	uint32_t expires, last_used;   /* by the clock with that origin */
	uint8_t  key_len, flags, segment;
	uint8_t  zero[5];
};

/*
 * Both say in one sentence on stderr what went wrong; after that the cache, or the file, is empty.
 */
void restart_load(const char *path);
void restart_save(const char *path);

#endif
