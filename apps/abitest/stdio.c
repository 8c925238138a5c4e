#define main abitest_stdio
#include "../../tests/abi/programs/stdio.c"
