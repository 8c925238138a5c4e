/*
 * The monitor of an image: a kernel thread with a loop of its own.
 *
 * The thread is less urgent than the application's, and its loop takes no frames from the devices:
 * an interrupt always wakes the application's loop (or the stack's task), which hands over what is
 * for the monitor. So on the way of a request to the application nothing changes but this: a
 * monitor at work may hold the only hart for the length of one piece of an answer.
 */
#include <core/boot.h>
#include <core/errno.h>
#include <core/init.h>
#include <core/log.h>
#include <core/string.h>
#include <core/thread.h>
#include <libos/net.h>

#include "monitor.h"

BOOT_OPTION_NAMED(monitor_port, "monitor.port",
		  "monitor.port=N: TCP port of the monitor (default 9100), 0: none");

static unsigned chosen_port(void)
{
	const char *text = boot_option("monitor.port");
	uint64_t port;

	if (!text)
		return MONITOR_PORT;
	if (!str_parse_u64(&text, &port) || *text || port > UINT16_MAX) {
		log_error("monitor: monitor.port takes a number from 0 to 65535");
		return 0;
	}
	return (unsigned)port;
}

static void monitor_main(void *arg)
{
	struct stream_loop *loop = arg;
	unsigned port = chosen_port();
	int error;

	net_leave_devices(loop);
	error = monitor_listen(loop, port);
	if (error)
		log_error("monitor: port %u: error %d", port, -error);
	else
		error = stream_run(loop);
	stream_loop_destroy(loop);
}

static int monitor_init(void)
{
	static const struct thread_attr attr = {
		.name = "monitor", .priority = THREAD_PRIORITY_APP + 4, .detached = true, .hart = -1
	};
	struct stream_loop *loop;
	struct thread *t;
	int error;

	if (!chosen_port())
		return 0;
	error = stream_loop_create(&loop);
	if (error)
		return error;
	error = thread_create(&attr, monitor_main, loop, 0, &t);
	if (error)
		stream_loop_destroy(loop);
	else
		thread_start(t);
	return error;
}
INIT(INIT_APP, monitor_init);
