# Locks and waiting.
objs-y  += spin.o waitq.o mutex.o event.o
host-y  += spin.o waitq.o mutex.o event.o
tests-y += sync_test.o
host-y  += sync_test.o
