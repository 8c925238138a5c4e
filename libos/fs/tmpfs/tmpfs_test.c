/*
 * tmpfs and the tree above it: what tests/abi cannot see. Threads that meet in the same names leave
 * a sound tree; nothing is left behind when it goes; the budget; permission of others than root.
 */
#include <core/errno.h>
#include <core/fmt.h>
#include <core/string.h>
#include <core/test.h>
#include <core/thread.h>
#include <libos/cache.h>
#include <libos/vfs.h>

/* A tmpfs of the test's own at /t (and a root for all, where there is none yet). */
static bool begin(const char *options)
{
	struct path at;
	bool ok;

	vfs_mount("tmpfs", "", NULL, 0, NULL);
	vfs_create(NULL, "/t", S_IFDIR | 0755, 0, NULL);
	if (vfs_walk(NULL, "/t", WALK_DIR, &at))
		return false;
	ok = vfs_mount("tmpfs", "", &at, 0, options) == 0;
	path_put(&at);
	return ok;
}

/* The file system asserts that no inode is left. */
static bool end(void)
{
	struct path at;

	return vfs_walk(NULL, "/t", WALK_DIR, &at) == 0 && vfs_unmount(&at) == 0;
}

static kssize_t transfer(struct file *f, void *buf, size_t len, int64_t offset, bool reading)
{
	struct uio_vec vec = { buf, len };
	struct uio u = {
		.vecs = &vec, .vec_count = 1, .left = len, .offset = offset, .from_kernel = true
	};

	return reading ? f->ops->read(f, &u) : f->ops->write(f, &u);
}

TEST(tmpfs_goes_with_everything_in_it)
{
	struct file *f;

	CHECK(begin(NULL));
	CHECK_EQ(vfs_create(NULL, "/t/d", S_IFDIR | 0755, 0, NULL), 0);
	CHECK_EQ(vfs_create(NULL, "/t/d/link", S_IFLNK | 0777, 0, "anywhere"), 0);
	CHECK_EQ(vfs_open(NULL, "/t/d/f", O_CREAT | O_RDWR, 0644, &f), 0);
	CHECK_EQ(transfer(f, "bytes", 5, 0, false), 5);
	struct path at;
	CHECK_EQ(vfs_walk(NULL, "/t", WALK_DIR, &at), 0);
	CHECK_EQ(vfs_unmount(&at), -EBUSY); /* a file is open */
	path_put(&at);
	file_put(f);
	CHECK(end());
	CHECK_EQ(vfs_open(NULL, "/t/d/f", O_RDONLY, 0, &f), -ENOENT);
}

static struct abi_statfs statfs_of_t(void)
{
	struct abi_statfs st = { 0 };
	struct path at;

	if (!vfs_walk(NULL, "/t", WALK_DIR, &at)) {
		vfs_statfs(&at, &st);
		path_put(&at);
	}
	return st;
}

static uint64_t free_inodes(void)
{
	return statfs_of_t().files_free;
}

/*
 * What is remembered of the names that a directory has not must not keep it, nor one over which
 * another is renamed.
 */
TEST(tmpfs_removed_directories_go_at_once)
{
	struct path p;

	CHECK(begin(NULL));
	uint64_t all = free_inodes();
	CHECK_EQ(vfs_create(NULL, "/t/a", S_IFDIR | 0755, 0, NULL), 0);
	CHECK_EQ(vfs_create(NULL, "/t/b", S_IFDIR | 0755, 0, NULL), 0);
	CHECK_EQ(vfs_walk(NULL, "/t/a/nothing", 0, &p), -ENOENT);
	CHECK_EQ(vfs_walk(NULL, "/t/b/nothing", 0, &p), -ENOENT);
	CHECK_EQ(vfs_walk(NULL, "/t/b/nowhere", 0, &p), -ENOENT);
	CHECK_EQ(free_inodes(), all - 2);
	CHECK_EQ(vfs_rename(NULL, "/t/a", NULL, "/t/b", 0), 0);
	CHECK_EQ(free_inodes(), all - 1);
	CHECK_EQ(vfs_unlink(NULL, "/t/b", true), 0);
	CHECK_EQ(free_inodes(), all);
	CHECK(end());
}

