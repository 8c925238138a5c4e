# The machine contract on a POSIX host, for unit tests.
host-y += threads.o memory.o messages.o shortage.o main.o
