/*
 * A small device tree built in memory, for the tests of its reader.
 */
#include <core/errno.h>
#include <core/fdt.h>
#include <core/string.h>
#include <core/test.h>

#define BLOB_MAX 1024

static uint8_t blob[BLOB_MAX] __attribute__((aligned(8)));
static uint32_t at, strings_at;
static char strings[256];

static void put32(uint32_t off, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		blob[off + (uint32_t)i] = (uint8_t)(v >> (24 - 8 * i));
}

static void token(uint32_t v)
{
	put32(at, v);
	at += 4;
}

static void begin(const char *name)
{
	token(1);
	memcpy(blob + at, name, str_length(name) + 1);
	at = ALIGN_UP(at + (uint32_t)str_length(name) + 1, 4u);
}

static void end(void)
{
	token(2);
}

static void prop(const char *name, const void *bytes, uint32_t len)
{
	token(3);
	token(len);
	token(strings_at);
	memcpy(strings + strings_at, name, str_length(name) + 1);
	strings_at += (uint32_t)str_length(name) + 1;
	memcpy(blob + at, bytes, len);
	at = ALIGN_UP(at + len, 4u);
}

static void prop_cells(const char *name, const uint32_t *cells, uint32_t count)
{
	uint32_t start = at + 12;

	prop(name, cells, count * 4);
	for (uint32_t i = 0; i < count; i++)
		put32(start + 4 * i, cells[i]);
}

#define CELLS(name, ...)                                                \
	do {                                                            \
		const uint32_t cells_[] = { __VA_ARGS__ };              \
		prop_cells(name, cells_, ARRAY_SIZE(cells_));           \
	} while (0)
#define STRING(name, s) prop(name, s, sizeof(s))

/*
 * Header 40 bytes, reservation map of one entry and the end, structure, strings. Returns the size.
 */
static uint32_t build(void)
{
	const uint32_t struct_off = 40 + 32;
	uint32_t struct_size;

	memset(blob, 0, sizeof(blob));
	strings_at = 0;
	put32(44, 0x80000000);
	put32(52, 0x40000);
	at = struct_off;
	begin("");
	CELLS("#address-cells", 2);
	CELLS("#size-cells", 2);
	STRING("compatible", "riscv-virtio");
	begin("memory@80000000");
	STRING("device_type", "memory");
	CELLS("reg", 0, 0x80000000, 0, 0x8000000, 1, 0, 0, 0x1000);
	end();
	token(4);
	begin("soc");
	CELLS("#address-cells", 1);
	CELLS("#size-cells", 1);
	begin("serial@10000000");
	prop("compatible", "vendor,uart\0ns16550a", 21);
	CELLS("reg", 0x10000000, 0x100);
	CELLS("phandle", 7);
	end();
	begin("virtio@10001000");
	STRING("compatible", "virtio,mmio");
	CELLS("reg", 0x10001000, 0x1000);
	end();
	begin("virtio@10002000");
	STRING("compatible", "virtio,mmio");
	end();
	end();
	end();
	token(9);
	struct_size = at - struct_off;
	memcpy(blob + at, strings, strings_at);
	put32(0, 0xd00dfeed);
	put32(4, at + strings_at);
	put32(8, struct_off);
	put32(12, at);
	put32(16, 40);
	put32(20, 17);
	put32(24, 16);
	put32(32, strings_at);
	put32(36, struct_size);
	return at + strings_at;
}
