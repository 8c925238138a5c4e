/*
 * The functions of the image by address, from the table that the second link adds (CONFIG_SYMBOLS).
 */
#ifndef CORE_SYMBOLS_H
#define CORE_SYMBOLS_H

#include <core/types.h>

/*
 * The name of the function that holds `pc` and the distance from its start, or NULL. Any context.
 */
const char *symbol_find(vaddr_t pc, size_t *offset);

#endif
