objs-$(CONFIG_APP_FSTEST) += main.o sums.o load.o churn.o full.o
