/* The world of the fuzzer: see world_fuzz.c. */
#ifndef EXT4_FUZZ_WORLD_H
#define EXT4_FUZZ_WORLD_H

#include <core/types.h>

#define WORLD_BYTES MIB(1)

extern uint8_t world_disk[WORLD_BYTES];

#endif
