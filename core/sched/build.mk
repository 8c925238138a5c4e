# Threads and the executor.
objs-y  += runqueue.o sched.o idle.o thread.o executor.o
objs-$(CONFIG_HART_CALL) += hart_call.o
host-y  += hart_call.o runqueue.o sched.o idle.o thread.o executor.o
tests-y += sched_test.o executor_test.o hart_call_test.o
host-y  += sched_test.o executor_test.o hart_call_test.o