TEST(tmpfs_takes_no_more_than_its_budget)
{
	static char block[KIB(4)];
	struct file *f;
	unsigned written = 0;

	CHECK(begin("size=64k"));
	CHECK_EQ(vfs_open(NULL, "/t/f", O_CREAT | O_RDWR, 0644, &f), 0);
	while (transfer(f, block, sizeof(block), written * (int64_t)sizeof(block), false) > 0 &&
	       written < 100)
		written++;
	CHECK_EQ(written, 16);
	CHECK_EQ(transfer(f, block, 1, KIB(64), false), -ENOSPC);
	CHECK_EQ(transfer(f, block, 1, KIB(60), false), 1); /* what it has can be written again */
	CHECK(statfs_of_t().blocks == 16 && statfs_of_t().blocks_free == 0);
	struct attr_change a = { .mask = ATTR_SIZE, .size = KIB(8) };
	struct path p;
	CHECK(!vfs_walk(NULL, "/t/f", 0, &p) && !vfs_change(&p, &a));
	path_put(&p);
	CHECK_EQ(statfs_of_t().blocks_free, 14);
	file_put(f);
	CHECK(end());
}

TEST(tmpfs_read_only_mounts_refuse_changes)
{
	struct file *f;
	struct path at;

	CHECK(begin(NULL));
	CHECK(!vfs_create(NULL, "/t/m", S_IFDIR | 0755, 0, NULL) &&
	      !vfs_walk(NULL, "/t/m", WALK_DIR, &at));
	CHECK_EQ(vfs_mount("tmpfs", "", &at, MS_RDONLY, NULL), 0);
	path_put(&at);
	CHECK_EQ(vfs_create(NULL, "/t/m/x", S_IFDIR | 0755, 0, NULL), -EROFS);
	CHECK_EQ(vfs_open(NULL, "/t/m/x", O_CREAT | O_RDWR, 0644, &f), -EROFS);
	CHECK_EQ(vfs_rename(NULL, "/t/m", NULL, "/t/n", 0), -EBUSY);
	CHECK_EQ(vfs_unlink(NULL, "/t/m", true), -EBUSY);
	CHECK_EQ(vfs_mount("nosuchfs", "", NULL, 0, NULL), -ENODEV);
	CHECK(!vfs_walk(NULL, "/t/m", WALK_DIR, &at) && !vfs_unmount(&at));
	CHECK(end());
}

/* Root may do nearly everything; the others are the test. */
static void become(uint32_t id)
{
	vfs_context()->uid = vfs_context()->gid = id;
}

TEST(tmpfs_permissions_hold_for_others_than_root)
{
	struct file *f;

	CHECK(begin("mode=755"));
	vfs_context()->umask = 0;
	CHECK_EQ(vfs_create(NULL, "/t/mine", S_IFDIR | 0700, 0, NULL), 0);
	CHECK_EQ(vfs_create(NULL, "/t/all", S_IFDIR | 01777, 0, NULL), 0);
	CHECK_EQ(vfs_create(NULL, "/t/all/of_root", S_IFREG | 0644, 0, NULL), 0);
	become(7);
	CHECK_EQ(vfs_create(NULL, "/t/x", S_IFREG | 0644, 0, NULL), -EACCES);
	CHECK_EQ(vfs_open(NULL, "/t/mine/x", O_RDONLY, 0, &f), -EACCES);
	CHECK_EQ(vfs_open(NULL, "/t/all/of_root", O_RDWR, 0, &f), -EACCES);
	CHECK_EQ(vfs_unlink(NULL, "/t/all/of_root", false), -EPERM); /* sticky */
	CHECK_EQ(vfs_rename(NULL, "/t/all/of_root", NULL, "/t/all/y", 0), -EPERM);
	CHECK_EQ(vfs_create(NULL, "/t/all/of_seven", S_IFREG | 0400, 0, NULL), 0);
	CHECK_EQ(vfs_open(NULL, "/t/all/of_seven", O_WRONLY, 0, &f), -EACCES);
	/* who creates has it open */
	CHECK_EQ(vfs_open(NULL, "/t/all/new", O_CREAT | O_RDWR, 0, &f), 0);
	file_put(f);
	become(8);
	CHECK_EQ(vfs_unlink(NULL, "/t/all/of_seven", false), -EPERM);
	become(7);
	CHECK_EQ(vfs_unlink(NULL, "/t/all/of_seven", false), 0);
	become(0);
	vfs_context()->umask = 022;
	CHECK(end());
}

