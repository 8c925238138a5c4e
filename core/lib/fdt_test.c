/*
 * The device tree reader on a small tree built here.
 */
#include "fdt_blob.h"

TEST(fdt_finds_nodes_by_path)
{
	struct fdt f;
	fdt_node_t soc, node;

	CHECK_EQ(fdt_open(&f, blob, build()), 0);
	soc = fdt_find(&f, "/soc");
	CHECK(soc > 0 && str_equal(fdt_name(&f, soc), "soc"));
	CHECK_EQ(fdt_find(&f, "/"), fdt_root(&f));
	CHECK(fdt_find(&f, "/memory") == fdt_find(&f, "/memory@80000000") &&
	      fdt_find(&f, "/memory") > 0);
	CHECK_EQ(fdt_find(&f, "/soc/none"), -ENOENT);
	CHECK_EQ(fdt_find(&f, "/so"), -ENOENT);
	node = fdt_first_child(&f, soc);
	CHECK(str_equal(fdt_name(&f, node), "serial@10000000"));
	node = fdt_next_sibling(&f, fdt_next_sibling(&f, node));
	CHECK(str_equal(fdt_name(&f, node), "virtio@10002000"));
	CHECK_EQ(fdt_next_sibling(&f, node), -ENOENT);
	CHECK_EQ(fdt_by_phandle(&f, 7), fdt_find(&f, "/soc/serial"));
}

TEST(fdt_walks_compatible_nodes_in_order)
{
	struct fdt f;
	fdt_node_t node;

	CHECK_EQ(fdt_open(&f, blob, build()), 0);
	node = fdt_next_compatible(&f, -1, "virtio,mmio");
	CHECK(str_equal(fdt_name(&f, node), "virtio@10001000"));
	node = fdt_next_compatible(&f, node, "virtio,mmio");
	CHECK(str_equal(fdt_name(&f, node), "virtio@10002000"));
	CHECK_EQ(fdt_next_compatible(&f, node, "virtio,mmio"), -ENOENT);
	CHECK_EQ(fdt_next_compatible(&f, -1, "ns16550a"), fdt_find(&f, "/soc/serial"));
	CHECK_EQ(fdt_next_compatible(&f, -1, "ns16550"), -ENOENT);
}

TEST(fdt_reads_properties)
{
	struct fdt f;
	uint64_t addr, size;
	uint32_t cells;

	CHECK_EQ(fdt_open(&f, blob, build()), 0);
	CHECK(fdt_u32(&f, fdt_find(&f, "/soc"), "#size-cells", &cells) && cells == 1);
	CHECK(str_equal(fdt_string(&f, fdt_find(&f, "/memory"), "device_type"), "memory"));
	CHECK(!fdt_string(&f, fdt_find(&f, "/memory"), "absent"));
	CHECK(fdt_reg(&f, fdt_find(&f, "/memory"), 0, &addr, &size));
	CHECK(addr == 0x80000000 && size == 0x8000000);
	CHECK(fdt_reg(&f, fdt_find(&f, "/memory"), 1, &addr, &size));
	CHECK(addr == 1ull << 32 && size == 0x1000);
	CHECK(!fdt_reg(&f, fdt_find(&f, "/memory"), 2, &addr, &size));
	CHECK(fdt_reg(&f, fdt_find(&f, "/soc/serial"), 0, &addr, &size));
	CHECK(addr == 0x10000000 && size == 0x100);
	CHECK(fdt_reserved(&f, 0, &addr, &size) && addr == 0x80000000 && size == 0x40000);
	CHECK(!fdt_reserved(&f, 1, &addr, &size));
}

TEST(fdt_open_refuses_what_is_not_a_tree)
{
	uint32_t size = build();
	struct fdt f;

	CHECK_EQ(fdt_open(&f, blob, size - 1), -EINVAL);
	CHECK_EQ(fdt_open(&f, blob, 10), -EINVAL);
	blob[0] ^= 1;
	CHECK_EQ(fdt_open(&f, blob, size), -EINVAL);
	build();
	put32(36, size);
	CHECK_EQ(fdt_open(&f, blob, size), -EINVAL);
	build();
	put32(8, 0xfffffff0);
	CHECK_EQ(fdt_open(&f, blob, size), -EINVAL);
}
