/*
 * kiln-fs: disks with ext4, through exactly the code that an image has.
 *
 * The program is a machine with one hart, whose disk is a file (filedisk.c). It mounts the disk,
 * does what the command line asks (commands.c), and unmounts.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <core/arch.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/page.h>
#include <core/sched.h>
#include <core/thread.h>
#include <core/time.h>

#include "../../core/host/host.h"
#include "../../core/host/memory.h"
#include "kiln-fs.h"

enum log_level log_threshold = LOG_WARN;

const char *program_name;
static bool error_told;
static int argument_count;
static char **arguments;

void log_write(enum log_level level, const char *fmt, ...)
{
	va_list args;

	error_told |= level == LOG_ERROR;
	va_start(args, fmt);
	fprintf(stderr, "%s: ", program_name);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
}

bool log_has_told_an_error(void)
{
	return error_told;
}

bool output_is_whole(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return true;
	fprintf(stderr, "%s: standard output: %s\n", program_name, strerror(errno));
	return false;
}

void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	abort();
}

void assert_failed(const char *text, const char *file, int line)
{
	panic("%s:%d: assertion failed: %s", file, line, text);
}

void arch_console_put(const char *bytes, size_t len)
{
	fwrite(bytes, 1, len, stdout);
}

int arch_console_get(void)
{
	return -1;
}

size_t arch_entropy(void *buf, size_t len)
{
	(void)buf, (void)len;
	return 0;
}

void arch_poweroff(int status)
{
	fflush(NULL);
	_exit(status);
}

void arch_reboot(void)
{
	arch_poweroff(1);
}

static void run(void *unused)
{
	(void)unused;
	sched_start_harts();
	clock_set_wall_ns((uint64_t)time(NULL) * NSEC_PER_SEC);
	arch_poweroff(commands_run(argument_count, arguments));
}

int main(int argc, char **argv)
{
	static const struct thread_attr attr = {
		.name = "main", .priority = THREAD_PRIORITY_APP, .hart = -1
	};
	struct thread *t;

	program_name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	argument_count = argc;
	arguments = argv;
	host_set_harts(1);
	host_memory_init();
	page_reserve(HOST_RAM_START, HOST_RAM_START + KIB(512));
	page_add_ram(HOST_RAM_START, HOST_RAM_START + HOST_RAM_BYTES);
	kmem_init();
	clock_init();
	sched_init();
	if (thread_create(&attr, run, NULL, 0, &t))
		panic("no memory for the first thread");
	thread_start(t);
	sched_hart_main();
}
