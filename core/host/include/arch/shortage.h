/* For tests: memory that runs out at a chosen allocation. */
#ifndef HOST_SHORTAGE_H
#define HOST_SHORTAGE_H

#include <core/types.h>

/*
 * In all threads but the caller's: `count` allocations fail, the first of them with this number
 * from now on (0: none).
 */
void host_shortage(uint64_t number, uint64_t count);
uint64_t host_allocations(void); /* how many since */

#endif
