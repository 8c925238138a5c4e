#define main abitest_readiness
#include "../../tests/abi/programs/readiness.c"
