# The order of boot, and what the device tree and its bootargs say.
objs-y  += main.o no_app.o machine.o bootargs.o goldfish_rtc.o
tests-y += bootargs_test.o
host-y  += bootargs.o bootargs_test.o
nolto-y += no_app.o
