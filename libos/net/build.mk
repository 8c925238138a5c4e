objs-$(CONFIG_NET) += stack.o memory.o random.o checksum.o interface.o receive.o transmit.o merge.o timers.o \
	config.o connections.o loans.o address.o resolve.o packet.o predict.o template.o
objs-$(CONFIG_NET) += stream_lwip.o stream_loop.o stream_input.o stream_output.o stream_timer.o timer_heap.o stream_listen.o \
	stream_packet.o stream_datagrams.o stream_datagrams_short.o
objs-$(CONFIG_STREAM_FILTER) += stream_filter.o
objs-$(CONFIG_NET) += socket.o socket_tcp.o socket_udp.o socket_option.o
objs-$(and $(CONFIG_NET),$(CONFIG_OPERATOR)) += counters.o
objs-$(CONFIG_MONITOR) += metrics.o

host-y += $(objs-y) lab.o stream_test.o stream_life_test.o stream_datagram_test.o socket_test.o loans_test.o predict_test.o fuzz_test.o resolve_test.o net_test.o \
	$(if $(CONFIG_STREAM_FILTER),stream_filter_test.o)

cflags-y += $(lwip_include) -fno-strict-aliasing
