#define main abitest_tree
#include "../../tests/abi/programs/tree.c"
