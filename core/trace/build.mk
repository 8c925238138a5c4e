# Counters are always in; the trace is an option.
objs-y               += counter.o
objs-$(CONFIG_TRACE) += trace.o trace_json.o
host-y               += counter.o trace.o trace_json.o
tests-y              += trace_test.o trace_json_test.o
host-y               += trace_test.o trace_json_test.o
objs-$(CONFIG_PROFILE) += profile.o profile_table.o
host-y += profile_table.o profile_table_test.o
