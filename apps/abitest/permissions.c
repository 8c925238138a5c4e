#define main abitest_permissions
#include "../../tests/abi/programs/permissions.c"
