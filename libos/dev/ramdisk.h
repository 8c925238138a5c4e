/* Disks in memory: see ramdisk.c. */
#ifndef DEV_RAMDISK_H
#define DEV_RAMDISK_H

#include <libos/blkdev.h>

/*
 * A disk of zeroes, `bytes` in whole pages, named ram0, ram1, ...: NULL when memory is short.
 * Threads.
 */
struct blkdev *ramdisk_create(uint64_t bytes);

#endif
