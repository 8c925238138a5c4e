/*
 * Calls that Linux has and Kiln has not: what they answer, and that the console tells of each once.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

int abitest_missing(void);

static void show(const char *call, long result)
{
	printf("%s: %s\n", call, result == -1 && errno == ENOSYS ? "ENOSYS" : "something else");
}

int abitest_missing(void)
{
	for (int i = 0; i < 3; i++)
		show("signalfd", signalfd(-1, &(sigset_t){ 0 }, 0));
	show("fork", fork());
	show("call 499", syscall(499));
	printf("by number: %s\n", syscall(SYS_getpid) == getpid() ? "yes" : "no");
	return 0;
}
