objs-$(CONFIG_APP_HELLO) += main.o
