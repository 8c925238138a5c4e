#define main abitest_file_errors
#include "../../tests/abi/programs/file_errors.c"
