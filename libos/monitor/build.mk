# The monitor: the server and its text formats also run in programs of the build machine.
objs-$(CONFIG_MONITOR) += textbuf.o exposition.o http.o server.o pages.o monitor.o kernel.o
objs-$(and $(CONFIG_MONITOR),$(CONFIG_PROFILE)) += profile_page.o
objs-$(and $(CONFIG_MONITOR),$(CONFIG_TRACE)) += trace_page.o
host-y += textbuf.o exposition.o http.o
tests-$(CONFIG_MONITOR) += exposition_test.o http_test.o
host-y += exposition_test.o http_test.o
# stream.h's address types, for images without a C library.
cflags-y += -Ilibos/net/port
