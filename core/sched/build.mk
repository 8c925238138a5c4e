# Threads and the executor.
objs-y  += runqueue.o sched.o idle.o thread.o executor.o
host-y  += runqueue.o sched.o idle.o thread.o executor.o
tests-y += sched_test.o executor_test.o
host-y  += sched_test.o executor_test.o
