#define main abitest_tree_threads
#include "../../tests/abi/programs/tree_threads.c"
