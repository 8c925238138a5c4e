# Memory: frames and the kernel heap on top of them.
objs-y  += page.o kmem.o vm.o vm_anon.o
host-y  += page.o kmem.o
