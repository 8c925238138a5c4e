#define main abitest_pipes
#include "../../tests/abi/programs/pipes.c"
