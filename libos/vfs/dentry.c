/*
 * The name cache: which names a directory has, and has not, as far as somebody asked.
 *
 * Life of a dentry: made by a lookup, positive or negative -> used (references) -> unused, on the
 * LRU list but still found -> forgotten when too many are unused, or its file system goes. A name
 * that is removed is dropped: those who hold its dentry keep it, later lookups ask again.
 *
 * Whoever has one name too many forgets the longest unused one, of whatever file system, which may
 * have to wait for a disk. So a file system that ends waits until the last of its names is gone.
 *
 * A dentry has a reference to its parent, so the way up from any that is held is held, too. When a
 * directory is removed, what is remembered below it (the names that it has not) goes as well: else
 * its inode would stay.
 *
 * A directory has one name in memory at a time. No healthy file system has a second one for it, but
 * a damaged or hostile disk may lead to a directory from two places, or from below itself; then
 * there would be no order in which the locks of directories can be taken, and no end of the way up.
 * So a lookup refuses the second name as long as there is the first.
 *
 * Locks: tree_lock for everything here; a name comes and goes, and changes its inode, only under
 * its directory's lock as well, so that cache and file system agree.
 */
#include <core/assert.h>
#include <core/errno.h>
#include <core/fmt.h>
#include <core/kmem.h>
#include <core/string.h>

#include "namei.h"

#define BUCKETS    1024u
#define UNUSED_MAX 8192u

struct spinlock tree_lock = SPINLOCK_INIT;
static struct list buckets[BUCKETS]; /* [t] initialised when first used */
static struct list unused = LIST_INIT(unused);
static unsigned unused_count;
static struct waitq ending = WAITQ_INIT(ending); /* file systems that wait for their last name */

static uint32_t hash_name(const struct dentry *dir, const char *text, size_t len)
{
	uint64_t h = (uint64_t)(uintptr_t)dir >> 4;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)text[i]) * 0x100000001b3;
	return (uint32_t)(h ^ h >> 32);
}

static struct list *bucket_of(uint32_t hash)
{
	struct list *b = &buckets[hash % BUCKETS];

	if (!b->next)
		list_init(b);
	return b;
}

static void get_locked(struct dentry *d)
{
	if (!d->refs++ && list_is_linked(&d->lru)) {
		list_remove(&d->lru);
		unused_count--;
	}
}

/* `dir` NULL: it is a root. */
static void join(struct dentry *d, struct dentry *dir)
{
	spin_lock(&tree_lock);
	d->super->names++;
	if (dir) {
		get_locked(dir);
		list_push_back(&dir->children, &d->sibling);
	}
	spin_unlock(&tree_lock);
}

static struct dentry *dentry_new(struct dentry *dir, struct super *s, const char *text, size_t len)
{
	struct dentry *d = kzalloc(sizeof(*d));

	if (d)
		d->name = kmalloc(len + 1);
	if (!d || !d->name) {
		kfree(d);
		return NULL;
	}
	memcpy(d->name, text, len);
	d->name[len] = '\0';
	d->len = (uint16_t)len;
	d->name_hash = hash_name(dir, text, len);
	d->parent = dir;
	d->super = s;
	d->refs = 1;
	list_init(&d->hash);
	list_init(&d->lru);
	list_init(&d->sibling);
	list_init(&d->children);
	join(d, dir);
	return d;
}

/* False: it is a directory that has a name already. */
static bool lead_to_locked(struct dentry *d, struct inode *inode)
{
	if (inode_is_dir(inode)) {
		if (inode->named)
			return false;
		inode->named = true;
	}
	__atomic_store_n(&d->inode, inode, __ATOMIC_RELEASE); /* for who looks without a lock */
	return true;
}

/* The dentry goes, and with it its name for the inode. */
static void lead_nowhere_locked(struct dentry *d)
{
	if (d->inode && inode_is_dir(d->inode))
		d->inode->named = false;
}

static bool lead_to(struct dentry *d, struct inode *inode)
{
	bool ok;

	spin_lock(&tree_lock);
	ok = lead_to_locked(d, inode);
	spin_unlock(&tree_lock);
	return ok;
}

struct dentry *dentry_root(struct super *s)
{
	struct dentry *d = dentry_new(NULL, s, "/", 1);

	if (d)
		lead_to(d, s->root);
	return d;
}

