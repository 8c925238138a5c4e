# ext4: the file system of Linux's disks.
ext4-objs := trans.o mount.o super.o geometry.o features.o options.o recognise.o recovery.o
ext4-objs += icache.o inode.o ialloc.o dir.o dir_csum.o dir_iterate.o dir_change.o htree.o htree_insert.o hash.o namei.o rename.o symlink.o xattr.o xattr_change.o inline.o
ext4-objs += group.o zone.o bitmap.o bitmap_csum.o bits.o space.o balloc.o bfree.o reserve.o discard.o extent.o extent_change.o indirect.o indirect_truncate.o map.o
ext4-objs += truncate.o orphan.o orphan_file.o file.o bytes.o delayed.o journaled.o fallocate.o
objs-$(CONFIG_EXT4) += $(ext4-objs)
tests-$(CONFIG_EXT4) += bits_test.o
host-y += threads_host_test.o delayed_host_test.o
host-y += memory_host_test.o want_host_test.o edges_host_test.o fault_host_test.o told_host_test.o discard_host_test.o
host-y += bits_test.o $(ext4-objs) testdisk_host_test.o read_host_test.o write_host_test.o formats_host_test.o file_host_test.o durable_host_test.o large_host_test.o stress_host_test.o
host-y += crash_work_host_test.o crash_acts_host_test.o crash_judge_host_test.o crash_tree_host_test.o crash_e2fsck_host_test.o crash_host_test.o
