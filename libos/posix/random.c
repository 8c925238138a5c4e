/* getrandom(), and the clean-up of what nobody should guess. */
#include <core/errno.h>
#include <core/string.h>
#include <libos/rng.h>
#include <libos/uio.h>

#include "syscalls.h"

#define GRND_ALL 7u
#define GRND_NONBLOCK 1u

long sys_getrandom(void *buf, size_t len, unsigned flags)
{
	uint8_t block[256];
	size_t done = 0;

	if (flags & ~GRND_ALL)
		return -EINVAL;
	if (!random_is_seeded()) {
		if (flags & GRND_NONBLOCK)
			return -EAGAIN;
		random_wait_seeded();
	}
	while (done < len) {
		size_t n = MIN(sizeof(block), len - done);

		random_bytes(block, n);
		if (user_write((uint8_t *)buf + done, block, n) < 0)
			return done ? (long)done : -EFAULT;
		done += n;
	}
	return (long)done;
}
