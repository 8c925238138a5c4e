# ext4: the file system of Linux's disks.
ext4-objs := trans.o
ext4-objs += group.o bitmap.o bits.o balloc.o extent.o extent_change.o indirect.o map.o
ext4-objs += truncate.o orphan.o file.o fallocate.o
objs-$(CONFIG_EXT4) += $(ext4-objs)
tests-$(CONFIG_EXT4) += bits_test.o
host-y += bits.o bits_test.o
