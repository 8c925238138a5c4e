/*
 * Inodes in memory: one for each number, found by it while anybody has a reference.
 *
 * Life: NEW (being read; others wait) -> READY -> its last reference goes -> its dirty bytes are
 * written or, without a name left, the file is deleted -> it leaves the hash. Who looks for an
 * inode that is on its way out waits until it is gone, so there are never two of one number, and a
 * number that was freed is not found by its old inode. The name cache keeps what is used
 * (libos/vfs.h), so nothing is kept here beyond references.
 *
 * Locks: icache_lock for the hash, states, and the step of a count from 0.
 */
#include <core/errno.h>
#include <core/kmem.h>

#include "super.h"

static struct kmem_cache *inode_memory;

void ext4_icache_init(struct ext4_super *s)
{
	spin_init(&s->icache_lock);
	waitq_init(&s->icache_wait);
	for (unsigned i = 0; i < EXT4_ICACHE_BUCKETS; i++)
		list_init(&s->icache[i]);
	if (!inode_memory)
		inode_memory = kmem_cache_create("ext4_inode", sizeof(struct ext4_inode), 16);
}

static struct ext4_inode *find_locked(struct ext4_super *s, uint32_t ino)
{
	struct ext4_inode *i;

	list_for_each(i, &s->icache[ino % EXT4_ICACHE_BUCKETS], hash) {
		if (i->inode.ino == ino)
			return i;
	}
	return NULL;
}

