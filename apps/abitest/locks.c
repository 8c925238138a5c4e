#define main abitest_locks
#include "../../tests/abi/programs/locks.c"
