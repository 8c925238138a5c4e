# Clocks and timers.
objs-y  += clock.o timer.o
host-y  += clock.o timer.o
