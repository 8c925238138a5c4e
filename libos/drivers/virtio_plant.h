/*
 * Planted bugs: checks that a test build leaves out, one at a time (-DKILN_PLANT_VIRTQ_ID and so
 * on), to show that the tests with lying devices notice. docs/drivers.md names them all.
 */
#ifndef VIRTIO_PLANT_H
#define VIRTIO_PLANT_H

#include <core/types.h>

#define planted(bug) IS_ENABLED(KILN_PLANT_##bug)

#endif
