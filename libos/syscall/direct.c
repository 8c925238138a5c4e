/*
 * The direct door: system calls as function calls, generated from syscalls.tbl.
 *
 * direct_<name>() converts six registers' worth of words to the handler's parameters and does what
 * surrounds every call (door.h). libc calls it by name wherever the number is constant, so that an
 * image carries the handlers of the calls that its program makes, and no others. A handler whose
 * part is not selected is replaced by a weak one that answers -ENOSYS.
 */
#include "syscall_direct.c"
