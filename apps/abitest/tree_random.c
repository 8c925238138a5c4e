#define main abitest_tree_random
#include "../../tests/abi/programs/tree_random.c"
