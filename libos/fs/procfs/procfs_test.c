/* procfs: what its tree looks like from the outside, and mounts as it tells of them. */
#include <core/errno.h>
#include <core/string.h>
#include <core/test.h>
#include <libos/procfs.h>

static int place_calls;

static int place(struct path *out)
{
	place_calls++;
	vfs_get_context_path(&vfs_context()->root, out);
	return 0;
}
PROC_ENTRY(test_place, .path = "self/test_place", .place = place);

static void text_show(struct proc_text *t)
{
	for (int i = 0; i < 1000; i++)
		proc_print(t, "%03d\n", i);
}
PROC_FILE(test_text, "self/test_text", text_show);

static int next(unsigned from)
{
	return from <= 7 ? 7 : from <= 12 ? 12 : -ENOENT;
}

static kssize_t text(unsigned number, char *buf, size_t size)
{
	(void)number;
	return str_copy(buf, size, "nowhere:[1]") ? 11 : -ERANGE;
}

static int no_place(unsigned number, struct path *out)
{
	(void)number, (void)out;
	return -ENXIO;
}

static const struct proc_numbers numbers = { next, text, no_place };
PROC_ENTRY(test_numbers, .path = "self/test_numbers", .numbers = &numbers);

static bool begin(void)
{
	struct path at;

	vfs_mount("tmpfs", "", NULL, 0, NULL);
	vfs_create(NULL, "/p", S_IFDIR | 0755, 0, NULL);
	if (vfs_walk(NULL, "/p", WALK_DIR, &at))
		return false;
	bool ok = !vfs_mount("proc", "proc", &at, MS_RELATIME | MS_NODEV, NULL);
	path_put(&at);
	return ok;
}

static bool end(void)
{
	struct path at;

	return !vfs_walk(NULL, "/p", WALK_DIR, &at) && !vfs_unmount(&at);
}

static kssize_t read_at(struct file *f, char *buf, size_t len, int64_t offset)
{
	struct uio_vec vec = { buf, len };
	struct uio u = {
		.vecs = &vec, .vec_count = 1, .left = len, .offset = offset, .from_kernel = true
	};

	return f->ops->read(f, &u);
}

TEST(procfs_gives_text_from_any_position)
{
	struct file *f;
	char buf[16];

	CHECK(begin());
	CHECK_EQ(vfs_open(NULL, "/p/self/test_text", O_RDONLY, 0, &f), 0);
	CHECK_EQ(read_at(f, buf, 8, 0), 8);
	CHECK(!memcmp(buf, "000\n001\n", 8));
	CHECK_EQ(read_at(f, buf, 8, 3994), 6);
	CHECK(!memcmp(buf, "8\n999\n", 6));
	CHECK_EQ(read_at(f, buf, 8, 4000), 0);
	CHECK_EQ(read_at(f, buf, 8, INT64_MAX - 8), 0);
	file_put(f);
	CHECK_EQ(vfs_open(NULL, "/p/missing", O_RDONLY, 0, &f), -ENOENT);
	CHECK_EQ(vfs_open(NULL, "/p/self/mounts/x", O_RDONLY, 0, &f), -ENOTDIR);
	CHECK_EQ(vfs_create(NULL, "/p/new", S_IFREG | 0644, 0, NULL), -ENOENT);
	CHECK_EQ(vfs_unlink(NULL, "/p/1/mounts", false), -EPERM);
	CHECK(end());
}

struct counting {
	struct dir_sink sink;
	unsigned names, limit;
};

static bool count(struct dir_sink *s, const char *name, size_t len, uint64_t ino, uint32_t mode,
		  uint64_t at)
{
	struct counting *c = container_of(s, struct counting, sink);

	(void)ino, (void)mode, (void)at;
	if (!len || !name[0] || c->names == c->limit)
		return false;
	c->names++;
	return true;
}

/* Reads a folder a few entries at a time: how many it has in all. */
static unsigned entries(const char *path, unsigned step)
{
	struct counting c = { .sink.add = count, .limit = step };
	uint64_t position = 0, before;
	struct path p;

	if (vfs_walk(NULL, path, WALK_FOLLOW | WALK_DIR, &p))
		return 0;
	do {
		before = position;
		path_inode(&p)->ops->iterate(path_inode(&p), &c.sink, &position);
		c.limit = c.names + step;
	} while (position != before);
	path_put(&p);
	return c.names;
}

TEST(procfs_folders_are_read_in_pieces_of_any_size)
{
	CHECK(begin());
	CHECK(entries("/p", 1) > 4 && entries("/p", 1) == entries("/p", 1000));
	CHECK(entries("/p/self", 1) > 4 && entries("/p/self", 3) == entries("/p/1", 1000));
	CHECK_EQ(entries("/p/self/test_numbers", 1), 4);
	CHECK_EQ(entries("/p/self/test_numbers", 3), 4);
	CHECK(end());
}

TEST(procfs_links_lead_to_places)
{
	struct path p, root;
	struct file *f;

	CHECK(begin());
	CHECK_EQ(vfs_walk(NULL, "/p/self/test_place", WALK_FOLLOW, &p), 0);
	CHECK(!vfs_walk(NULL, "/", 0, &root) && path_inode(&p) == path_inode(&root));
	path_put(&p);
	path_put(&root);
	CHECK_EQ(place_calls, 1);
	CHECK_EQ(vfs_open(NULL, "/p/1/test_numbers/7", O_RDONLY, 0, &f), -ENXIO);
	CHECK_EQ(vfs_open(NULL, "/p/1/test_numbers/7", O_RDWR | O_CREAT, 0, &f), -ENXIO);
	CHECK_EQ(vfs_open(NULL, "/p/1/test_numbers/8", O_RDONLY, 0, &f), -ENOENT);
	CHECK_EQ(vfs_open(NULL, "/p/1/test_numbers/07", O_RDONLY, 0, &f), -ENOENT);
	CHECK_EQ(vfs_open(NULL, "/p/1/test_numbers/4294967303", O_RDONLY, 0, &f), -ENOENT);
	CHECK(end());
}

TEST(procfs_tells_what_is_mounted)
{
	static char text[4096];
	const char *line = text;
	struct file *f;

	CHECK(begin());
	CHECK_EQ(vfs_open(NULL, "/p/mounts", O_RDONLY, 0, &f), 0);
	CHECK(read_at(f, text, sizeof(text) - 1, 0) > 0);
	while (line && !str_starts_with(line, "proc /p ")) {
		line = str_find(line, '\n');
		line = line ? line + 1 : NULL;
	}
	CHECK(line && str_starts_with(line, "proc /p proc rw,nodev,relatime 0 0\n"));
	file_put(f);
	CHECK(end());
}
