/*
 * The device tree reader behind fdt.h.
 *
 * The structure block is a sequence of big-endian 32-bit tokens: BEGIN_NODE with a name, PROP with
 * a length, a name offset and bytes, END_NODE, NOP, END (specification 0.4, section 5.4). A node is
 * named by the offset of its BEGIN_NODE. Everything walks with next_token(), the only place that
 * believes a length, and only after checking it; so a walk moves forward at each step and stays
 * inside.
 *
 * fdt_open() checks the header; a damaged structure block shows later, as a node or property that
 * is absent.
 */
#include <core/errno.h>
#include <core/fdt.h>
#include <core/string.h>

#define FDT_MAGIC       0xd00dfeedu
#define FDT_HEADER_SIZE 40u
#define DEPTH_MAX       16 /* of nodes whose reg can be read; real trees stay below 8 */
#define FDT_VERSION     17u /* the layout we read; blobs say which older readers they suit */

enum token {
	TOKEN_BEGIN_NODE = 1,
	TOKEN_END_NODE = 2,
	TOKEN_PROP = 3,
	TOKEN_NOP = 4,
	TOKEN_END = 9
};

/* A token and where the next one starts; body is the node's name or the property's bytes. */
struct item {
	uint32_t token, next;
	const uint8_t *body; /* of a property: the offset of its name lies in the word before */
	uint32_t len;        /* of a property */
};

static inline uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline bool range_fits(uint32_t off, uint32_t len, size_t size)
{
	return off <= size && len <= size - off;
}

int fdt_open(struct fdt *f, const void *blob, size_t max_size)
{
	const uint8_t *h = blob;
	uint32_t total;

	if (!blob || !IS_ALIGNED((uintptr_t)blob, 4) || max_size < FDT_HEADER_SIZE ||
	    be32(h) != FDT_MAGIC)
		return -EINVAL;
	total = be32(h + 4);
	if (total < FDT_HEADER_SIZE || total > max_size || total > INT32_MAX)
		return -EINVAL;
	if (be32(h + 20) < FDT_VERSION || be32(h + 24) > FDT_VERSION)
		return -EINVAL;
	*f = (struct fdt){
		.blob = h,
		.size = total,
		.struct_off = be32(h + 8),
		.strings_off = be32(h + 12),
		.rsvmap_off = be32(h + 16),
		.strings_size = be32(h + 32),
		.struct_size = be32(h + 36),
	};
	if (!range_fits(f->struct_off, f->struct_size, total) ||
	    !range_fits(f->strings_off, f->strings_size, total) || f->rsvmap_off > total ||
	    !IS_ALIGNED(f->struct_off | f->struct_size, 4u))
		return -EINVAL;
	return fdt_root(f) < 0 ? -EINVAL : 0;
}

/* Tokens are compared as they lie in memory, big-endian words read by a little-endian machine. */
typedef uint32_t __attribute__((may_alias)) word_t;
#define TOKEN(t) ((uint32_t)(t) << 24)

static inline word_t word_at(const struct fdt *f, uint32_t off)
{
	return *(const word_t *)(f->blob + f->struct_off + off);
}

static inline bool word_has_zero_byte(uint32_t w)
{
	return (w - 0x01010101u) & ~w & 0x80808080u;
}

/* The name is padded with zeroes to whole words: its end lies in the first word that has one. */
static inline bool next_node_name(const struct fdt *f, uint32_t off, struct item *it)
{
	it->body = f->blob + f->struct_off + off;
	do {
		if (off >= f->struct_size && !planted(FDT_NODE_NAME))
			return false;
		off += 4;
	} while (!word_has_zero_byte(word_at(f, off - 4)));
	it->next = off;
	return true;
}

static inline bool next_prop(const struct fdt *f, uint32_t off, struct item *it)
{
	if (!range_fits(off, 8, f->struct_size))
		return false;
	it->body = f->blob + f->struct_off + off + 8;
	it->len = be32(it->body - 8);
	if (!range_fits(off + 8, it->len, f->struct_size) && !planted(FDT_PROP_LENGTH))
		return false;
	it->next = ALIGN_UP(off + 8 + it->len, 4u);
	return true;
}

/*
 * Reads the token at `off`; false at the end of the block and wherever it does not hold together.
 * Offsets stay multiples of 4, and so does the block's size.
 */
static inline bool next_token(const struct fdt *f, uint32_t off, struct item *it)
{
	if (off >= f->struct_size)
		return false;
	it->token = word_at(f, off);
	it->next = off + 4;
	if (it->token == TOKEN(TOKEN_PROP))
		return next_prop(f, off + 4, it);
	if (it->token == TOKEN(TOKEN_BEGIN_NODE))
		return next_node_name(f, off + 4, it);
	return it->token == TOKEN(TOKEN_END_NODE) || it->token == TOKEN(TOKEN_NOP);
}

