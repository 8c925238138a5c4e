# Needs no C library.
world  := freestanding
objs-$(CONFIG_APP_COREBENCH) += main.o
