#define main abitest_fifos
#include "../../tests/abi/programs/fifos.c"
