#define main abitest_disk
#include "../../tests/abi/programs/disk.c"
