#define main abitest_clocks
#include "../../tests/abi/programs/clocks.c"
