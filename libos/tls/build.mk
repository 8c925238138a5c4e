# TLS as a filter on streams: ordinary C on a C library, the same in an image and on the build machine.
objs-$(CONFIG_TLS) += server.o credentials.o ciphers.o connection.o input.o output.o reason.o entropy.o

cflags-y += $(if $(CONFIG_TLS),$(mbedtls_include))
