/*
 * Messages: a ring of bytes. Threads claim their part by adding to `end`, so none waits for
 * another; who is overtaken by a whole round of the ring spoils a line, which is only a message.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <core/types.h>
#include "messages.h"

#define RING_BYTES 16384
#define LINE_BYTES 256

static struct ring {
	size_t end;                /* bytes ever added */
	size_t begin;              /* of those, what is forgotten or shown */
	char bytes[RING_BYTES];
} *ring;

void messages_init(void)
{
	ring = mmap(NULL, sizeof(*ring), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ring == MAP_FAILED)
		exit(1);
}

void messages_add(const char *fmt, va_list args)
{
	char line[LINE_BYTES];
	int len = vsnprintf(line, sizeof(line) - 1, fmt, args);
	size_t count = len < 0 ? 0 : MIN((size_t)len, sizeof(line) - 2), at;

	line[count++] = '\n';
	at = __atomic_fetch_add(&ring->end, count, __ATOMIC_RELAXED);
	for (size_t i = 0; i < count; i++)
		ring->bytes[(at + i) % RING_BYTES] = line[i];
}

void messages_forget(void)
{
	ring->begin = __atomic_load_n(&ring->end, __ATOMIC_RELAXED);
}

void messages_show(void)
{
	size_t end = __atomic_load_n(&ring->end, __ATOMIC_RELAXED);

	for (size_t at = end - ring->begin > RING_BYTES ? end - RING_BYTES : ring->begin; at < end;
	     at++)
		fputc(ring->bytes[at % RING_BYTES], stderr);
	ring->begin = end;
	fflush(stderr);
}