void dentry_get(struct dentry *d)
{
	spin_lock(&tree_lock);
	get_locked(d);
	spin_unlock(&tree_lock);
}

/* Takes an unused dentry out of the cache: whoever calls frees it. */
static void take_out_locked(struct dentry *d)
{
	assert(!d->refs);
	lead_nowhere_locked(d);
	list_remove(&d->hash);
	list_remove(&d->sibling);
	list_remove(&d->lru);
	unused_count--;
}

/* One reference less. What has to be freed now: the dentry, or the longest unused one; or NULL. */
static struct dentry *put_locked(struct dentry *d)
{
	assert(d->refs > 0);
	if (--d->refs)
		return NULL;
	if (!list_is_linked(&d->hash)) {
		lead_nowhere_locked(d);
		list_remove(&d->sibling);
		return d;
	}
	list_push_back(&unused, &d->lru);
	if (++unused_count <= UNUSED_MAX)
		return NULL;
	d = list_first(&unused, struct dentry, lru);
	take_out_locked(d);
	return d;
}

/*
 * Returns the parent, whose reference is the caller's now. The file system may end when it has none
 * but that.
 */
static struct dentry *dentry_free(struct dentry *d)
{
	struct dentry *parent = d->parent;
	struct super *s = d->super;
	bool ends;

	if (d->inode)
		inode_put(d->inode);
	kfree(d->name);
	kfree(d);
	spin_lock(&tree_lock);
	s->names--;
	ends = s->ends;
	spin_unlock(&tree_lock);
	if (ends)
		waitq_wake_all(&ending);
	return parent;
}

void dentry_put(struct dentry *d)
{
	while (d) {
		struct dentry *gone;
		bool ends;

		spin_lock(&tree_lock);
		ends = d->super->ends;
		gone = put_locked(d);
		spin_unlock(&tree_lock);
		if (ends) /* it may be one more that nobody uses */
			waitq_wake_all(&ending);
		d = gone ? dentry_free(gone) : NULL;
	}
}

static struct dentry *find(struct dentry *dir, const struct vfs_name *n)
{
	uint32_t hash = hash_name(dir, n->text, n->len);
	struct list *b;
	struct dentry *d;

	spin_lock(&tree_lock);
	b = bucket_of(hash);
	list_for_each(d, b, hash) {
		if (d->name_hash == hash && d->parent == dir && d->len == n->len &&
		    !memcmp(d->name, n->text, n->len)) {
			get_locked(d);
			spin_unlock(&tree_lock);
			return d;
		}
	}
	spin_unlock(&tree_lock);
	return NULL;
}

static void insert_locked(struct dentry *d)
{
	d->name_hash = hash_name(d->parent, d->name, d->len);
	list_push_front(bucket_of(d->name_hash), &d->hash);
}

/* A new dentry for what was found; `inode` NULL: nothing. Its reference is taken over. */
static int remember(struct dentry *dir, const struct vfs_name *n, struct inode *inode,
		    struct dentry **out)
{
	struct dentry *d = dentry_new(dir, dir->super, n->text, n->len);
	const struct super_ops *ops = dir->super->ops;
	int error = d ? 0 : -ENOMEM;

	if (d && inode && !lead_to(d, inode))
		error = ops->aliased ? ops->aliased(dir->inode, inode) : -EUCLEAN;
	if (error) {
		if (inode)
			inode_put(inode);
		dentry_put(d);
		return error;
	}
	if (!dir->inode->transient) {
		spin_lock(&tree_lock);
		insert_locked(d);
		spin_unlock(&tree_lock);
	}
	*out = d;
	return 0;
}

int dentry_lookup_locked(struct dentry *dir, const struct vfs_name *n, struct dentry **out)
{
	struct inode *inode = NULL;
	int error;

	*out = find(dir, n);
	if (*out)
		return 0;
	if (dir->inode->dead)
		return -ENOENT;
	error = dir->inode->ops->lookup(dir->inode, n, &inode);
	if (error && error != -ENOENT)
		return error;
	return remember(dir, n, inode, out);
}

int dentry_lookup(struct dentry *dir, const struct vfs_name *n, struct dentry **out)
{
	int error;

	*out = find(dir, n);
	if (*out)
		return 0;
	mutex_lock(&dir->inode->lock);
	error = dentry_lookup_locked(dir, n, out);
	mutex_unlock(&dir->inode->lock);
	return error;
}

