/* For tests: memory that runs out at a chosen allocation. */
#ifndef HOST_SHORTAGE_H
#define HOST_SHORTAGE_H

#include <core/types.h>

/* In all threads but the caller's: the allocation with this number from now on fails (0: none), and all after it, or not. */
void host_shortage(uint64_t number, bool all_after);
uint64_t host_allocations(void); /* how many since */

#endif
