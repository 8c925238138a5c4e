# Drivers of virtio devices: rings and negotiation, then one group of files per kind of device.
objs-$(CONFIG_VIRTIO)         += virtio.o virtqueue.o virtq_pieces.o virtio_mmio.o
objs-$(CONFIG_VIRTIO_NET)     += virtio_net.o virtio_net_rx.o virtio_net_tx.o
objs-$(CONFIG_VIRTIO_BLK)     += virtio_blk.o
objs-$(CONFIG_VIRTIO_RNG)     += virtio_rng.o
objs-$(CONFIG_VIRTIO_CONSOLE) += virtio_console.o virtio_console_port.o

host-y += virtio.o virtqueue.o virtq_pieces.o
host-y += virtio_net.o virtio_net_rx.o virtio_net_tx.o virtio_rng.o virtio_console.o virtio_console_port.o
host-y += model.o virtqueue_test.o net_rig.o virtio_net_test.o virtio_net_answer_test.o virtio_net_lie_test.o
host-y += virtio_blk.o virtio_blk_test.o
host-y += virtio_console_test.o virtio_rng_test.o

tests-$(CONFIG_VIRTIO)         += model.o virtqueue_test.o
tests-$(CONFIG_VIRTIO_NET)     += net_rig.o virtio_net_test.o virtio_net_answer_test.o virtio_net_lie_test.o
tests-$(CONFIG_VIRTIO_BLK)     += virtio_blk_test.o
tests-$(CONFIG_VIRTIO_RNG)     += virtio_rng_test.o
tests-$(CONFIG_VIRTIO_CONSOLE) += virtio_console_test.o
