objs-$(CONFIG_APP_FSTEST) += main.o load.o full.o
