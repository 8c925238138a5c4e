/*
 * Bytes from file to file without passing through the program: sendfile, copy_file_range.
 *
 * The source's pages are lent: who writes copies out of them, once, or, where it sends by
 * reference, not at all. Several pages go in one write. Of both calls, what was read ahead but not
 * written counts as not read.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <libos/abi.h>
#include <libos/cache.h>
#include <libos/vfs.h>

#include "blocking.h"
#include "fd.h"
#include "io.h"
#include "syscalls.h"

#define LENT_MAX  16u
#define COPY_MAX  0x7ffff000ul

/* Pages of a file, as pieces of a write. */
struct lent {
	struct cache *cache;
	struct cache_page *pages[LENT_MAX];
	struct uio_vec vecs[LENT_MAX];
	unsigned count;
	size_t bytes;
};

/* A hole of a file in memory has no page. */
static int lend_piece(struct lent *l, struct file_view *view, int64_t at, size_t max)
{
	static const uint8_t zeroes[512];
	size_t in_page = (size_t)at & (PAGE_SIZE - 1), n = MIN(max, PAGE_SIZE - in_page);
	struct cache_page *p;
	int error = cache_page_get(l->cache, (uint64_t)at >> PAGE_SHIFT, view, &p);

	if (error)
		return error;
	if (!p)
		n = MIN(n, sizeof(zeroes));
	l->pages[l->count] = p;
	l->vecs[l->count++] = (struct uio_vec){ p ? p->bytes + in_page : (void *)zeroes, n };
	l->bytes += n;
	return 0;
}

static void lent_page_hold(void *page)
{
	cache_page_hold(page);
}

static void lent_page_put(void *page)
{
	cache_page_put(page);
}

static void lent_return(struct lent *l)
{
	for (unsigned i = 0; i < l->count; i++) {
		if (l->pages[i])
			cache_page_put(l->pages[i]);
	}
}

/* What a truncation has cut off meanwhile may have become holes, and is no part of the file. */
static void lent_trim(struct lent *l, size_t bytes)
{
	while (l->bytes > bytes) {
		struct uio_vec *last = &l->vecs[l->count - 1];
		size_t n = MIN(last->len, l->bytes - bytes);

		l->bytes -= n;
		last->len -= n;
		if (!last->len && l->pages[--l->count])
			cache_page_put(l->pages[l->count]);
	}
}

static size_t bytes_behind(const struct cache *c, int64_t at)
{
	return (size_t)MAX(__atomic_load_n(c->size, __ATOMIC_ACQUIRE) - at, 0);
}

static int lend(struct lent *l, struct file *in, int64_t at, size_t len)
{
	int error = 0;

	l->count = 0;
	l->bytes = 0;
	len = MIN(len, bytes_behind(l->cache, at));
	while (!error && l->count < LENT_MAX && l->bytes < len)
		error = lend_piece(l, &in->view, at + (int64_t)l->bytes, len - l->bytes);
	if (l->count)
		error = 0;
	lent_trim(l, bytes_behind(l->cache, at));
	return error;
}

/*
 * At *from of `in` to *to of `out` (-1: its position, or a stream), both moved by what was written.
 */
static kssize_t copy_some(struct lent *l, struct file *in, int64_t *from, struct file *out,
			  int64_t *to, size_t len)
{
	const struct uio_lender lender = { l->vecs, (void *const *)l->pages, lent_page_hold,
					   lent_page_put };
	struct uio u = { .vecs = l->vecs, .offset = *to, .from_kernel = true, .lender = &lender };
	kssize_t n = lend(l, in, *from, len);

	if (n || !l->count)
		return n;
	u.vec_count = l->count;
	u.left = l->bytes;
	n = file_transfer(out, &u, false);
	lent_return(l);
	if (n > 0) {
		*from += n;
		*to += *to >= 0 ? n : 0;
	}
	return n;
}

static kssize_t copy(struct file *in, int64_t *from, struct file *out, int64_t *to, size_t len)
{
	struct lent *l = kmalloc(sizeof(*l)); /* not on the stack, of which callers have little */
	kssize_t n = 1;
	size_t done = 0;

	if (!l)
		return -ENOMEM;
	l->cache = in->ops->pages ? in->ops->pages(in) : NULL;
	if (!l->cache)
		n = -EINVAL;
	len = MIN(len, COPY_MAX);
	while (done < len && n > 0) {
		n = copy_some(l, in, from, out, to, len - done);
		done += (size_t)MAX(n, 0);
	}
	kfree(l);
	return done || n > 0 ? (kssize_t)done : n;
}

