/*
 * The memory of the cache: ranges of addresses, given out in pages, and a sum that never exceeds
 * the limit. What the hash table takes is counted, too.
 */
#ifndef MEMCACHED_MEMORY_H
#define MEMCACHED_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Reduces *limit to what this machine has, and says so in one line when that is less than asked.
 * Reserves the addresses, for pages that hold two chunks of at least chunk_max bytes. 0 or negative
 * errno.
 */
int memory_start(size_t *limit, size_t chunk_max);
/*
 * Another limit. Where it is lower than what is in use nothing more is given out; it is for the
 * caller to release pages. False: this machine does not have as much.
 */
bool memory_limit_set(size_t limit);
bool memory_is_over_limit(void);
/*
 * Keeps `bytes` free of pages for the hash table, which has not got them; counts as over the limit.
 */
void memory_want(size_t bytes);
size_t memory_page_bytes(void);
size_t memory_used(void);

/* The next page never used before, or NULL when the limit is reached. */
void *memory_page_new(void);
unsigned memory_pages(void);                   /* how many have ever been given out */
/* Gives the page's memory back to the system; its addresses stay, for memory_page_again(). */
void memory_page_release(unsigned index);
/* Takes a released page again. False: over the limit. */
bool memory_page_again(unsigned index);
unsigned memory_page_index(const void *inside);
void *memory_page_at(unsigned index);

/* Accounts for memory that was taken elsewhere. False: over the limit, do not take it. */
bool memory_take(size_t bytes);
void memory_give(size_t bytes);

/* Marks bytes as in use or not for the address sanitizer; nothing without it. */
void memory_poison(void *p, size_t bytes);
void memory_unpoison(void *p, size_t bytes);

#endif
