#define main abitest_mounts
#include "../../tests/abi/programs/mounts.c"
