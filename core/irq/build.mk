# Interrupts of devices, and the controllers they come through.
objs-y += irq.o plic.o
tests-y += irq_test.o
