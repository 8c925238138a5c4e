/*
 * The device tree reader on thousands of damaged trees. Under the sanitizers a read outside the
 * blob ends the run.
 */
#include <stdlib.h>
#include "fdt_blob.h"

/* Asks everything of a blob that may be damaged; only the sanitizers and termination judge. */
static uint64_t explore(const struct fdt *f)
{
	fdt_node_t node = -1;
	uint64_t addr = 0, size = 0, seen = 0;
	size_t len = 0;

	fdt_find(f, "/soc/virtio");
	fdt_by_phandle(f, 7);
	while ((node = fdt_next_compatible(f, node, "virtio,mmio")) >= 0) {
		seen += str_length(fdt_name(f, node));
		fdt_reg(f, node, 0, &addr, &size);
	}
	for (node = fdt_first_child(f, fdt_root(f)); node >= 0; node = fdt_next_sibling(f, node)) {
		fdt_prop(f, node, "reg", &len);
		fdt_string(f, node, "device_type");
		fdt_reg(f, node, 1, &addr, &size);
	}
	for (unsigned i = 0; fdt_reserved(f, i, &addr, &size) && i < 100; i++)
		seen++;
	return seen + len;
}

/* One damaged blob at the end of its allocation; true if it could be opened. */
static bool explore_damaged(void)
{
	uint32_t size = build();
	uint8_t *copy;
	struct fdt f;
	bool opened;

	for (uint64_t n = test_random_below(6); n > 0; n--) {
		uint32_t off = (uint32_t)test_random_below(size);

		if (test_random_below(2))
			blob[off] = (uint8_t)test_random();
		else
			put32(ALIGN_DOWN(off, 4u),
			      (uint32_t)(test_random() >> test_random_below(64)));
	}
	if (test_random_below(8) == 0) { /* nothing ends any more */
		uint32_t off = 72 + (uint32_t)test_random_below(size - 72);

		memset(blob + off, 'x', size - off);
	}
	size -= (uint32_t)test_random_below(4) * (uint32_t)test_random_below(32);
	copy = malloc(size);
	memcpy(copy, blob, size);
	opened = fdt_open(&f, copy, size) == 0;
	if (opened)
		explore(&f);
	free(copy);
	return opened;
}

TEST(fdt_survives_damage)
{
	int opened = 0;

	for (int i = 0; i < 50000; i++)
		opened += explore_damaged();
	CHECK(opened > 1000);
}
