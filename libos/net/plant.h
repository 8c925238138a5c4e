/*
 * Planted bugs: checks that a test build leaves out, one at a time (-DKILN_PLANT_NET_TCP_HEADER and
 * so on), to show that the tests with malformed frames notice. tests/host names them all.
 */
#ifndef NET_PLANT_H
#define NET_PLANT_H

#include <core/types.h>

#define planted(bug) IS_ENABLED(KILN_PLANT_##bug)

#endif
