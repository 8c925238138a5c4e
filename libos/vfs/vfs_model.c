/* See vfs_model.h. */
#include "vfs_model.h"

#include <core/errno.h>
#include <core/string.h>

#define ROOT      1
#define LINKS_MAX 40

struct model_node model[MODEL_NODES];

static int node_new(enum model_kind kind)
{
	for (int n = ROOT; n < MODEL_NODES; n++) {
		if (model[n].kind == MODEL_FREE) {
			memset(&model[n], 0, sizeof(model[n]));
			model[n].kind = kind;
			return n;
		}
	}
	return 0;
}

bool model_is_full(void)
{
	int used = 0;

	for (int n = ROOT; n < MODEL_NODES; n++)
		used += model[n].kind != MODEL_FREE;
	return used >= MODEL_NODES - 2;
}

void model_reset(void)
{
	for (int n = 0; n < MODEL_NODES; n++)
		model[n].kind = MODEL_FREE;
	node_new(MODEL_DIR);
	model[ROOT].parent = ROOT;
	model[ROOT].links = 1;
}

static void free_if_unused(int n)
{
	if (!model[n].links && !model[n].opens)
		model[n].kind = MODEL_FREE;
}

/* ---- walking ---- */

/*
 * The component at *path, which moves behind it and its slash: 0 to MODEL_NAMES-1, or one of these.
 */
enum { DOT = 100, DOTS };

static int next_component(const char **path)
{
	const char *p = *path;
	int component = p[0] != '.' ? p[0] - 'a' : p[1] == '.' ? DOTS : DOT;

	while (*p && *p != '/')
		p++;
	while (*p == '/')
		p++;
	*path = p;
	return component;
}

static int walk(int at, const char *path, bool follow, int *links)
{
	if (*path == '/')
		at = ROOT;
	while (*path == '/')
		path++;
	while (*path) {
		int component = next_component(&path), n;

		if (model[at].kind != MODEL_DIR)
			return -ENOTDIR;
		if (component == DOTS)
			at = model[at].parent;
		if (component >= DOT)
			continue;
		n = model[at].child[component];
		if (!n)
			return -ENOENT;
		if (model[n].kind == MODEL_LINK && (*path || follow)) {
			n = ++*links > LINKS_MAX ? -ELOOP : walk(at, model[n].target, true, links);
			if (n < 0)
				return n;
		}
		at = n;
	}
	return at;
}

int model_walk(const char *path, bool follow)
{
	int links = 0;

	return walk(ROOT, path, follow, &links);
}

/* The directory of the last component, which goes to *last. */
static int walk_parent(int from, const char *path, int *last)
{
	char upto[64];
	const char *end = path, *p = path;
	int links = 0, dir;

	while (*p == '/')
		p++;
	while (*p) {
		end = p;
		*last = next_component(&p);
	}
	memcpy(upto, path, (size_t)(end - path));
	upto[end - path] = '\0';
	dir = walk(from, upto, true, &links);
	return dir >= 0 && model[dir].kind != MODEL_DIR ? -ENOTDIR : dir;
}

static bool is_empty(int dir)
{
	for (int i = 0; i < MODEL_NAMES; i++) {
		if (model[dir].child[i])
			return false;
	}
	return true;
}

/* ---- names ---- */

static int add_name(int dir, int last, int n)
{
	model[dir].child[last] = n;
	model[n].links++;
	if (model[n].kind == MODEL_DIR)
		model[n].parent = dir;
	return 0;
}

static void remove_name(int dir, int last)
{
	int n = model[dir].child[last];

	model[dir].child[last] = 0;
	model[n].links--;
	free_if_unused(n);
}

static int make(int from, const char *path, enum model_kind kind)
{
	int last = DOT, dir = walk_parent(from, path, &last);

	if (dir < 0)
		return dir;
	if (last >= DOT || model[dir].child[last])
		return -EEXIST;
	int n = node_new(kind);
	add_name(dir, last, n);
	return n;
}

int model_mkdir(const char *path)
{
	int n = make(ROOT, path, MODEL_DIR);

	return n < 0 ? n : 0;
}

int model_symlink(const char *target, const char *path)
{
	int n = make(ROOT, path, MODEL_LINK);

	if (n < 0)
		return n;
	str_copy(model[n].target, MODEL_TARGET, target);
	return 0;
}

