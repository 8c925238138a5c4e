/*
 * What ext4 stands on, for fuzzing it in one thread of the build machine: the disk is an array;
 * buffers are pieces of memory of their own, so that the sanitizers see every step outside a block;
 * files' bytes are copied at once. Locks only remember their holder: who takes one twice, or would
 * wait, has been caught. A buffer, inode or piece of memory that is not given back is, too.
 */
#include "world_fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include <core/errno.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/string.h>
#include <core/thread.h>

#include "ext4.h"

uint8_t world_disk[WORLD_BYTES] __attribute__((aligned(4096)));

static struct blkdev device = { .name = "fuzz", .bytes = WORLD_BYTES, .block_bytes = 512 };
static struct thread the_thread;
__thread struct thread *host_current = &the_thread;
__thread bool host_irq_on;
uint8_t *host_ram;
enum log_level log_threshold = LOG_ERROR;

/* ---- core ---- */

static NORETURN void caught(const char *what)
{
	fprintf(stderr, "caught: %s\n", what);
	abort();
}

void log_write(enum log_level level, const char *fmt, ...)
{
	(void)level, (void)fmt;
}

void assert_failed(const char *text, const char *file, int line)
{
	fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, text);
	abort();
}

void panic(const char *fmt, ...)
{
	(void)fmt;
	caught("a panic");
}

void host_deliver(void)
{
}

size_t arch_copy_faultable(void *dst, const void *src, size_t len_bytes)
{
	memcpy(dst, src, len_bytes);
	return 0;
}

void mutex_init(struct mutex *m)
{
	m->owner = NULL;
}

void mutex_lock(struct mutex *m)
{
	if (m->owner)
		caught("a mutex that is taken twice");
	m->owner = host_current;
}

void mutex_unlock(struct mutex *m)
{
	if (!m->owner)
		caught("a mutex that is not held is given back");
	m->owner = NULL;
}

bool mutex_is_held(const struct mutex *m)
{
	return m->owner;
}

void spin_wait(struct spinlock *l)
{
	(void)l;
	caught("a spinlock that is taken twice");
}

void waitq_init(struct waitq *q)
{
	(void)q;
}

int waitq_wake_all(struct waitq *q)
{
	(void)q;
	return 0;
}

void waiter_begin(struct waiter *w, struct waitq *q)
{
	(void)w, (void)q;
	caught("a wait that nobody would end");
}

void waiter_end(struct waiter *w)
{
	(void)w;
}

int thread_block(uint64_t deadline_ns, bool interruptible)
{
	(void)deadline_ns, (void)interruptible;
	return 0;
}

void thread_sleep_until(uint64_t deadline_ns)
{
	(void)deadline_ns;
}

uint64_t clock_ns(void)
{
	return clock_wall_ns();
}

uint64_t clock_wall_ns(void)
{
	static uint64_t now = 1700000000 * NSEC_PER_SEC;

	return now += 10 * NSEC_PER_MSEC;
}

struct kmem_cache { size_t size; };

struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align)
{
	struct kmem_cache *c = malloc(sizeof(*c));

	(void)name, (void)align;
	c->size = size;
	return c;
}

void *kmem_cache_alloc_zero(struct kmem_cache *c)
{
	return calloc(1, c->size);
}

void kmem_cache_free(struct kmem_cache *c, void *object)
{
	(void)c;
	free(object);
}

void *kmalloc(size_t bytes)
{
	return bytes < MIB(256) ? malloc(bytes) : NULL;
}

void *kzalloc(size_t bytes)
{
	return bytes < MIB(256) ? calloc(1, bytes) : NULL;
}

void kfree(void *p)
{
	free(p);
}

/* ---- the disk ---- */

struct blkdev *blkdev_find(const char *name)
{
	(void)name;
	return &device;
}

struct blkdev *blkdev_find_serial(const char *serial)
{
	return blkdev_find(serial);
}

int blkdev_claim(struct blkdev *d)
{
	(void)d;
	return 0;
}

