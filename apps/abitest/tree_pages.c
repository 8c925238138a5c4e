#define main abitest_tree_pages
#include "../../tests/abi/programs/tree_pages.c"
