# The journal.
jbd2-objs := format.o super.o revoke.o recovery.o handle.o block.o ordered.o commit.o checkpoint.o thread.o journal.o
objs-$(CONFIG_JBD2)  += $(jbd2-objs)
tests-$(CONFIG_JBD2) += lab.o journal_test.o replay_test.o
host-y += $(jbd2-objs) lab.o journal_test.o replay_test.o crash_host_test.o judge_host_test.o
