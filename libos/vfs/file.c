/* Open files: creation and references. See libos/file.h. */
#include <core/assert.h>
#include <core/kmem.h>
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

/* epoll.c, where it is linked, forgets a file that ends. */
__attribute__((weak)) void epoll_file_gone(struct file *f)
{
	(void)f;
}

void file_put(struct file *f)
{
	if (__atomic_fetch_sub(&f->refs, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	if (!list_is_empty(&f->epoll_items))
		epoll_file_gone(f);
	if (f->ops->release)
		f->ops->release(f);
	else
		kfree(f);
}
