/*
 * Fuzzing the tree of files (clang's libFuzzer): a sequence of operations on a tmpfs and on a model
 * (vfs_model.c), whose answers must be the same: errnos, contents, names, numbers of links. Each
 * run has a file system of its own, which asserts at its end that no inode is left. Watches come
 * and go meanwhile; they only must not be in the way.
 *
 * One thread, and memory from malloc(), so that the address sanitizer sees every dentry and inode.
 */
#include <stdio.h>
#include <stdlib.h>

#include <core/arch.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/page.h>
#include <core/string.h>
#include <core/sync.h>
#include <libos/notify.h>
#include <libos/vfs.h>

#include "vfs_model.h"

#define HANDLES 4
#define WATCHES 4

/* ---- what the files stand on ---- */

static struct thread thread;
__thread struct thread *host_current = &thread;
__thread bool host_irq_on;
enum log_level log_threshold = LOG_ERROR;

void host_deliver(void) {}
void *kmalloc(size_t bytes) { return malloc(bytes); }
void *kzalloc(size_t bytes) { return calloc(1, bytes); }
void kfree(void *p) { free(p); }
uint64_t clock_wall_ns(void) { return 1000000000; }
void mutex_unlock(struct mutex *m) { m->owner = NULL; }

int waitq_wake_all(struct waitq *q)
{
	(void)q;
	return 0;
}

void mutex_init(struct mutex *m)
{
	*m = (struct mutex){ 0 };
}

/* Alone in the world: whoever waits for a lock waits for ever. */
void mutex_lock(struct mutex *m)
{
	if (m->owner)
		abort();
	m->owner = &thread;
}

/* The same for whoever waits for anything else. */
void waiter_begin(struct waiter *w, struct waitq *q)
{
	(void)w, (void)q;
	abort();
}

void waiter_end(struct waiter *w)
{
	(void)w;
}

int thread_block(uint64_t deadline_ns, bool interruptible)
{
	(void)deadline_ns, (void)interruptible;
	abort();
}

void *page_alloc_zero(unsigned order, enum page_owner owner)
{
	(void)owner;
	return calloc(1, PAGE_SIZE << order);
}

void *page_alloc(unsigned order, enum page_owner owner)
{
	(void)owner;
	return malloc(PAGE_SIZE << order);
}

void page_free(void *block, unsigned order)
{
	(void)order;
	free(block);
}

void page_stats(struct page_stats *out)
{
	*out = (struct page_stats){ .total_pages = 4096, .free_pages = 4096 };
}

