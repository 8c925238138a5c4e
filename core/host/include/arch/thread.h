/*
 * The machine's part of a thread on the host: each thread is a POSIX thread that runs only while it
 * has been handed a hart.
 */
#ifndef ARCH_THREAD_H
#define ARCH_THREAD_H

#include <core/types.h>

struct host_context; /* core/host/threads.c */

struct arch_thread {
	struct host_context *context;
	hart_t hart;
};

#endif
