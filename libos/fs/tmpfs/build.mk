# tmpfs: files in memory.
objs-$(CONFIG_VFS)  += tmpfs.o options.o tmpfs_dir.o tmpfs_xattr.o
tests-$(CONFIG_VFS) += tmpfs_test.o
host-y += tmpfs.o options.o tmpfs_dir.o tmpfs_xattr.o tmpfs_test.o
