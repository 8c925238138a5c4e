/*
 * Reading a flattened device tree (Devicetree Specification 0.4, chapter 5), in place, without
 * trusting it: every offset is checked against the blob's size, and a blob that does not hold
 * together gives -EINVAL, never a bad read. Pure functions of core/lib; build on the host.
 */
#ifndef CORE_FDT_H
#define CORE_FDT_H

#include <core/types.h>

struct fdt {
	const uint8_t *blob;
	size_t size;
	uint32_t struct_off, struct_size, strings_off, strings_size, rsvmap_off;
};

typedef int32_t fdt_node_t; /* offset of a node in the structure block; negative errno when none */

/*
 * The blob is aligned to 4 bytes (5.6 asks for 8). max_size bounds the blob's own totalsize. 0 or
 * -EINVAL.
 */
int fdt_open(struct fdt *f, const void *blob, size_t max_size);

fdt_node_t fdt_root(const struct fdt *f);
fdt_node_t fdt_first_child(const struct fdt *f, fdt_node_t node);
fdt_node_t fdt_next_sibling(const struct fdt *f, fdt_node_t node);
/* -ENOENT; unit addresses may be left out */
fdt_node_t fdt_find(const struct fdt *f, const char *path);
/*
 * The next node after `after` (-1: from the start) in document order whose compatible list has
 * `compatible`.
 */
fdt_node_t fdt_next_compatible(const struct fdt *f, fdt_node_t after, const char *compatible);
fdt_node_t fdt_by_phandle(const struct fdt *f, uint32_t phandle);

const char *fdt_name(const struct fdt *f, fdt_node_t node);
/* NULL: absent */
const void *fdt_prop(const struct fdt *f, fdt_node_t node, const char *name, size_t *len);
/* NULL: absent or unterminated */
const char *fdt_string(const struct fdt *f, fdt_node_t node, const char *name);
bool fdt_u32(const struct fdt *f, fdt_node_t node, const char *name, uint32_t *value);
/* The index-th (address, size) of `reg`, by the parent's #address-cells and #size-cells. */
bool fdt_reg(const struct fdt *f, fdt_node_t node, unsigned index, uint64_t *addr, uint64_t *size);
/* memory reservation block */
bool fdt_reserved(const struct fdt *f, unsigned index, uint64_t *addr, uint64_t *size);

#endif
