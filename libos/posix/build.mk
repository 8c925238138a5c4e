posix-objs := start.o process.o signal.o signal_calls.o futex.o time.o memory.o fault.o fd.o descriptors.o io.o blocking.o \
	poll_calls.o itimer.o info.o random.o credentials.o
objs-$(CONFIG_POSIX)          += $(posix-objs)
# Paths: through the file systems, or else a few fixed places.
page-objs := page_calls.o copy_calls.o
path-objs := $(if $(CONFIG_VFS),where.o path_calls.o end.o attribute_calls.o xattr_calls.o mount_calls.o lock_calls.o $(page-objs),open.o)
objs-$(CONFIG_POSIX)          += $(path-objs)
objs-$(CONFIG_POSIX_PIPE)     += pipe_calls.o
objs-$(CONFIG_POSIX_EVENTFD)  += eventfd.o
objs-$(CONFIG_POSIX_TIMERFD)  += timerfd.o
objs-$(CONFIG_POSIX_EPOLL)    += epoll.o
objs-$(CONFIG_PROCFS)         += proc_files.o
objs-$(CONFIG_POSIX_UNIX)     += unix.o
objs-$(CONFIG_POSIX_INOTIFY)  += inotify.o
objs-$(CONFIG_POSIX_SOCKETS)  += socket_calls.o
tests-$(CONFIG_POSIX)         += fd_test.o
tests-$(CONFIG_POSIX_EPOLL)   += epoll_test.o
tests-$(CONFIG_POSIX_INOTIFY) += inotify_test.o
host-y += where.o inotify.o inotify_test.o fd.o fd_test.o epoll.o eventfd.o epoll_test.o blocking.o time.o signal.o process.o futex.o
ifdef CONFIG_POSIX
objs-$(CONFIG_OPERATOR)       += operator_stop.o
objs-$(CONFIG_NET)            += stream_signals.o etc.o
endif
cflags-y += -I$(O)/include/generated -Ilibos/syscall

$(addprefix $(O)/obj/libos/posix/,$(posix-objs) $(path-objs) pipe_calls.o eventfd.o timerfd.o epoll.o epoll_test.o \
	inotify.o inotify_test.o socket_calls.o): \
	$(O)/include/generated/syscall_direct.c
