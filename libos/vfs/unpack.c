/*
 * Unpacking an initial archive into the tree, as cpio would: folders, files, symbolic and hard
 * links, device files, with mode, owner and time. A member that cannot be made is logged and left
 * out; a damaged archive is used up to the damage. Folders that the archive does not name are made
 * on the way.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/string.h>
#include <libos/vfs.h>

#include "cpio.h"
#include "rootfs.h"

/* Files of several names: an earlier one, by what the archive calls it. */
struct several {
	struct list link;
	uint32_t ino, major, minor;
	const char *name;        /* in the archive */
};

struct unpacking {
	struct list several;
	unsigned made, failed;
};

static int make_parents(const char *name)
{
	char *path = kmalloc(CPIO_NAME_MAX);
	int error = 0;

	if (!path)
		return -ENOMEM;
	str_copy(path, CPIO_NAME_MAX, name);
	for (char *at = path + 1; *at && !error; at++) {
		if (*at != '/' || at[1] == '/' || !at[1])
			continue;
		*at = '\0';
		error = vfs_create(NULL, path, S_IFDIR | 0755, 0, NULL);
		error = error == -EEXIST ? 0 : error;
		*at = '/';
	}
	kfree(path);
	return error;
}

static int write_file(const struct cpio_entry *e)
{
	struct uio_vec vec = { (void *)e->data, e->size };
	struct uio u = { .vecs = &vec, .vec_count = 1, .left = e->size, .from_kernel = true };
	struct file *f;
	kssize_t n = vfs_open(NULL, e->name, O_WRONLY | O_CREAT | O_TRUNC, 0600, &f);

	if (n)
		return (int)n;
	n = e->size ? f->ops->write(f, &u) : 0;
	file_put(f);
	return n < 0 ? (int)n : (size_t)n < e->size ? -ENOSPC : 0;
}

static int make_link(const struct cpio_entry *e)
{
	char *target = kmalloc(VFS_PATH_MAX);
	int error = -ENOMEM;

	if (target && e->size < VFS_PATH_MAX) {
		memcpy(target, e->data, e->size);
		target[e->size] = '\0';
		error = vfs_create(NULL, e->name, S_IFLNK | 0777, 0, target);
	}
	kfree(target);
	return error;
}

static int set_attributes(const struct cpio_entry *e)
{
	struct attr_change a = {
		.mask = ATTR_UID | ATTR_GID | ATTR_MTIME | ATTR_ATIME, .uid = e->uid, .gid = e->gid,
		.mtime.sec = e->mtime, .atime.sec = e->mtime,
	};
	struct path p;
	int error = vfs_walk(NULL, e->name, 0, &p);

	if (error)
		return error;
	error = vfs_change(&p, &a);
	/* last: an owner's change clears bits */
	a = (struct attr_change){ .mask = ATTR_MODE, .mode = e->mode };
	if (!error && (e->mode & S_IFMT) != S_IFLNK)
		error = vfs_change(&p, &a);
	path_put(&p);
	return error;
}

/* True if the member is one more name of a file that is there already. */
static bool link_to_earlier(struct unpacking *u, const struct cpio_entry *e)
{
	struct several *s;
	struct path p;
	bool linked = false;

	list_for_each(s, &u->several, link) {
		if (s->ino != e->ino || s->major != e->major || s->minor != e->minor)
			continue;
		if (vfs_walk(NULL, s->name, 0, &p))
			return false;
		linked = vfs_link(&p, NULL, e->name) == 0;
		path_put(&p);
		return linked;
	}
	s = kmalloc(sizeof(*s));
	if (s) {
		*s = (struct several){
			.ino = e->ino, .major = e->major, .minor = e->minor, .name = e->name
		};
		list_push_back(&u->several, &s->link);
	}
	return false;
}

static int make_member(struct unpacking *u, const struct cpio_entry *e)
{
	int error = make_parents(e->name);

	if (error)
		return error;
	switch (e->mode & S_IFMT) {
	case S_IFDIR:
		error = vfs_create(NULL, e->name, S_IFDIR | 0700, 0, NULL);
		error = error == -EEXIST ? 0 : error;
		break;
	case S_IFREG:
		/* Of several names, as a rule the last has the bytes. */
		if (e->nlink > 1 && link_to_earlier(u, e) && !e->size)
			break;
		error = write_file(e);
		break;
	case S_IFLNK:
		error = make_link(e);
		break;
	default:
		error = vfs_create(NULL, e->name, e->mode & (S_IFMT | 0777),
				   e->rmajor << 8 | e->rminor, NULL);
	}
	return error ? error : set_attributes(e);
}

int rootfs_unpack(const void *bytes, size_t size)
{
	struct unpacking u = { .several = LIST_INIT(u.several) };
	struct list *link;
	struct cpio_entry e;
	struct cpio a;
	int ret;

	cpio_open(&a, bytes, size);
	while ((ret = cpio_next(&a, &e)) == 1) {
		int error = str_equal(e.name, ".") ? 0 : make_member(&u, &e);

		if (error)
			log_warn("initrd: %s cannot be made, error %d", e.name, -error);
		u.failed += error != 0;
		u.made += error == 0;
	}
	while ((link = list_pop_front(&u.several)))
		kfree(list_entry(link, struct several, link));
	if (ret < 0)
		log_warn("initrd: not a cpio archive (newc form) from byte %lu on",
			 (unsigned long)a.at);
	else if (size)
		log_info("initrd: %u members in %lu bytes", u.made, (unsigned long)size);
	return ret < 0 ? ret : u.failed ? -EIO : 0;
}
