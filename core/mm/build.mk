# Memory: frames and the kernel heap on top of them.
objs-y  += page.o kmem.o vm.o vm_anon.o
tests-y += vm_test.o
host-y  += page.o kmem.o vm.o vm_anon.o vm_test.o
