# procfs: facts as files.
objs-$(CONFIG_PROCFS) += procfs.o machine.o mounts.o
objs-$(and $(CONFIG_PROCFS),$(CONFIG_BLOCK)) += disks.o
tests-$(CONFIG_PROCFS) += procfs_test.o
host-y += procfs.o mounts.o disks.o procfs_test.o
