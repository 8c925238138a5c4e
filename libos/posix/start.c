/* The process begins. See start.h. */
#include "open.h"
#include "process.h"
#include "signal.h"
#include "start.h"

int posix_start(void)
{
	int ret = process_adopt_thread();

	if (ret)
		return ret;
	signal_set_mask(0); /* takes what was sent before there was a thread */
	return open_standard_files();
}