int model_unlink(const char *path, bool directory)
{
	int last = DOT, dir = walk_parent(ROOT, path, &last), n;

	if (dir < 0)
		return dir;
	if (last >= DOT)
		return !directory ? -EISDIR : last == DOT ? -EINVAL : -ENOTEMPTY;
	n = model[dir].child[last];
	if (!n)
		return -ENOENT;
	if (directory != (model[n].kind == MODEL_DIR))
		return directory ? -ENOTDIR : -EISDIR;
	if (directory && !is_empty(n))
		return -ENOTEMPTY;
	remove_name(dir, last);
	return 0;
}

int model_link(const char *from, const char *to)
{
	int n = model_walk(from, false), last = DOT, dir;

	if (n < 0)
		return n;
	dir = walk_parent(ROOT, to, &last);
	if (dir < 0)
		return dir;
	if (last >= DOT || model[dir].child[last])
		return -EEXIST;
	return model[n].kind == MODEL_DIR ? -EPERM : add_name(dir, last, n);
}

static bool is_above(int above, int n)
{
	while (n != above && n != ROOT)
		n = model[n].parent;
	return n == above;
}

static int rename_checks(int source, int target, int from, int to, bool no_replace, bool exchange)
{
	if (!source || (exchange && !target))
		return -ENOENT;
	if (no_replace && target)
		return -EEXIST;
	if (model[source].kind == MODEL_DIR && is_above(source, to))
		return -EINVAL;
	if (target && model[target].kind == MODEL_DIR && is_above(target, from))
		return exchange ? -EINVAL : -ENOTEMPTY;
	if (!target || exchange || source == target)
		return 0;
	if ((model[source].kind == MODEL_DIR) != (model[target].kind == MODEL_DIR))
		return model[target].kind == MODEL_DIR ? -EISDIR : -ENOTDIR;
	return model[target].kind == MODEL_DIR && !is_empty(target) ? -ENOTEMPTY : 0;
}

int model_rename(const char *from_path, const char *to_path, bool no_replace, bool exchange)
{
	int n = DOT, m = DOT, from = walk_parent(ROOT, from_path, &n), to, source, target, error;

	if (from < 0)
		return from;
	to = walk_parent(ROOT, to_path, &m);
	if (to < 0)
		return to;
	if (n >= DOT || m >= DOT)
		return n < DOT && no_replace ? -EEXIST : -EBUSY;
	source = model[from].child[n];
	target = model[to].child[m];
	error = rename_checks(source, target, from, to, no_replace, exchange);
	if (error || source == target)
		return error;
	if (exchange) {
		model[source].links--;
		model[target].links--;
		add_name(from, n, target);
		return add_name(to, m, source);
	}
	if (target)
		remove_name(to, m);
	add_name(to, m, source);
	model[source].links--;
	model[from].child[n] = 0;
	return 0;
}

/* ---- files ---- */

static int open_create(int from, const char *path, bool exclusive, int depth)
{
	int last = DOT, dir = walk_parent(from, path, &last), n;

	if (dir < 0)
		return dir;
	if (last >= DOT)
		return exclusive ? -EEXIST : -EISDIR;
	n = model[dir].child[last];
	if (!n) {
		n = node_new(MODEL_FILE);
		add_name(dir, last, n);
		return n;
	}
	if (exclusive)
		return -EEXIST;
	if (model[n].kind != MODEL_LINK)
		return n;
	return depth == LINKS_MAX ? -ELOOP : open_create(dir, model[n].target, false, depth + 1);
}

int model_open(const char *path, bool create, bool exclusive, bool truncate)
{
	int n = create ? open_create(ROOT, path, exclusive, 0) : model_walk(path, true);

	if (n < 0)
		return n;
	if (model[n].kind == MODEL_DIR)
		return -EISDIR;
	if (truncate)
		model[n].size = 0;
	model[n].opens++;
	return n;
}

void model_close(int n)
{
	model[n].opens--;
	free_if_unused(n);
}

void model_resize(int n, int size)
{
	if (size > model[n].size)
		memset(model[n].bytes + model[n].size, 0, (size_t)(size - model[n].size));
	model[n].size = size;
}

void model_write(int n, int offset, const uint8_t *bytes, int len)
{
	if (len && offset + len > model[n].size)
		model_resize(n, offset + len);
	memcpy(model[n].bytes + offset, bytes, (size_t)len);
}
