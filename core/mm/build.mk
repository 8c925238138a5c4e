# Memory: frames (page.o). Virtual ranges and the kernel heap join here as well.
objs-y  += page.o
host-y  += page.o
