#define main abitest_signals
#include "../../tests/abi/programs/signals.c"
