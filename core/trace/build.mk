# Counters are always in; the trace is an option.
objs-y               += counter.o
objs-$(CONFIG_TRACE) += trace.o
host-y               += counter.o trace.o
tests-y              += trace_test.o
host-y               += trace_test.o
