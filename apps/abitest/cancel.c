#define main abitest_cancel
#include "../../tests/abi/programs/cancel.c"
