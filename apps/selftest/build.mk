# The unit tests inside an image. Needs no C library, so that it tests core alone.
world  := freestanding
objs-$(CONFIG_APP_SELFTEST) += main.o crash.o
tests-y += float_test.o
