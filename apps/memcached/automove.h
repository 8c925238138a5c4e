/*
 * Automove: which slab class should give a page to which.
 */
#ifndef MEMCACHED_AUTOMOVE_H
#define MEMCACHED_AUTOMOVE_H

#include <stdbool.h>

/*
 * Looks at what happened since the last call; to be called once a second. True: move such a page.
 */
bool automove_decide(int *from, int *to);

#endif
