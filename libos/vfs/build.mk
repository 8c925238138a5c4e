objs-$(CONFIG_POSIX) += file.o poll.o uio.o console.o devices.o pipe.o
host-y += poll.o uio.o
