/* Inside core/host. */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include <core/types.h>

void host_set_harts(hart_t count); /* before anything else of the machine contract */

#endif