/* One more reference, unless the last one has gone already. */
static bool get_unless_gone(struct inode *inode)
{
	uint32_t refs = __atomic_load_n(&inode->refs, __ATOMIC_RELAXED);

	while (refs) {
		if (__atomic_compare_exchange_n(&inode->refs, &refs, refs + 1, true,
						__ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return true;
	}
	return false;
}

static struct ext4_inode *inode_alloc(struct ext4_super *s, uint32_t ino)
{
	struct ext4_inode *i = inode_memory ? kmem_cache_alloc_zero(inode_memory) : NULL;

	if (!i)
		return NULL;
	i->inode.super = s->vfs;
	i->inode.ino = ino;
	i->inode.refs = 1;
	i->state = EXT4_INODE_NEW;
	mutex_init(&i->inode.lock);
	mutex_init(&i->map_lock);
	mutex_init(&i->raw_lock);
	list_init(&i->hash);
	list_init(&i->orphan);
	return i;
}

void ext4_inode_free(struct ext4_inode *i)
{
	kmem_cache_free(inode_memory, i);
}

static void insert_locked(struct ext4_super *s, struct ext4_inode *i)
{
	list_push_front(&s->icache[i->inode.ino % EXT4_ICACHE_BUCKETS], &i->hash);
	s->icache_count++;
}

static void leave(struct ext4_super *s, struct ext4_inode *i)
{
	spin_lock(&s->icache_lock);
	if (list_is_linked(&i->hash)) {
		list_remove(&i->hash);
		s->icache_count--;
	}
	spin_unlock(&s->icache_lock);
	waitq_wake_all(&s->icache_wait);
}

/* Is the number free to be looked for again: absent, or there and settled? */
static bool is_settled(struct ext4_super *s, uint32_t ino)
{
	struct ext4_inode *i;
	bool settled;

	spin_lock(&s->icache_lock);
	i = find_locked(s, ino);
	settled = !i || (i->state == EXT4_INODE_READY &&
			 __atomic_load_n(&i->inode.refs, __ATOMIC_RELAXED));
	spin_unlock(&s->icache_lock);
	return settled;
}

/*
 * The inode with a reference; or a new one in the hash, which the caller has to fill: *fresh. NULL:
 * no memory.
 */
static struct ext4_inode *find_or_insert(struct ext4_super *s, uint32_t ino, bool *fresh)
{
	struct ext4_inode *spare = NULL, *i;

	for (;;) {
		spin_lock(&s->icache_lock);
		i = find_locked(s, ino);
		if (!i && spare)
			insert_locked(s, spare);
		bool got = i && i->state == EXT4_INODE_READY && get_unless_gone(&i->inode);
		spin_unlock(&s->icache_lock);
		*fresh = !i && spare;
		if (*fresh)
			return spare;
		if (got) {
			if (spare)
				ext4_inode_free(spare);
			return i;
		}
		if (i) {
			waitq_wait(&s->icache_wait, is_settled(s, ino), DEADLINE_NEVER, false);
			continue;
		}
		spare = inode_alloc(s, ino);
		if (!spare)
			return NULL;
	}
}

static void set_ready(struct ext4_super *s, struct ext4_inode *i)
{
	if (inode_kind(&i->inode) == S_IFREG)
		ext4_bytes_init(i);
	spin_lock(&s->icache_lock);
	i->state = EXT4_INODE_READY;
	spin_unlock(&s->icache_lock);
	waitq_wake_all(&s->icache_wait);
}

static int fill(struct ext4_super *s, struct ext4_inode *i, unsigned flags)
{
	struct ext4_disk_inode *raw;
	struct buffer *b;
	int error = ext4_inode_raw(s, (uint32_t)i->inode.ino, &b, &raw);

	if (error)
		return error;
	error = ext4_inode_load(s, (uint32_t)i->inode.ino, raw, flags, i);
	buffer_put(b);
	return error;
}

int ext4_iget(struct ext4_super *s, uint32_t ino, unsigned flags, struct ext4_inode **out)
{
	bool special = ino < s->first_ino && ino != EXT4_ROOT_INO, fresh;
	struct ext4_inode *i;
	int error;

	if (!ino || ino > s->inodes || (special && !(flags & EXT4_IGET_SPECIAL)))
		return ext4_damaged(s, "inode", ino, 0,
				    "a name or list leads to this number, which no file can have");
	i = find_or_insert(s, ino, &fresh);
	if (!i)
		return -ENOMEM;
	*out = i;
	if (!fresh)
		return 0;
	error = fill(s, i, flags);
	if (error) {
		leave(s, i);
		ext4_inode_free(i);
		return error;
	}
	set_ready(s, i);
	return 0;
}

/*
 * Without waiting, since the caller has a handle, and who is on his way out may wait for the end of
 * that.
 */
static bool insert_if_absent(struct ext4_super *s, struct ext4_inode *i)
{
	bool absent;

	spin_lock(&s->icache_lock);
	absent = !find_locked(s, (uint32_t)i->inode.ino);
	if (absent)
		insert_locked(s, i);
	spin_unlock(&s->icache_lock);
	return absent;
}

struct ext4_inode *ext4_inode_new(struct ext4_super *s, const struct inode *dir, uint32_t ino,
				  uint32_t mode)
{
	struct ext4_inode *i = inode_alloc(s, ino);

	if (!i)
		return NULL;
	if (!insert_if_absent(s, i)) { /* the bitmap says free, and yet it is in use */
		ext4_damaged(s, "inode", ino, 0,
			     "it is in use, but its bitmap says that it is free");
		ext4_inode_free(i);
		return NULL;
	}
	inode_init(&i->inode, s->vfs, dir, mode);
	i->generation = __atomic_add_fetch(&s->next_generation, 1, __ATOMIC_RELAXED);
	i->csum_seed = ext4_inode_seed(s, ino, i->generation);
	i->extra_isize = (uint16_t)s->inode_extra;
	return i;
}

void ext4_inode_publish(struct ext4_super *s, struct ext4_inode *i)
{
	set_ready(s, i);
}

void ext4_inode_abandon(struct ext4_super *s, struct ext4_inode *i)
{
	leave(s, i);
	ext4_inode_free(i);
}

/* Blocks of a file, a directory, a long link; then of attributes. */
static int delete_contents(struct ext4_inode *i)
{
	uint32_t kind = inode_kind(&i->inode);
	bool mapped = kind == S_IFREG || kind == S_IFDIR ||
		      (kind == S_IFLNK && !ext4_link_is_fast(i));

	int error = mapped ? ext4_truncate(i, 0) : 0;

	return error ? error : ext4_xattr_drop(i);
}

/*
 * The number becomes free with the inode out of the hash, so that whoever gets it next makes a new
 * one. What fails does so while the inode is still on the orphan list, where the next mount finds
 * it.
 */
static void delete(struct ext4_super *s, struct ext4_inode *i)
{
	struct ext4_handle h;
	int error = delete_contents(i);

	if (error || ext4_start(s, EXT4_CREDITS_IALLOC + EXT4_CREDITS_ORPHAN, &h))
		return;
	error = ext4_ifree_announce(&h, i);
	if (!error)
		error = ext4_orphan_remove(&h, i);
	leave(s, i);
	if (!error)
		error = ext4_ifree(&h, i);
	ext4_stop_with(&h, error);
}

void ext4_inode_forget(struct inode *inode)
{
	struct ext4_super *s = ext4_super_of(inode);
	struct ext4_inode *i = ext4_of(inode);
	bool gone = !inode->nlink, kept;

	if (inode_kind(inode) == S_IFREG)
		ext4_bytes_forget(i, gone);
	if (gone && !ext4_is_read_only(s))
		delete(s, i);
	kept = ext4_orphan_keep(i);
	leave(s, i);
	if (!kept)
		ext4_inode_free(i);
}
