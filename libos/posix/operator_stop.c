/*
 * The operator's `stop` is SIGTERM to the application: a program with a handler ends as it likes,
 * one without ends at once, in order.
 */
#include <core/init.h>
#include <libos/operator.h>

#include "signal.h"

static void application_stop(void)
{
	const struct abi_siginfo info = { .signo = SIGTERM, .code = SI_KERNEL };

	signal_send(NULL, &info);
}

static int operator_stop_init(void)
{
	operator_on_stop(application_stop);
	return 0;
}

INIT(INIT_APP, operator_stop_init);
