#define main abitest_inotify
#include "../../tests/abi/programs/inotify.c"
