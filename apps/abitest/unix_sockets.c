#define main abitest_unix_sockets
#include "../../tests/abi/programs/unix_sockets.c"
