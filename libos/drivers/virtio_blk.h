/* What the block driver and its tests know of the device [5.2]. */
#ifndef VIRTIO_BLK_H
#define VIRTIO_BLK_H

#include <core/types.h>

/* Features [5.2.3]. */
#define BLK_F_SIZE_MAX     (1ULL << 1)
#define BLK_F_SEG_MAX      (1ULL << 2)
#define BLK_F_RO           (1ULL << 5)
#define BLK_F_BLK_SIZE     (1ULL << 6)
#define BLK_F_FLUSH        (1ULL << 9)
#define BLK_F_MQ           (1ULL << 12)
#define BLK_F_DISCARD      (1ULL << 13)
#define BLK_F_WRITE_ZEROES (1ULL << 14)

/* Configuration [5.2.4]. */
enum {
	BLK_CONFIG_CAPACITY = 0, BLK_CONFIG_SIZE_MAX = 8, BLK_CONFIG_SEG_MAX = 12,
	BLK_CONFIG_BLK_SIZE = 20, BLK_CONFIG_NUM_QUEUES = 34, BLK_CONFIG_MAX_DISCARD = 36,
	BLK_CONFIG_MAX_ZEROES = 48, BLK_CONFIG_ZEROES_UNMAP = 56,
};

/* Requests [5.2.6]. */
enum {
	BLK_T_IN = 0, BLK_T_OUT = 1, BLK_T_FLUSH = 4, BLK_T_GET_ID = 8, BLK_T_DISCARD = 11,
	BLK_T_WRITE_ZEROES = 13,
};
enum { BLK_S_OK = 0, BLK_S_IOERR = 1, BLK_S_UNSUPP = 2 };

#define BLK_SECTOR   512u
#define BLK_ID_BYTES 20u

struct virtio_blk_header {
	uint32_t type, reserved;
	uint64_t sector;
};

struct virtio_blk_range { /* of discard and write zeroes */
	uint64_t sector;
	uint32_t sectors, flags; /* flags: 1 may unmap */
};

#endif