void blkdev_release(struct blkdev *d)
{
	(void)d;
}

static void check_range(uint64_t offset, uint64_t len)
{
	if (offset > WORLD_BYTES || len > WORLD_BYTES - offset)
		caught("a transfer outside the disk");
}

int blkdev_read(struct blkdev *d, uint64_t offset, void *buf, size_t len)
{
	(void)d;
	check_range(offset, len);
	memcpy(buf, world_disk + offset, len);
	return 0;
}

int blkdev_write(struct blkdev *d, uint64_t offset, const void *buf, size_t len, uint32_t flags)
{
	(void)d, (void)flags;
	check_range(offset, len);
	memcpy(world_disk + offset, buf, len);
	return 0;
}

int blkdev_flush(struct blkdev *d)
{
	(void)d;
	return 0;
}

/* Only discards come this way. */
void blkdev_submit(struct blkdev *d, struct blkreq *r)
{
	(void)d;
	check_range(r->offset, r->len);
	r->done(r, 0);
}

void blkdev_kick(struct blkdev *d)
{
	(void)d;
}

int blkdev_wait(struct blkdev *d, struct blkreq *r)
{
	(void)d;
	check_range(r->offset, r->len);
	return 0;
}

/* ---- buffers: one for each block, for as long as the disk is mounted ---- */

static struct buffer *buffers[WORLD_BYTES / 1024];

int buffers_init(struct buffer_cache *c, struct blkdev *d, uint32_t block_bytes, uint64_t blocks)
{
	*c = (struct buffer_cache){ .dev = d, .block_bytes = block_bytes, .blocks = blocks };
	return 0;
}

void buffers_destroy(struct buffer_cache *c)
{
	for (uint64_t n = 0; n < WORLD_BYTES / c->block_bytes; n++) {
		if (!buffers[n])
			continue;
		if (buffers[n]->refs)
			caught("a buffer that nobody has given back");
		free(buffers[n]->data);
		free(buffers[n]);
		buffers[n] = NULL;
	}
}

static int get(struct buffer_cache *c, uint64_t block, struct buffer **out, bool from_disk)
{
	if (block >= c->blocks || block >= WORLD_BYTES / c->block_bytes)
		return -EIO;
	if (!buffers[block]) {
		buffers[block] = calloc(1, sizeof(struct buffer));
		buffers[block]->data = aligned_alloc(c->block_bytes, c->block_bytes);
		buffers[block]->cache = c;
		buffers[block]->block = block;
	}
	*out = buffers[block];
	(*out)->refs++;
	if ((*out)->flags & BUFFER_VALID)
		return 0;
	if (from_disk)
		memcpy((*out)->data, world_disk + block * c->block_bytes, c->block_bytes);
	else
		memset((*out)->data, 0, c->block_bytes);
	(*out)->flags |= BUFFER_VALID;
	return 0;
}

int buffer_read(struct buffer_cache *c, uint64_t block, struct buffer **out)
{
	return get(c, block, out, true);
}

int buffer_make(struct buffer_cache *c, uint64_t block, struct buffer **out)
{
	return get(c, block, out, false);
}

struct buffer *buffer_find(struct buffer_cache *c, uint64_t block)
{
	struct buffer *b = block < WORLD_BYTES / c->block_bytes ? buffers[block] : NULL;

	return b ? buffer_hold(b) : NULL;
}

struct buffer *buffer_hold(struct buffer *b)
{
	b->refs++;
	return b;
}

void buffer_put(struct buffer *b)
{
	if (b && !b->refs--)
		caught("a buffer that is given back twice");
}

void buffers_read_ahead(struct buffer_cache *c, uint64_t block, unsigned count)
{
	(void)c, (void)block, (void)count;
}

int buffer_mark_dirty(struct buffer *b)
{
	return b->flags & BUFFER_VALID ? 0 : -EIO;
}

void buffer_discard(struct buffer *b)
{
	b->flags = 0;
}

