objs-$(CONFIG_APP_ECHO) += main.o
