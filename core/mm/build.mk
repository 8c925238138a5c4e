# Memory: frames, the kernel heap on top of them, virtual ranges.
objs-y  += page.o kmem.o vm.o vm_anon.o
tests-y += page_test.o kmem_test.o vm_test.o
host-y  += page.o kmem.o vm.o vm_anon.o page_test.o kmem_test.o vm_test.o page_host_test.o
