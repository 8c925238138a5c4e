/* Inside the metadata buffers (buffer.c, buffer_write.c): flags, and the right to transfer. */
#ifndef VFS_BUFFER_PARTS_H
#define VFS_BUFFER_PARTS_H

#include <libos/buffer.h>

static inline uint32_t buffer_flags(const struct buffer *b)
{
	return __atomic_load_n(&b->flags, __ATOMIC_ACQUIRE);
}

static inline void buffer_flags_set(struct buffer *b, uint32_t flags)
{
	__atomic_fetch_or(&b->flags, flags, __ATOMIC_SEQ_CST);
}

static inline void buffer_flags_clear(struct buffer *b, uint32_t flags)
{
	__atomic_fetch_and(&b->flags, ~flags, __ATOMIC_SEQ_CST);
}

static inline uint64_t buffer_place(const struct buffer *b)
{
	return b->block * b->cache->block_bytes;
}

void buffer_hold_locked(struct buffer *b);           /* [c] off the unused list */

bool buffer_try_busy(struct buffer *b);
void buffer_make_busy(struct buffer *b);             /* waits */
void buffer_end_busy(struct buffer *b, uint32_t add); /* and sets flags before others see it */

#endif
