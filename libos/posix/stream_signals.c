/* Signal handlers run while stream_run() waits, too. */
#include <core/init.h>
#include <libos/net.h>

#include "signal.h"

static int stream_signals_init(void)
{
	net_set_signal_hook(signal_run_handlers);
	return 0;
}

INIT(INIT_APP, stream_signals_init);
