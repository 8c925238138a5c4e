#define main abitest_sockets
#include "../../tests/abi/programs/sockets.c"
