# tests/abi/programs, each with its main() under another name.
objs-$(CONFIG_APP_ABITEST) += tree_pages.o
objs-$(CONFIG_APP_ABITEST) += main.o threads.o cancel.o pipes.o readiness.o sockets.o memory.o stdio.o clocks.o \
	signals.o missing.o disk.o tree.o tree_random.o locks.o inotify.o proc.o devices.o fifos.o \
	permissions.o limits.o mounts.o unix_sockets.o serve.o \
	file_errors.o tree_threads.o