static bool node_begin(const struct fdt *f, fdt_node_t node, struct item *it)
{
	return node >= 0 && next_token(f, (uint32_t)node, it) &&
	       it->token == TOKEN(TOKEN_BEGIN_NODE);
}

fdt_node_t fdt_root(const struct fdt *f)
{
	struct item it;

	for (uint32_t off = 0; next_token(f, off, &it); off = it.next) {
		if (it.token == TOKEN(TOKEN_BEGIN_NODE))
			return (fdt_node_t)off;
		if (it.token != TOKEN(TOKEN_NOP))
			break;
	}
	return -EINVAL;
}

/* The first BEGIN_NODE from `off` on at depth 0, or -ENOENT when the enclosing node ends first. */
static fdt_node_t next_begin(const struct fdt *f, uint32_t off)
{
	struct item it;

	for (; next_token(f, off, &it); off = it.next) {
		if (it.token == TOKEN(TOKEN_BEGIN_NODE))
			return (fdt_node_t)off;
		if (it.token == TOKEN(TOKEN_END_NODE))
			break;
	}
	return -ENOENT;
}

fdt_node_t fdt_first_child(const struct fdt *f, fdt_node_t node)
{
	struct item it;

	return node_begin(f, node, &it) ? next_begin(f, it.next) : -ENOENT;
}

fdt_node_t fdt_next_sibling(const struct fdt *f, fdt_node_t node)
{
	unsigned depth = 0;
	struct item it;

	if (!node_begin(f, node, &it))
		return -ENOENT;
	for (uint32_t off = (uint32_t)node; next_token(f, off, &it); off = it.next) {
		if (it.token == TOKEN(TOKEN_BEGIN_NODE))
			depth++;
		else if (it.token == TOKEN(TOKEN_END_NODE) && --depth == 0)
			return next_begin(f, it.next);
	}
	return -ENOENT;
}

const char *fdt_name(const struct fdt *f, fdt_node_t node)
{
	struct item it;

	return node_begin(f, node, &it) ? (const char *)it.body : "";
}

/* True if the node's name is the path component [c, c + len), with or without a unit address. */
static bool name_matches(const char *name, const char *c, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (name[i] != c[i] || !name[i])
			return false;
	}
	return name[len] == '\0' || name[len] == '@';
}

fdt_node_t fdt_find(const struct fdt *f, const char *path)
{
	fdt_node_t node = fdt_root(f);

	while (node >= 0) {
		const char *component;

		while (*path == '/')
			path++;
		if (!*path)
			return node;
		component = path;
		while (*path && *path != '/')
			path++;
		node = fdt_first_child(f, node);
		while (node >= 0 &&
		       !name_matches(fdt_name(f, node), component, (size_t)(path - component)))
			node = fdt_next_sibling(f, node);
	}
	return -ENOENT;
}

static inline bool prop_name_is(const struct fdt *f, const struct item *prop, const char *name)
{
	const char *strings = (const char *)f->blob + f->strings_off;
	uint32_t off = be32(prop->body - 4);

	for (; off < f->strings_size || planted(FDT_PROP_NAME); off++, name++) {
		if (strings[off] != *name)
			return false;
		if (!*name)
			return true;
	}
	return false;
}

static bool list_has_string(const char *list, size_t len, const char *s)
{
	size_t want = str_length(s);

	while (len) {
		size_t n = str_length_max(list, len);

		if (n == len)
			return false; /* unterminated */
		if (n == want && memcmp(list, s, n) == 0)
			return true;
		list += n + 1;
		len -= n + 1;
	}
	return false;
}

/*
 * The next node after `after` (-1: from the start), in document order, with a property that
 * `matches`. One pass: a property belongs to the node that began last, since properties come before
 * subnodes (5.4.2).
 */
static inline fdt_node_t next_node_with(const struct fdt *f, fdt_node_t after, const char *name,
					bool (*matches)(const struct item *prop, const void *key),
					const void *key)
{
	fdt_node_t node = -ENOENT;
	uint32_t off = 0;
	struct item it;

	if (after >= 0) {
		if (!node_begin(f, after, &it))
			return -ENOENT;
		off = it.next;
	}
	for (; next_token(f, off, &it); off = it.next) {
		if (it.token == TOKEN(TOKEN_BEGIN_NODE))
			node = (fdt_node_t)off;
		else if (it.token == TOKEN(TOKEN_END_NODE))
			node = -ENOENT;
		else if (it.token == TOKEN(TOKEN_PROP) && node >= 0 && prop_name_is(f, &it, name) &&
			 matches(&it, key))
			return node;
	}
	return -ENOENT;
}

