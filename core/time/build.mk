# Clocks and timers.
objs-y  += clock.o timer.o
tests-y += timer_test.o
host-y  += clock.o timer.o timer_test.o