/* ---- threads that meet ---- */

#define THREADS 4
#define ROUNDS  1500

static struct thread *threads[THREADS];
static uint32_t strange; /* atomic: answers that cannot be */

static void name(char *buf, uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	unsigned a = *seed >> 33 & 3, b = *seed >> 35 & 3, depth = *seed >> 37 & 3;

	if (depth)
		fmt_print(buf, 32, "/t/%c/%c", 'a' + (char)a, 'a' + (char)b);
	else
		fmt_print(buf, 32, "/t/%c", 'a' + (char)a);
}

static bool is_expected(int error)
{
	switch (error) {
	case 0:
	case -ENOENT:
	case -EEXIST:
	case -ENOTDIR:
	case -EISDIR:
	case -ENOTEMPTY:
	case -EINVAL:
	case -EPERM:
		return true;
	default:
		return false;
	}
}

static int open_and_write(const char *path)
{
	struct file *f;
	int error = vfs_open(NULL, path, O_CREAT | O_RDWR, 0644, &f);
	char byte = 'x';

	if (error)
		return error;
	transfer(f, &byte, 1, 5000, false);
	transfer(f, &byte, 1, 5000, true);
	file_put(f);
	return byte == 'x' ? 0 : -EIO;
}

static int link_names(const char *one, const char *two)
{
	struct path p;
	int error = vfs_walk(NULL, one, 0, &p);

	if (error)
		return error;
	error = vfs_link(&p, NULL, two);
	path_put(&p);
	return error;
}

static void meddle(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	for (int i = 0; i < ROUNDS; i++) {
		char one[32], two[32];
		int error = 0;

		name(one, &seed);
		name(two, &seed);
		switch (seed >> 40 & 7) {
		case 0: error = vfs_create(NULL, one, S_IFDIR | 0755, 0, NULL); break;
		case 1: error = vfs_unlink(NULL, one, true); break;
		case 2: error = vfs_unlink(NULL, one, false); break;
		case 3: error = link_names(one, two); break;
		case 4: error = vfs_rename(NULL, one, NULL, two, RENAME_EXCHANGE); break;
		case 5: error = vfs_rename(NULL, one, NULL, two, 0); break;
		default: error = open_and_write(one); break;
		}
		if (!is_expected(error))
			__atomic_fetch_add(&strange, 1, __ATOMIC_RELAXED);
		if (i % 16 == 0)
			thread_yield();
	}
}

