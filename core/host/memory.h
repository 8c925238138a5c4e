/* Inside core/host: the memory under the machine contract. */
#ifndef HOST_MEMORY_H
#define HOST_MEMORY_H

#include <core/page.h>

void host_memory_init(void);
void host_memory_detach(void);

#endif