static bool compatible_has(const struct item *prop, const void *key)
{
	return list_has_string((const char *)prop->body, prop->len, key);
}

fdt_node_t fdt_next_compatible(const struct fdt *f, fdt_node_t after, const char *compatible)
{
	return next_node_with(f, after, "compatible", compatible_has, compatible);
}

static bool phandle_is(const struct item *prop, const void *key)
{
	return prop->len == 4 && be32(prop->body) == *(const uint32_t *)key;
}

fdt_node_t fdt_by_phandle(const struct fdt *f, uint32_t phandle)
{
	return next_node_with(f, -1, "phandle", phandle_is, &phandle);
}

const void *fdt_prop(const struct fdt *f, fdt_node_t node, const char *name, size_t *len)
{
	struct item it;

	if (!node_begin(f, node, &it))
		return NULL;
	/* Properties come before subnodes (5.4.2), so a node's own end at the first other token. */
	for (uint32_t off = it.next; next_token(f, off, &it); off = it.next) {
		if (it.token == TOKEN(TOKEN_NOP))
			continue;
		if (it.token != TOKEN(TOKEN_PROP))
			break;
		if (prop_name_is(f, &it, name)) {
			if (len)
				*len = it.len;
			return it.body;
		}
	}
	return NULL;
}

const char *fdt_string(const struct fdt *f, fdt_node_t node, const char *name)
{
	size_t len;
	const char *s = fdt_prop(f, node, name, &len);

	return s && str_length_max(s, len) < len ? s : NULL;
}

bool fdt_u32(const struct fdt *f, fdt_node_t node, const char *name, uint32_t *value)
{
	size_t len;
	const uint8_t *p = fdt_prop(f, node, name, &len);

	if (!p || len != 4)
		return false;
	*value = be32(p);
	return true;
}

/* One pass from the start, with the nodes that are open on the way. */
/* One pass from the start, with the nodes that enclose the present place. */
static fdt_node_t parent_of(const struct fdt *f, fdt_node_t node)
{
	fdt_node_t enclosing[DEPTH_MAX];
	unsigned depth = 0;
	struct item it;

	for (uint32_t off = 0; next_token(f, off, &it) && off <= (uint32_t)node; off = it.next) {
		if (it.token == TOKEN(TOKEN_BEGIN_NODE)) {
			if (off == (uint32_t)node)
				return depth ? enclosing[depth - 1] : -ENOENT;
			if (depth == DEPTH_MAX)
				return -ENOENT;
			enclosing[depth++] = (fdt_node_t)off;
		} else if (it.token == TOKEN(TOKEN_END_NODE) && depth-- == 0) {
			return -ENOENT;
		}
	}
	return -ENOENT;
}

/* One or two cells; wider numbers are refused. */
static bool read_cells(const uint8_t *p, uint32_t cells, uint64_t *value)
{
	if (cells > 2)
		return false;
	*value = 0;
	for (uint32_t i = 0; i < cells; i++)
		*value = *value << 32 | be32(p + 4 * i);
	return true;
}

bool fdt_reg(const struct fdt *f, fdt_node_t node, unsigned index, uint64_t *addr, uint64_t *size)
{
	uint32_t addr_cells = 2, size_cells = 1; /* defaults of 2.3.5 */
	fdt_node_t parent = parent_of(f, node);
	size_t len, entry;
	const uint8_t *p = fdt_prop(f, node, "reg", &len);

	if (!p || parent < 0)
		return false;
	fdt_u32(f, parent, "#address-cells", &addr_cells);
	fdt_u32(f, parent, "#size-cells", &size_cells);
	if (addr_cells > 2 || size_cells > 2 || addr_cells == 0)
		return false;
	entry = 4 * (size_t)(addr_cells + size_cells);
	if (len / entry <= index)
		return false;
	p += entry * index;
	return read_cells(p, addr_cells, addr) && read_cells(p + 4 * addr_cells, size_cells, size);
}

bool fdt_reserved(const struct fdt *f, unsigned index, uint64_t *addr, uint64_t *size)
{
	size_t room = (f->size - f->rsvmap_off) / 16;
	const uint8_t *p = f->blob + f->rsvmap_off;

	/*
	 * The list ends with an entry of zeroes; entries before it decide whether `index` exists.
	 */
	for (size_t i = 0; i <= index; i++, p += 16) {
		if (i >= room && !planted(FDT_RESERVED))
			return false;
		*addr = (uint64_t)be32(p) << 32 | be32(p + 4);
		*size = (uint64_t)be32(p + 8) << 32 | be32(p + 12);
		if (!*addr && !*size)
			return false;
	}
	return true;
}