TEST(tmpfs_threads_that_meet_leave_a_sound_tree)
{
	static const struct thread_attr attr = {
		.name = "meddler", .priority = THREAD_PRIORITY_APP, .hart = -1
	};

	CHECK(begin(NULL));
	strange = 0;
	for (uintptr_t i = 0; i < THREADS; i++) {
		CHECK_EQ(thread_create(&attr, meddle, (void *)(i + 1), 0, &threads[i]), 0);
		thread_start(threads[i]);
	}
	for (int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	CHECK_EQ(strange, 0);
	CHECK(end());
}

/* Names of one file, each thread's in a directory of its own. */
static void link_and_unlink(void *arg)
{
	char two[32];

	fmt_print(two, sizeof(two), "/t/%u/name", (unsigned)(uintptr_t)arg);
	for (int i = 0; i < ROUNDS; i++) {
		if (link_names("/t/file", two) || vfs_unlink(NULL, two, false))
			__atomic_fetch_add(&strange, 1, __ATOMIC_RELAXED);
	}
}

TEST(tmpfs_threads_count_the_links_of_one_file)
{
	static const struct thread_attr attr = {
		.name = "linker", .priority = THREAD_PRIORITY_APP, .hart = -1
	};
	char folder[16];
	struct path p;

	CHECK(begin(NULL));
	strange = 0;
	CHECK_EQ(vfs_create(NULL, "/t/file", S_IFREG | 0644, 0, NULL), 0);
	for (uintptr_t i = 0; i < THREADS; i++) {
		fmt_print(folder, sizeof(folder), "/t/%u", (unsigned)i);
		CHECK_EQ(vfs_create(NULL, folder, S_IFDIR | 0755, 0, NULL), 0);
		CHECK_EQ(thread_create(&attr, link_and_unlink, (void *)i, 0, &threads[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		thread_start(threads[i]);
	for (int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	CHECK_EQ(strange, 0);
	CHECK_EQ(vfs_walk(NULL, "/t/file", 0, &p), 0);
	CHECK_EQ(path_inode(&p)->nlink, 1);
	path_put(&p);
	CHECK(end());
}

TEST(cache_lends_pages_that_outlive_the_file)
{
	struct cache_page *p;
	struct file *f;

	CHECK(begin(NULL));
	CHECK_EQ(vfs_open(NULL, "/t/f", O_CREAT | O_RDWR, 0644, &f), 0);
	CHECK_EQ(transfer(f, "lent", 4, 0, false), 4);
	struct cache c;
	cache_init(&c, &(int64_t){ 2 * PAGE_SIZE }, NULL);
	struct uio_vec vec = { "lent", 4 };
	struct uio u = {
		.vecs = &vec, .vec_count = 1, .left = 4, .offset = PAGE_SIZE, .from_kernel = true
	};
	CHECK_EQ(cache_write(&c, &u), 4);
	CHECK_EQ(cache_page_get(&c, 0, NULL, &p), 0);
	CHECK(!p);
	CHECK_EQ(cache_page_get(&c, 1, NULL, &p), 0);
	cache_cut(&c, 0, INT64_MAX);
	cache_destroy(&c);
	CHECK(!memcmp(p->bytes, "lent", 4));
	cache_page_put(p);
	file_put(f);
	CHECK(end());
}

TEST(cache_cuts_within_the_last_page_that_there_can_be)
{
	const int64_t at = INT64_MAX - 200;
	int64_t size = INT64_MAX;
	char bytes[200];
	struct uio_vec vec = { bytes, sizeof(bytes) };
	struct uio u = { .vecs = &vec,
			 .vec_count = 1,
			 .left = sizeof(bytes),
			 .offset = at,
			 .from_kernel = true };
	struct cache c;

	memset(bytes, 'x', sizeof(bytes));
	cache_init(&c, &size, NULL);
	CHECK_EQ(cache_write(&c, &u), 200);
	cache_cut(&c, at + 100, INT64_MAX);
	u = (struct uio){ .vecs = &vec,
			  .vec_count = 1,
			  .left = sizeof(bytes),
			  .offset = at,
			  .from_kernel = true };
	CHECK_EQ(cache_read(&c, &u, NULL), 200);
	CHECK(bytes[99] == 'x' && !bytes[100] && !bytes[199]);
	cache_destroy(&c);
}

/* What the options of /t say, by statfs(): pages and inodes; 0 where they are refused. */
static uint64_t limit_by(const char *options, bool inodes)
{
	struct abi_statfs st;

	if (!begin(options))
		return 0;
	st = statfs_of_t();
	return end() ? inodes ? st.files : st.blocks : 0;
}

TEST(tmpfs_options_are_all_heeded_or_refused)
{
	uint64_t whole = limit_by("size=100%", false);

	CHECK_EQ(limit_by("mode=700,size=1m,uid=1", false), 256);
	CHECK_EQ(limit_by("size=1m,nr_blocks=3", false), 3);
	CHECK_EQ(limit_by("size=5000", false), 2);
	CHECK_EQ(limit_by("size=50%", false), whole / 2);
	CHECK_EQ(limit_by("size=0", false), whole);
	CHECK_EQ(limit_by("size=0xffffffffffffffff", false), (UINT64_MAX >> PAGE_SHIFT) + 1);
	CHECK_EQ(limit_by("nr_inodes=1k", true), 1024);
	CHECK_EQ(limit_by("size=101%", false), 0);
	CHECK_EQ(limit_by("size=1m,size=18446744073709551616", false), 0);
	CHECK_EQ(limit_by("mode=17777", false), 0);
	CHECK_EQ(limit_by("uid=4294967295", false), 0);
	CHECK_EQ(limit_by("size=1000000000000000000000000000", false), 0);
}