size_t arch_copy_faultable(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
	return 0;
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

/* ---- the input ---- */

static const uint8_t *input;
static size_t input_left;

static unsigned take(void)
{
	if (!input_left)
		return 0;
	input_left--;
	return *input++;
}

static const char *take_path(char buf[MODEL_TARGET])
{
	unsigned shape = take(), depth = 1 + (shape & 3);
	char *p = buf;

	if (shape & 4)
		*p++ = '/';
	for (unsigned i = 0; i < depth; i++) {
		unsigned c = take() % (MODEL_NAMES * 4 + 2);

		if (i)
			*p++ = '/';
		*p++ = c < MODEL_NAMES * 4 ? (char)('a' + c % MODEL_NAMES) : '.';
		if (c > MODEL_NAMES * 4)
			*p++ = '.';
	}
	*p = '\0';
	return buf;
}

/* ---- comparing ---- */

static void expect(const char *what, const char *path, long real, long expected)
{
	if (real == expected)
		return;
	fprintf(stderr, "%s %s: %ld, the model says %ld\n", what, path, real, expected);
	abort();
}

static void compare_node(const char *path, bool follow)
{
	static const uint32_t kinds[] = {
		[MODEL_DIR] = S_IFDIR, [MODEL_FILE] = S_IFREG, [MODEL_LINK] = S_IFLNK
	};
	int n = model_walk(path, follow);
	struct kstat st;
	struct path p;
	int error = vfs_walk(NULL, path, follow ? WALK_FOLLOW : 0, &p);

	expect("walk", path, error, n < 0 ? n : 0);
	if (error)
		return;
	inode_stat(path_inode(&p), &st);
	expect("kind", path, st.mode & S_IFMT, kinds[model[n].kind]);
	if (model[n].kind == MODEL_FILE) {
		expect("size", path, st.size, model[n].size);
		expect("links", path, st.nlink, model[n].links);
	}
	path_put(&p);
}

struct names {
	struct dir_sink sink;
	unsigned seen, step;
};

static bool see_name(struct dir_sink *s, const char *name, size_t len, uint64_t ino, uint32_t mode,
		     uint64_t next)
{
	struct names *names = container_of(s, struct names, sink);

	(void)ino, (void)mode, (void)next;
	if (!names->step)
		return false;
	names->step--;
	if (name[0] == '.')
		return true;
	if (len != 1 || names->seen & 1u << (name[0] - 'a'))
		abort(); /* no such name, or twice */
	names->seen |= 1u << (name[0] - 'a');
	return true;
}

static void compare_dir(const char *path, unsigned step)
{
	struct names names = { .sink.add = see_name };
	int n = model_walk(path, true);
	uint64_t position = 0, before;
	unsigned expected = 0;
	struct path p;

	if (n < 0 || model[n].kind != MODEL_DIR || vfs_walk(NULL, path, WALK_FOLLOW | WALK_DIR, &p))
		return;
	do {
		names.step = step;
		before = position;
		path_inode(&p)->ops->iterate(path_inode(&p), &names.sink, &position);
	} while (position != before);
	for (unsigned i = 0; i < MODEL_NAMES; i++)
		expected |= (model[n].child[i] != 0) << i;
	expect("names", path, names.seen, expected);
	path_put(&p);
}

/* ---- files ---- */

static struct { struct file *file; int node; } handles[HANDLES];

static kssize_t transfer(struct file *f, void *buf, size_t len, int64_t offset, bool reading)
{
	struct uio_vec vec = { buf, len };
	struct uio u = {
		.vecs = &vec, .vec_count = 1, .left = len, .offset = offset, .from_kernel = true
	};

	return reading ? f->ops->read(f, &u) : f->ops->write(f, &u);
}

static void act_open(unsigned h, const char *path)
{
	unsigned flags = take();
	uint32_t o = O_RDWR | (flags & 1 ? O_CREAT : 0) | ((flags & 3) == 3 ? O_EXCL : 0) |
		     (flags & 4 ? O_TRUNC : 0);
	int error, node;

	if (handles[h].file)
		return;
	error = vfs_open(NULL, path, o, 0644, &handles[h].file);
	node = model_open(path, o & O_CREAT, o & O_EXCL, o & O_TRUNC);
	expect("open", path, error, node < 0 ? node : 0);
	handles[h].node = node;
	if (error)
		handles[h].file = NULL;
}

static void act_close(unsigned h)
{
	if (!handles[h].file)
		return;
	file_put(handles[h].file);
	handles[h].file = NULL;
	model_close(handles[h].node);
}

static void act_transfer(unsigned h, bool reading)
{
	static uint8_t bytes[4096];
	int offset = (int)(take() << 5 | take() % 32), len = (int)take() * 16, n = handles[h].node;
	kssize_t expected;

	if (!handles[h].file)
		return;
	if (reading) {
		expected = MAX(0, MIN(len, model[n].size - offset));
		expect("read", "", transfer(handles[h].file, bytes, (size_t)len, offset, true),
		       expected);
		if (memcmp(bytes, model[n].bytes + (expected ? offset : 0), (size_t)expected))
			expect("contents", "", 1, 0);
		return;
	}
	memset(bytes, (int)take() | 1, (size_t)len);
	expect("write", "", transfer(handles[h].file, bytes, (size_t)len, offset, false), len);
	model_write(n, offset, bytes, len);
}

static void act_resize(unsigned h)
{
	struct attr_change a = { .mask = ATTR_SIZE, .size = (int64_t)(take() << 5) };

	if (!handles[h].file)
		return;
	expect("truncate", "", vfs_change(file_path(handles[h].file), &a), 0);
	model_resize(handles[h].node, (int)a.size);
}

/* A hole, or room. */
static void act_allocate(unsigned h)
{
	int offset = (int)(take() << 5), len = 1 + (int)(take() << 4), n = handles[h].node;
	bool hole = take() & 1;
	struct inode *inode;

	if (!handles[h].file)
		return;
	inode = path_inode(file_path(handles[h].file));
	mutex_lock(&inode->lock);
	expect("allocate", "", inode->ops->allocate(inode, hole ? 3 : 0, offset, len), 0);
	mutex_unlock(&inode->lock);
	if (!hole && offset + len > model[n].size)
		model_resize(n, offset + len);
	else if (hole && offset < model[n].size)
		memset(model[n].bytes + offset, 0, (size_t)MIN(len, model[n].size - offset));
}

/* ---- watches ---- */

static struct watch *watches[WATCHES];
static unsigned told;

static bool watch_tell(struct watch *w, uint32_t event, uint32_t cookie, const char *name,
		       size_t len)
{
	(void)w, (void)event, (void)cookie, (void)name, (void)len;
	return ++told % 8;
}

static void watch_ended(struct watch *w)
{
	for (unsigned i = 0; i < WATCHES; i++) {
		if (watches[i] == w)
			watches[i] = NULL;
	}
}

static void watch_free(struct watch *w)
{
	free(w);
}

static void act_watch(unsigned i, const char *path)
{
	struct list gone = LIST_INIT(gone);
	struct path p;

	if (vfs_walk(NULL, path, 0, &p))
		return;
	spin_lock(&watch_lock);
	if (watches[i]) {
		watch_remove_locked(watches[i], &gone);
		watches[i] = NULL;
	} else {
		watches[i] = calloc(1, sizeof(*watches[i]));
		*watches[i] = (struct watch){
			.events = ~0u, .tell = watch_tell, .ended = watch_ended, .free = watch_free
		};
		watch_add_locked(watches[i], path_inode(&p));
	}
	spin_unlock(&watch_lock);
	watches_free(&gone);
	path_put(&p);
}

/* ---- a run ---- */

static int link_paths(const char *from, const char *to)
{
	struct path p;
	int error = vfs_walk(NULL, from, 0, &p);

	if (!error) {
		error = vfs_link(&p, NULL, to);
		path_put(&p);
	}
	return error;
}

static void act_names(unsigned what, const char *one, const char *two)
{
	unsigned flags;

	switch (what) {
	case 0:
		expect("mkdir", one, vfs_create(NULL, one, S_IFDIR | 0755, 0, NULL),
		       model_mkdir(one));
		break;
	case 1:
		expect("symlink", one, vfs_create(NULL, one, S_IFLNK | 0777, 0, two),
		       model_symlink(two, one));
		break;
	case 2:
	case 3:
		expect("unlink", one, vfs_unlink(NULL, one, what == 3),
		       model_unlink(one, what == 3));
		break;
	case 4:
		expect("link", one, link_paths(one, two), model_link(one, two));
		break;
	default:
		flags = what == 5 ? 0 : what == 6 ? RENAME_EXCHANGE : RENAME_NOREPLACE;
		expect("rename", one, vfs_rename(NULL, one, NULL, two, flags),
		       model_rename(one, two, flags == RENAME_NOREPLACE, flags == RENAME_EXCHANGE));
	}
}

static void act(void)
{
	char one[MODEL_TARGET], two[MODEL_TARGET];
	unsigned what = take(), h = what >> 4 & 3;

	switch (what & 15) {
	case 8: act_open(h, take_path(one)); break;
	case 9: act_close(h); break;
	case 10: act_transfer(h, true); break;
	case 11: act_transfer(h, false); break;
	case 12: act_resize(h); break;
	case 13: act_allocate(h); break;
	case 14: act_watch(h, take_path(one)); break;
	case 15: compare_node(take_path(one), what & 16); compare_dir(one, 1 + h); break;
	default: act_names(what & 7, take_path(one), take_path(two));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct path root, at;

	input = data;
	input_left = size;
	model_reset();
	vfs_mount("tmpfs", "", NULL, 0, NULL);
	vfs_create(NULL, "/f", S_IFDIR | 0755, 0, NULL);
	if (vfs_walk(NULL, "/f", 0, &at) || vfs_mount("tmpfs", "", &at, 0, NULL))
		abort();
	path_put(&at);
	if (vfs_walk(NULL, "/f", 0, &root) || vfs_walk(NULL, "/f", 0, &at))
		abort();
	vfs_set_path(&vfs_context()->root, &root); /* so that ".." does not lead out of it */
	path_get(&vfs_context()->root);
	struct path cwd = vfs_context()->root;
	vfs_set_path(&vfs_context()->cwd, &cwd);
	while (input_left && !model_is_full())
		act();
	for (unsigned h = 0; h < HANDLES; h++)
		act_close(h);
	vfs_set_path(&vfs_context()->root, &root);
	vfs_set_path(&vfs_context()->cwd, &cwd);
	path_put(&root);
	path_put(&cwd);
	expect("unmount", "", vfs_unmount(&at), 0);
	for (unsigned i = 0; i < WATCHES; i++)
		expect("watches left", "", watches[i] != NULL, 0);
	return 0;
}
