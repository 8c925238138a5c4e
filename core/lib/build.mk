# Pure helpers: formatting, strings, memory, trees, the device tree. Nothing here knows a machine.
objs-y  += fmt.o string.o mem.o fdt.o tree.o heap.o bits.o crc.o
nolto-y += mem.o
tests-y += fmt_test.o string_test.o mem_test.o fdt_test.o tree_test.o heap_test.o crc_test.o
host-y  += fmt.o string.o fdt.o tree.o heap.o bits.o crc.o
host-y  += fmt_test.o string_test.o mem_test.o fdt_test.o tree_test.o heap_test.o crc_test.o
host-y  += fmt_host_test.o mem_fast_host_test.o mem_slow_host_test.o fdt_host_test.o
