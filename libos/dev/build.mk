# Kinds of device and their registries, the random generator, the orderly end, the operator's door.
objs-y                 += netdev.o charport.o power.o
objs-$(CONFIG_BLOCK)   += blkdev.o blk_queue.o blk_batch.o
objs-$(CONFIG_PARTITIONS) += partition.o
objs-$(CONFIG_RAMDISK) += ramdisk.o
objs-$(CONFIG_RANDOM)  += random.o chacha20.o
objs-$(CONFIG_OPERATOR) += operator.o operator_door.o operator_commands.o
operator-trace-$(CONFIG_TRACE) := operator_trace.o
operator-profile-$(CONFIG_PROFILE) := operator_profile.o
objs-$(CONFIG_OPERATOR) += $(operator-trace-y) $(operator-profile-y)

host-y += partition.o partition_test.o ramdisk.o
tests-$(CONFIG_BLOCK) += recdev.o
host-y += recdev.o powercut_host_test.o blkdev.o blk_queue.o blk_batch.o blk_queue_test.o
host-y += netdev.o charport.o power.o random.o chacha20.o operator.o operator_door.o operator_commands.o
host-y += random_test.o operator_test.o power_test.o
tests-$(CONFIG_PARTITIONS) += $(if $(CONFIG_RAMDISK),partition_test.o)
tests-$(CONFIG_BLOCK) += blk_queue_test.o
tests-$(CONFIG_RANDOM) += random_test.o
tests-$(CONFIG_OPERATOR) += operator_test.o
tests-y += power_test.o