void dentry_attach(struct dentry *d, struct inode *inode)
{
	bool is_first;

	inode_get(inode);
	spin_lock(&tree_lock);
	assert(!d->inode);
	is_first = lead_to_locked(d, inode);
	assert(is_first);
	spin_unlock(&tree_lock);
}

/* None is found any more; one that nobody uses is the caller's to be freed, or NULL. */
static struct dentry *take_child(struct dentry *d)
{
	struct dentry *c, *next, *unused_one = NULL;

	spin_lock(&tree_lock);
	list_for_each_safe(c, next, &d->children, sibling) {
		if (!c->refs) {
			take_out_locked(c);
			unused_one = c;
			break;
		}
		list_remove(&c->hash); /* its last user frees it */
	}
	spin_unlock(&tree_lock);
	return unused_one;
}

static void forget_children(struct dentry *d)
{
	struct dentry *c;

	while ((c = take_child(d)))
		dentry_put(dentry_free(c));
}

void dentry_drop(struct dentry *d)
{
	bool alone;

	spin_lock(&tree_lock);
	list_remove(&d->hash);
	alone = list_is_empty(&d->children);
	spin_unlock(&tree_lock);
	if (!alone)
		forget_children(d);
}

void dentry_move(struct dentry *d, struct dentry *to_dir, struct dentry *target)
{
	struct dentry *old_parent = d->parent;
	char *name;

	dentry_get(to_dir);
	spin_lock(&tree_lock);
	list_remove(&d->hash);
	list_remove(&target->hash);
	/* The dropped target keeps a name, for those who ask where they are. */
	name = d->name;
	d->name = target->name;
	target->name = name;
	target->len = d->len;
	d->len = (uint16_t)str_length(d->name);
	target->len = (uint16_t)str_length(target->name);
	d->parent = to_dir;
	list_remove(&d->sibling);
	list_push_back(&to_dir->children, &d->sibling);
	insert_locked(d);
	spin_unlock(&tree_lock);
	dentry_put(old_parent);
	forget_children(target);
}

void dentry_exchange(struct dentry *a, struct dentry *b)
{
	struct dentry *parent;
	char *name;
	uint16_t len;

	spin_lock(&tree_lock);
	list_remove(&a->hash);
	list_remove(&b->hash);
	parent = a->parent, name = a->name, len = a->len;
	a->parent = b->parent, a->name = b->name, a->len = b->len;
	b->parent = parent, b->name = name, b->len = len;
	list_remove(&a->sibling);
	list_remove(&b->sibling);
	list_push_back(&a->parent->children, &a->sibling);
	list_push_back(&b->parent->children, &b->sibling);
	insert_locked(a);
	insert_locked(b);
	spin_unlock(&tree_lock);
}

struct dentry *dentry_nameless(struct dentry *dir, struct inode *inode)
{
	char name[24];
	size_t len = fmt_print(name, sizeof(name), "#%llu", (unsigned long long)inode->ino);
	struct dentry *d = dentry_new(dir, dir->super, name, len);

	if (d)
		d->inode = inode;
	return d;
}

bool dentry_is_above(struct dentry *above, struct dentry *d)
{
	bool found = false;

	spin_lock(&tree_lock);
	for (; d && !found; d = d->parent)
		found = d == above;
	spin_unlock(&tree_lock);
	return found;
}

static struct dentry *unused_of_locked(const struct super *s)
{
	struct dentry *d;

	list_for_each(d, &unused, lru) {
		if (d->super == s)
			return d;
	}
	return NULL;
}

static struct dentry *take_unused(struct super *s)
{
	struct dentry *d;

	spin_lock(&tree_lock);
	s->ends = true;
	d = unused_of_locked(s);
	if (d)
		take_out_locked(d);
	spin_unlock(&tree_lock);
	return d;
}

/* There is something to do, or nothing more. */
static bool may_go_on(const struct super *s)
{
	bool may;

	spin_lock(&tree_lock);
	may = !s->names || unused_of_locked(s);
	spin_unlock(&tree_lock);
	return may;
}

void dentries_end(struct super *s)
{
	struct dentry *d;

	do {
		while ((d = take_unused(s)))
			dentry_put(dentry_free(d));
		waitq_wait(&ending, may_go_on(s), DEADLINE_NEVER, false);
	} while (s->names);
}