/* Where a call begins: at the caller's offset, or the file's position. */
static int offset_read(struct file *f, const long *user, int64_t *at)
{
	long given;

	if (!user) {
		mutex_lock(&f->position_lock);
		*at = f->position;
		mutex_unlock(&f->position_lock);
		return 0;
	}
	if (user_read(&given, user, sizeof(given)) < 0)
		return -EFAULT;
	*at = given;
	return given < 0 ? -EINVAL : 0;
}

static int offset_write(struct file *f, long *user, int64_t at)
{
	if (user)
		return user_write(user, &(long){ at }, sizeof(long));
	mutex_lock(&f->position_lock);
	f->position = at;
	mutex_unlock(&f->position_lock);
	return 0;
}

static kssize_t send_file(struct file *in, long *offset, struct file *out, size_t count)
{
	int64_t from, to = -1;
	kssize_t n;
	int error;

	if (!file_may(in, true) || !file_may(out, false))
		return -EBADF;
	if (!in->ops->seek)
		return offset ? -ESPIPE : -EINVAL;
	if (out->flags & O_APPEND)
		return -EINVAL;
	error = offset_read(in, offset, &from);
	if (!error && count > (uint64_t)(INT64_MAX - from))
		error = -EINVAL;
	if (error)
		return error;
	n = copy(in, &from, out, &to, count);
	error = n > 0 ? offset_write(in, offset, from) : 0;
	return error ? error : n;
}

long sys_sendfile(int out_fd, int in_fd, long *offset, size_t count)
{
	struct file *in = fd_get(in_fd), *out = fd_get(out_fd);
	long ret = in && out ? send_file(in, offset, out, count) : -EBADF;

	if (in)
		file_put(in);
	if (out)
		file_put(out);
	return ret;
}

/* ---- copy_file_range ---- */

static const struct inode *regular(const struct file *f)
{
	const struct path *p = file_path(f);
	const struct inode *inode = p ? path_inode(p) : NULL;

	return inode && inode_kind(inode) == S_IFREG ? inode : NULL;
}

static int check_copy(const struct file *in, const struct file *out)
{
	const struct path *a = file_path(in), *b = file_path(out);

	if ((a && inode_is_dir(path_inode(a))) || (b && inode_is_dir(path_inode(b))))
		return -EISDIR;
	if (!regular(in) || !regular(out))
		return -EINVAL;
	return file_may(in, true) && file_may(out, false) && !(out->flags & O_APPEND) ? 0 : -EBADF;
}

/* Of *len bytes those that the source has: 0, or -EINVAL when the two places meet. */
static int limit_copy(const struct inode *in, int64_t from, const struct inode *out, int64_t to,
		      size_t *len)
{
	int64_t size = __atomic_load_n(&in->size, __ATOMIC_ACQUIRE);

	*len = MIN(*len, (size_t)MIN(MAX(size - from, 0), INT64_MAX - to));
	return in == out && from - to < (int64_t)*len && to - from < (int64_t)*len ? -EINVAL : 0;
}

static kssize_t copy_range(struct file *in, long *in_offset, struct file *out, long *out_offset,
			   size_t len)
{
	int64_t from = 0, to = 0;
	kssize_t n;
	int error = check_copy(in, out);

	if (!error)
		error = offset_read(in, in_offset, &from);
	if (!error)
		error = offset_read(out, out_offset, &to);
	if (!error)
		error = limit_copy(regular(in), from, regular(out), to, &len);
	if (error || !len)
		return error;
	n = copy(in, &from, out, &to, len);
	if (n > 0)
		error = offset_write(in, in_offset, from);
	if (n > 0 && !error)
		error = offset_write(out, out_offset, to);
	return error ? error : n;
}

long sys_copy_file_range(int in_fd, long *in_offset, int out_fd, long *out_offset, size_t len,
			 unsigned flags)
{
	struct file *in, *out;
	long ret;

	in = fd_get(in_fd);
	out = fd_get(out_fd);
	if (!in || !out)
		ret = -EBADF;
	else
		ret = flags ? -EINVAL : copy_range(in, in_offset, out, out_offset, len);
	if (in)
		file_put(in);
	if (out)
		file_put(out);
	return ret;
}
