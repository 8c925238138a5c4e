# Locks and waiting.
objs-y  += spin.o waitq.o mutex.o event.o
host-y  += spin.o waitq.o mutex.o event.o
