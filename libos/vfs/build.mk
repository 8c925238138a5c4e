objs-y += poll.o uio.o
objs-$(CONFIG_POSIX) += file.o console.o devices.o pipe.o
objs-$(and $(CONFIG_POSIX),$(CONFIG_BLOCK)) += block_file.o block_direct.o
objs-$(CONFIG_INITRD) += cpio.o archive_find.o archive.o $(if $(CONFIG_VFS),,initrd.o)
objs-$(CONFIG_VFS) += dentry.o mount.o inode.o walk.o change.o open_file.o locks.o rootfs.o mount_boot.o unpack.o
objs-$(CONFIG_POSIX_INOTIFY) += notify.o
tests-$(CONFIG_VFS) += unpack_test.o
tests-$(CONFIG_INITRD) += cpio_test.o
tests-$(and $(CONFIG_POSIX),$(CONFIG_BLOCK)) += block_file_test.o
tests-$(CONFIG_POSIX) += pipe_test.o poll_test.o
host-y += file.o poll.o uio.o pipe.o pipe_test.o poll_test.o cpio.o cpio_test.o block_file.o block_direct.o block_file_test.o \
	dentry.o dentry_host_test.o mount.o inode.o walk.o change.o open_file.o locks.o unpack.o unpack_test.o notify.o

objs-$(CONFIG_VFS) += devfs.o
objs-$(and $(CONFIG_VFS),$(CONFIG_BLOCK)) += disk.o
host-y += disk.o

objs-$(and $(CONFIG_VFS),$(CONFIG_POSIX_PIPE)) += fifo.o
host-y += fifo.o

# Changing the tree.
objs-$(CONFIG_VFS) += rename.o open_name.o attributes.o
host-y += rename.o open_name.o attributes.o

# Changing mounts.
objs-$(CONFIG_VFS) += mount_change.o mount_option.o
tests-$(CONFIG_VFS) += mount_test.o
host-y += mount_change.o mount_option.o mount_test.o

# The page cache, and what it needs where there are disks.
cache-parts := cache_direct.o cache_ahead.o cache_fill.o cache_write.o cache_back.o cache_daemon.o cache_reclaim.o block_pages.o
objs-$(CONFIG_VFS) += cache.o cache_index.o
objs-$(and $(CONFIG_VFS),$(CONFIG_BLOCK)) += $(cache-parts)
cache-tests := cache_rig.o cache_read_test.o cache_write_test.o cache_sync_test.o
tests-$(CONFIG_VFS) += cache_index_test.o
tests-$(and $(CONFIG_VFS),$(CONFIG_BLOCK)) += $(cache-tests) cache_fault_test.o
host-y += cache.o cache_index.o cache_index_test.o $(cache-parts) $(cache-tests) cache_memory_host_test.o

# Metadata buffers.
objs-$(CONFIG_BUFFERS) += buffer.o buffer_write.o
tests-$(CONFIG_BUFFERS) += buffer_test.o
host-y += buffer.o buffer_write.o buffer_test.o

# The archive that is linked into the image: empty, unless the configuration names one.
nolto-y += archive.o
$(O)/obj/libos/vfs/archive.o: private cflags/libos/vfs += -Wa,-I$(O)
initrd-path := $(patsubst "%",%,$(CONFIG_INITRD_PATH))
$(O)/obj/libos/vfs/archive.o: $(O)/initrd.cpio
$(O)/initrd.cpio: tools/run/archive.py $(if $(initrd-path),$(shell find $(initrd-path)))
	$(Q)/usr/bin/python3 tools/run/archive.py $@ $(initrd-path)
