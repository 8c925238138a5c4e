# A checker of ext4 disks.
fsck-objs := fsck.o disk.o torn.o recover.o inode.o resize.o map.o attr.o orphans.o dir.o index.o tree.o count.o repair.o
objs-$(CONFIG_EXT4_CHECK) += $(fsck-objs)
host-y += $(fsck-objs) fsck_host_test.o
