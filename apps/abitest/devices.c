#define main abitest_devices
#include "../../tests/abi/programs/devices.c"
