#define main abitest_proc
#include "../../tests/abi/programs/proc.c"
