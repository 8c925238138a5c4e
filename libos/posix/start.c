/* The process begins. See start.h. */
#include <core/errno.h>

#include "fd.h"
#include "open.h"
#include "process.h"
#include "signal.h"
#include "start.h"

static int open_standard_files(void)
{
	struct file *console = open_console();

	if (!console)
		return -ENOMEM;
	for (int fd = 0; fd < 3; fd++)
		if (fd_install(file_get(console), false, fd) < 0)
			break;
	file_put(console);
	return 0;
}

int posix_start(void)
{
	int ret = process_adopt_thread();

	if (ret)
		return ret;
	signal_set_mask(0); /* takes what was sent before there was a thread */
	return open_standard_files();
}
