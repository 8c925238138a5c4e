#define main abitest_threads
#include "../../tests/abi/programs/threads.c"
