#define main abitest_memory
#include "../../tests/abi/programs/memory.c"