int buffer_write(struct buffer *b, uint32_t blk_flags)
{
	(void)blk_flags;
	memcpy(world_disk + b->block * b->cache->block_bytes, b->data, b->cache->block_bytes);
	return 0;
}

int buffers_write(struct buffer_cache *c)
{
	(void)c;
	return 0;
}

/* ---- bytes of files, from the disk and to it ---- */

void cache_init_backed(struct cache *c, const int64_t *size, const struct cache_backing_ops *ops,
		       struct blkdev *dev, uint32_t block_bytes)
{
	*c = (struct cache){ .size = size, .ops = ops, .dev = dev, .block_bytes = block_bytes };
}

void cache_destroy(struct cache *c)
{
	(void)c;
}

/* One piece, within a block: what is there, or NULL. */
static int find_bytes(struct cache *c, int64_t offset, uint8_t **bytes)
{
	int64_t block = ALIGN_DOWN(offset, (int64_t)c->block_bytes);
	struct cache_extent e;
	int error = c->ops->map(c, block, c->block_bytes, &e);

	*bytes = NULL;
	if (error || e.kind != CACHE_MAPPED)
		return error;
	check_range(e.disk, c->block_bytes);
	*bytes = world_disk + e.disk + (offset - block);
	return 0;
}

kssize_t cache_read(struct cache *c, struct uio *u, struct file_view *view)
{
	uint8_t page[PAGE_SIZE], *bytes, *to = u->vecs[0].base;
	size_t done = 0;

	(void)view;
	while (done < u->left && u->offset < *c->size) {
		size_t n = MIN(u->left - done,
			       c->block_bytes - ((uint64_t)u->offset & (c->block_bytes - 1)));
		int error = c->ops->read_page
				    ? c->ops->read_page(c, (uint64_t)u->offset >> PAGE_SHIFT, page)
				    : find_bytes(c, u->offset, &bytes);

		if (error)
			return error;
		n = (size_t)MIN((int64_t)n, *c->size - u->offset);
		if (!c->ops->read_page && bytes)
			memcpy(to + done, bytes, n);
		done += n;
		u->offset += (int64_t)n;
	}
	return (kssize_t)done;
}

kssize_t cache_write(struct cache *c, struct uio *u)
{
	int64_t from = u->offset, len = (int64_t)u->left;
	const uint8_t *source = u->vecs[0].base;
	uint8_t *bytes;
	void *token;
	int error = c->ops->prepare(c, from, len, &token);

	if (error)
		return error;
	c->ops->finish(c, from, len, token);
	for (int64_t n; len; from += n, source += n, len -= n) {
		n = MIN(len, (int64_t)(c->block_bytes - ((uint64_t)from & (c->block_bytes - 1))));
		error = find_bytes(c, from, &bytes);
		if (!error && bytes)
			memcpy(bytes, source, (size_t)n);
	}
	return (kssize_t)u->left;
}

int cache_zero(struct cache *c, int64_t from, int64_t to)
{
	uint8_t *bytes;
	int error = find_bytes(c, from, &bytes);

	if (!error && bytes)
		memset(bytes, 0, (size_t)(to - from));
	return error;
}

kssize_t cache_read_past(struct cache *c, struct uio *u)
{
	return cache_read(c, u, NULL);
}

kssize_t cache_write_past(struct cache *c, struct uio *u)
{
	return cache_write(c, u);
}

void cache_cut_begin(struct cache *c, int64_t from, int64_t to)
{
	(void)c, (void)from, (void)to;
}

void cache_cut_end(struct cache *c)
{
	(void)c;
}

int cache_sync(struct cache *c, int64_t from, int64_t to, bool wait)
{
	(void)c, (void)from, (void)to, (void)wait;
	return 0;
}

size_t cache_reclaim(size_t count)
{
	(void)count;
	return 0;
}

int cache_sync_device(struct blkdev *dev, bool wait)
{
	(void)dev, (void)wait;
	return 0;
}

void cache_error_open(struct cache *c, struct file_view *view)
{
	(void)c, (void)view;
}

