/*
 * The ChaCha20 block function, RFC 8439, section 2.3. Pure.
 */
#ifndef CHACHA20_H
#define CHACHA20_H

#include <core/types.h>

#define CHACHA20_KEY_BYTES   32
#define CHACHA20_BLOCK_BYTES 64

void chacha20_block(uint8_t out[CHACHA20_BLOCK_BYTES], const uint8_t key[CHACHA20_KEY_BYTES],
		    uint32_t counter, const uint8_t nonce[12]);

#endif
