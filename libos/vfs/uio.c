/*
 * Copies between handlers and their caller. See libos/uio.h.
 *
 * In an appliance caller and handler share one address space: a copy is arch_copy_faultable(),
 * whose fault fix-up turns a bad pointer into a short copy.
 */
#include <core/arch.h>
#include <core/errno.h>
#include <core/string.h>
#include <libos/uio.h>

int user_read(void *dst, const void *user_src, size_t len)
{
	return arch_copy_faultable(dst, user_src, len) ? -EFAULT : 0;
}

int user_write(void *user_dst, const void *src, size_t len)
{
	return arch_copy_faultable(user_dst, src, len) ? -EFAULT : 0;
}

/* Copies up to the end of a page at a time, since the string may end before the next, unmapped one.
 */
kssize_t user_read_string(char *dst, const char *user_src, size_t max)
{
	size_t done = 0;

	while (done < max) {
		size_t to_page_end = PAGE_SIZE - ((uintptr_t)(user_src + done) & (PAGE_SIZE - 1));
		size_t n = MIN(max - done, to_page_end);
		size_t missing = arch_copy_faultable(dst + done, user_src + done, n);
		size_t len = str_length_max(dst + done, n - missing);

		if (len < n - missing)
			return (kssize_t)(done + len);
		if (missing)
			return -EFAULT;
		done += n;
	}
	return -ENAMETOOLONG;
}

static void uio_advance(struct uio *u, size_t len)
{
	u->left -= len;
	u->vec_done += len;
	if (u->offset >= 0)
		u->offset += (int64_t)len;
}

/* Skips finished and empty vectors; the room left in the current one, 0 at the end. */
static size_t uio_room(struct uio *u)
{
	while (u->vec_count && u->vec_done == u->vecs->len) {
		u->vecs++;
		u->vec_count--;
		u->vec_done = 0;
	}
	return u->vec_count ? MIN(u->vecs->len - u->vec_done, u->left) : 0;
}

enum direction { TO_USER, FROM_USER };

static __attribute__((noinline)) kssize_t uio_copy(struct uio *u, void *kernel, size_t len,
						   enum direction direction)
{
	size_t done = 0, room;

	while (done < len && (room = uio_room(u))) {
		size_t n = MIN(room, len - done), missing;
		char *user = (char *)u->vecs->base + u->vec_done, *ours = (char *)kernel + done;
		void *dst = direction == TO_USER ? user : ours;
		const void *src = direction == TO_USER ? ours : user;

		if (u->from_kernel)
			memcpy(dst, src, n), missing = 0;
		else
			missing = arch_copy_faultable(dst, src, n);
		uio_advance(u, n - missing);
		done += n - missing;
		if (missing)
			return done ? (kssize_t)done : -EFAULT;
	}
	return (kssize_t)done;
}

/* Most reads are of one piece into one buffer. */
kssize_t uio_copy_out(struct uio *u, const void *src, size_t len)
{
	size_t missing;

	if (unlikely(!u->vec_count || u->from_kernel ||
		     len > MIN(u->left, u->vecs->len - u->vec_done)))
		return uio_copy(u, (void *)src, len, TO_USER);
	missing = arch_copy_faultable((char *)u->vecs->base + u->vec_done, src, len);
	uio_advance(u, len - missing);
	return likely(!missing) || missing < len ? (kssize_t)(len - missing) : -EFAULT;
}

kssize_t uio_copy_in(struct uio *u, void *dst, size_t len)
{
	return uio_copy(u, dst, len, FROM_USER);
}

size_t uio_borrow(struct uio *u, size_t max, const void **at, void **owner)
{
	size_t n = MIN(uio_room(u), max);

	if (!n)
		return 0;
	*owner = u->lender->owners[u->vecs - u->lender->first];
	*at = (const char *)u->vecs->base + u->vec_done;
	if (*owner)
		u->lender->hold(*owner);
	uio_advance(u, n);
	return n;
}

bool uio_is_aligned(const struct uio *u, uint32_t bytes)
{
	uint64_t all = (uint64_t)u->offset | u->vec_done | u->left;

	for (size_t i = 0; i < u->vec_count; i++)
		all |= (uintptr_t)u->vecs[i].base | u->vecs[i].len;
	return !(all & (bytes - 1));
}

kssize_t uio_zero_out(struct uio *u, size_t len)
{
	static const uint8_t zeros[256];
	size_t done = 0;

	while (done < len) {
		kssize_t n = uio_copy_out(u, zeros, MIN(sizeof(zeros), len - done));

		if (n <= 0)
			return done ? (kssize_t)done : n;
		done += (size_t)n;
	}
	return (kssize_t)done;
}
