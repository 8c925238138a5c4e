objs-y += poll.o uio.o
objs-$(CONFIG_POSIX) += file.o console.o devices.o pipe.o
tests-$(CONFIG_POSIX) += pipe_test.o poll_test.o
host-y += file.o poll.o uio.o pipe.o pipe_test.o poll_test.o
