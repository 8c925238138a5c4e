# ext4: the file system of Linux's disks.
ext4-objs := trans.o
objs-$(CONFIG_EXT4) += $(ext4-objs)