int cache_error_check(struct cache *c, struct file_view *view)
{
	(void)c, (void)view;
	return 0;
}

int64_t file_seek_within(struct file *f, int64_t offset, int whence, int64_t size, int64_t max)
{
	(void)f, (void)whence, (void)size, (void)max;
	return offset;
}

/* ---- the journal: the disks have none, or it is not looked at ---- */

static NORETURN void no_journal(void)
{
	caught("the journal is used that is not there");
}

int journal_open(const struct journal_place *p, const struct journal_options *o,
		 struct journal **out)
{
	uint64_t block;

	(void)o, (void)out;
	for (uint32_t n = 0; n < MIN(p->blocks, 64u); n++)
		p->map(p->arg, n, &block);
	return -EIO;
}

int journal_replay(const struct journal_place *p, struct journal_replay *out)
{
	(void)p, (void)out;
	return -EIO;
}

int journal_close(struct journal *j) { (void)j; no_journal(); }
int journal_past_error(const struct journal *j) { (void)j; no_journal(); }
void journal_forget_past_error(struct journal *j) { (void)j; no_journal(); }
int journal_start(struct journal *j, unsigned n, struct journal_handle **out)
{
	(void)j, (void)n, (void)out;
	no_journal();
}
int journal_stop(struct journal_handle *h) { (void)h; no_journal(); }
journal_tid journal_handle_tid(const struct journal_handle *h) { (void)h; no_journal(); }
unsigned journal_credits(const struct journal_handle *h) { (void)h; no_journal(); }
bool journal_extend(struct journal_handle *h, unsigned n) { (void)h, (void)n; no_journal(); }
int journal_restart(struct journal_handle *h, unsigned n) { (void)h, (void)n; no_journal(); }
int journal_write(struct journal_handle *h, struct buffer *b) { (void)h, (void)b; no_journal(); }
int journal_forget(struct journal_handle *h, uint64_t n, struct buffer *b)
{
	(void)h, (void)n, (void)b;
	no_journal();
}
int journal_wait(struct journal *j, journal_tid tid) { (void)j, (void)tid; no_journal(); }
journal_tid journal_newest(struct journal *j) { (void)j; no_journal(); }
bool journal_will_flush(struct journal *j, journal_tid tid) { (void)j, (void)tid; no_journal(); }
int journal_commit(struct journal *j) { (void)j; no_journal(); }
int journal_checkpoint(struct journal *j) { (void)j; no_journal(); }
void journal_on_commit(struct journal_handle *h, struct journal_callback *c)
{
	(void)h, (void)c;
	no_journal();
}
void journal_add_ordered(struct journal_handle *h, struct journal_ordered *o)
{
	(void)h, (void)o;
	no_journal();
}
bool journal_add_delayed(struct journal_handle *h, struct journal_ordered *o, unsigned n)
{
	(void)h, (void)o, (void)n;
	no_journal();
}
bool journal_is_its_thread(const struct journal *j) { (void)j; no_journal(); }
void journal_drop_ordered(struct journal *j, struct journal_ordered *o)
{
	(void)j, (void)o;
	no_journal();
}
void journal_settle_ordered(struct journal *j, struct journal_ordered *o)
{
	(void)j, (void)o;
	no_journal();
}
void journal_abort(struct journal *j, int error) { (void)j, (void)error; no_journal(); }
void journal_seal(struct journal *j) { (void)j; no_journal(); }
void journal_unseal(struct journal *j) { (void)j; no_journal(); }

void journal_ordered_init(struct journal_ordered *o, int (*write)(struct journal_ordered *o))
{
	(void)o, (void)write;
}

/* ---- the VFS ---- */

bool file_access_is_due(const struct file *f)
{
	(void)f;
	return false;
}

struct blkdev *vfs_disk(const char *source)
{
	return blkdev_find(source);
}

struct vfs_context *vfs_context(void)
{
	static struct vfs_context root = { .umask = 022 };

	return &root;
}
