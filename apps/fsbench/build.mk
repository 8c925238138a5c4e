objs-$(CONFIG_APP_FSBENCH) += main.o
