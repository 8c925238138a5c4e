/*
 * The memory of the cache: one range of addresses, given out in pages, and a sum that never exceeds
 * the limit. What the hash table takes is counted, too.
 */
#ifndef MEMCACHED_MEMORY_H
#define MEMCACHED_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Reduces *limit to what this machine has, and says so in one line when that is less than asked.
 * Reserves the addresses. 0 or negative errno.
 */
int memory_start(size_t *limit);
size_t memory_page_bytes(void);
size_t memory_used(void);

/* The next page never used before, or NULL when the limit is reached. */
void *memory_page_new(void);
unsigned memory_pages(void);                   /* how many have been given out */
unsigned memory_page_index(const void *inside);
void *memory_page_at(unsigned index);

/* Accounts for memory that was taken elsewhere. False: over the limit, do not take it. */
bool memory_take(size_t bytes);

/* Marks bytes as in use or not for the address sanitizer; nothing without it. */
void memory_poison(void *p, size_t bytes);
void memory_unpoison(void *p, size_t bytes);

#endif
