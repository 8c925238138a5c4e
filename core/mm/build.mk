# Memory: frames and the kernel heap on top of them.
objs-y  += page.o kmem.o
host-y  += page.o kmem.o
