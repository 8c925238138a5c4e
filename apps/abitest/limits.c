#define main abitest_limits
#include "../../tests/abi/programs/limits.c"
