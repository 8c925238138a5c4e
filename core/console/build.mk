# What the machine tells: console, log, panic.
objs-y += console.o log.o panic.o symbols.o ns16550.o
tests-y += console_test.o
