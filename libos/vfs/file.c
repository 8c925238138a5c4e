/* Open files: creation and references. See libos/file.h. */
#include <core/assert.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <libos/abi.h>
#include <libos/file.h>

struct file *file_create(const struct file_ops *ops, void *object, uint32_t flags)
{
	struct file *f = kzalloc(sizeof(*f));

	if (!f)
		return NULL;
	f->ops = ops;
	f->object = object;
	f->flags = flags;
	f->refs = 1;
	mutex_init(&f->position_lock);
	list_init(&f->epoll_items);
	return f;
}

struct file *file_get(struct file *f)
{
	uint32_t before = __atomic_fetch_add(&f->refs, 1, __ATOMIC_RELAXED);

	assert(before > 0);
	return f;
}

enum { SEEK_FROM_START, SEEK_FROM_HERE, SEEK_FROM_END, SEEK_TO_DATA, SEEK_TO_HOLE };

/* A file without holes: all of it is data, and its end is the hole. */
static int64_t seek_base(const struct file *f, int64_t offset, int whence, int64_t size)
{
	switch (whence) {
	case SEEK_FROM_START:
		return 0;
	case SEEK_FROM_HERE:
		return f->position;
	case SEEK_FROM_END:
		return size;
	case SEEK_TO_DATA:
	case SEEK_TO_HOLE:
		if (offset < 0 || offset >= size)
			return -ENXIO;
		return whence == SEEK_TO_DATA ? 0 : size - offset;
	default:
		return -EINVAL;
	}
}

int64_t file_seek_within(struct file *f, int64_t offset, int whence, int64_t size, int64_t max)
{
	int64_t base, to;

	mutex_lock(&f->position_lock);
	base = seek_base(f, offset, whence, size);
	if (base < 0)
		to = base;
	else if (__builtin_add_overflow(base, offset, &to))
		to = -EINVAL;
	else if (to < 0 || to > max)
		to = -EINVAL;
	else
		f->position = to;
	mutex_unlock(&f->position_lock);
	return to;
}

int64_t file_seek(struct file *f, int64_t offset, int whence, int64_t size)
{
	return file_seek_within(f, offset, whence, size, INT64_MAX);
}

/* epoll.c, where it is linked, forgets a file that ends. */
__attribute__((weak)) void epoll_file_gone(struct file *f)
{
	(void)f;
}

int file_stat(struct file *f, struct kstat *st)
{
	*st = (struct kstat){ .blksize = PAGE_SIZE, .nlink = 1 };
	if (f->place)
		return f->place->ops->stat(f->place, st);
	return f->ops->stat ? f->ops->stat(f, st) : 0;
}

void file_put(struct file *f)
{
	struct file_place *place;

	if (__atomic_fetch_sub(&f->refs, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	if (!list_is_empty(&f->epoll_items))
		epoll_file_gone(f);
	place = f->place;
	if (f->ops->release)
		f->ops->release(f);
	else
		kfree(f);
	if (place)
		place->ops->release(place, f);
}
