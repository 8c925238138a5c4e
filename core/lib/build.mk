# Pure helpers: formatting, strings, memory, trees, the device tree. Nothing here knows a machine.
objs-y  += fmt.o string.o mem.o fdt.o tree.o heap.o
nolto-y += mem.o
tests-y += fmt_test.o
host-y  += fmt.o string.o fdt.o tree.o heap.o fmt_test.o fmt_host_test.o
