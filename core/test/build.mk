# The test framework: in images with CONFIG_SELFTEST, and on the host.
tests-y += test.o
host-y  += test.o
