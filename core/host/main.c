/*
 * The unit-test program: boots core on the host as core/boot does on the machine, and runs the
 * tests in a thread of it. Usage: unit [part of a test's name or file].
 *
 * Every test runs on one hart; those of core, or those that were asked for, run again on two and on
 * four, each time in a fresh process. UNIT_HARTS=n: on so many alone. UNIT_SECONDS=n: patience.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <core/arch.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/page.h>
#include <core/sched.h>
#include <core/test.h>
#include <core/time.h>
#include "host.h"
#include "memory.h"
#include "messages.h"

#define PATIENCE_S 1200

enum log_level log_threshold = LOG_WARN;
static const char *filter;

void log_write(enum log_level level, const char *fmt, ...)
{
	va_list args;

	(void)level;
	va_start(args, fmt);
	messages_add(fmt, args);
	va_end(args);
}

void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

void assert_failed(const char *text, const char *file, int line)
{
	panic("%s:%d: assertion failed: %s", file, line, text);
}

/* A test prints when it fails: what was logged before is of interest then. */
void arch_console_put(const char *bytes, size_t len)
{
	messages_show();
	fwrite(bytes, 1, len, stdout);
	fflush(stdout);
}

int arch_console_get(void)
{
	return -1;
}

size_t arch_entropy(void *buf, size_t len)
{
	(void)buf;
	(void)len;
	return 0;
}

void arch_poweroff(int status)
{
	fflush(NULL);
	quick_exit(status > 255 ? 255 : status);
}

void arch_reboot(void)
{
	arch_poweroff(1);
}

static void run_tests(void *unused)
{
	(void)unused;
	sched_start_harts();
	test_next = messages_forget;
	arch_poweroff(test_run_all(filter));
}

static void boot(hart_t harts)
{
	static const struct thread_attr attr = {
		.name = "main", .priority = THREAD_PRIORITY_APP, .hart = -1
	};
	const char *seconds = getenv("UNIT_SECONDS");
	struct thread *t;

	alarm(seconds ? (unsigned)strtoul(seconds, NULL, 10) : PATIENCE_S);
	host_set_harts(harts);
	host_memory_init();
	page_reserve(HOST_RAM_START, HOST_RAM_START + KIB(512));
	page_add_ram(HOST_RAM_START, HOST_RAM_START + HOST_RAM_BYTES);
	kmem_init();
	clock_init();
	sched_init();
	if (thread_create(&attr, run_tests, NULL, 0, &t) != 0)
		panic("no memory for the first thread");
	thread_start(t);
	sched_hart_main();
}

/* Number of failed tests, or 1 when the run broke off. */
static int run_in_child(hart_t harts)
{
	int status;
	pid_t pid;

	printf("%u hart%s: ", harts, harts == 1 ? "" : "s");
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		boot(harts);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	messages_show();
	printf("broke off with signal %d\n", WTERMSIG(status));
	return 1;
}

int main(int argc, char **argv)
{
	const char *harts = getenv("UNIT_HARTS");
	int failed;

	filter = argc > 1 ? argv[1] : NULL;
	messages_init();
	if (harts)
		return run_in_child((hart_t)MAX(1ul, MIN(strtoul(harts, NULL, 10),
							 (unsigned long)CONFIG_HARTS_MAX))) > 0;
	failed = run_in_child(1);
	if (!filter)
		filter = "core/";
	for (hart_t n = 2; n <= MIN(4u, (hart_t)CONFIG_HARTS_MAX); n *= 2)
		failed += run_in_child(n);
	return failed > 0;
}
