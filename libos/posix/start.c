/* The process begins. See start.h. */
#include "open.h"
#include "process.h"
#include "start.h"

int posix_start(void)
{
	int ret = process_adopt_thread();

	return ret ? ret : open_standard_files();
}
