/*
 * What the programs here share. Each is an ordinary C program that is compiled unchanged for Linux
 * and for Kiln and must print the same text on both. Numbers that differ between machines (times,
 * addresses, ids) are not printed; a sentence about them is, with yes or no behind it.
 */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/*
 * Names the errnos that the programs provoke; the C library's own texts differ between libraries.
 */
static inline const char *errno_name(int e)
{
	static const struct { int number; const char *name; } names[] = {
		{ 0, "ok" }, { EPERM, "EPERM" }, { ENOENT, "ENOENT" }, { EINTR, "EINTR" },
		{ EBADF, "EBADF" }, { ECHILD, "ECHILD" }, { EAGAIN, "EAGAIN" },
		{ ENOMEM, "ENOMEM" }, { EACCES, "EACCES" }, { EFAULT, "EFAULT" },
		{ EBUSY, "EBUSY" }, { EEXIST, "EEXIST" }, { ENOTDIR, "ENOTDIR" },
		{ EINVAL, "EINVAL" }, { EMFILE, "EMFILE" }, { ENOTTY, "ENOTTY" },
		{ ESPIPE, "ESPIPE" }, { EPIPE, "EPIPE" }, { EDEADLK, "EDEADLK" },
		{ ENOSYS, "ENOSYS" }, { ELOOP, "ELOOP" }, { EDESTADDRREQ, "EDESTADDRREQ" },
		{ EMSGSIZE, "EMSGSIZE" }, { ENOTSOCK, "ENOTSOCK" },
		{ EAFNOSUPPORT, "EAFNOSUPPORT" }, { EADDRINUSE, "EADDRINUSE" },
		{ EADDRNOTAVAIL, "EADDRNOTAVAIL" }, { ECONNRESET, "ECONNRESET" },
		{ EISCONN, "EISCONN" }, { ENOTCONN, "ENOTCONN" }, { ETIMEDOUT, "ETIMEDOUT" },
		{ ECONNREFUSED, "ECONNREFUSED" }, { EALREADY, "EALREADY" },
		{ EINPROGRESS, "EINPROGRESS" }, { EOPNOTSUPP, "EOPNOTSUPP" },
		{ ENOPROTOOPT, "ENOPROTOOPT" }, { EPROTONOSUPPORT, "EPROTONOSUPPORT" },
		{ EPROTOTYPE, "EPROTOTYPE" }, { ESRCH, "ESRCH" }, { ERANGE, "ERANGE" },
		{ ENAMETOOLONG, "ENAMETOOLONG" }, { EISDIR, "EISDIR" }, { ENOTEMPTY, "ENOTEMPTY" },
		{ EXDEV, "EXDEV" }, { EFBIG, "EFBIG" }, { ENOSPC, "ENOSPC" }, { EROFS, "EROFS" },
		{ ENODATA, "ENODATA" }, { E2BIG, "E2BIG" }, { ENXIO, "ENXIO" }, { EPERM, "EPERM" },
		{ EOVERFLOW, "EOVERFLOW" }, { ENODEV, "ENODEV" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].number == e)
			return names[i].name;
	return "another errno";
}

/* Prints a call's outcome: its value, or the name of its errno. */
#define SHOW(call) show(#call, (errno = 0, (long long)(call)))

static inline void show(const char *call, long long value)
{
	if (value == -1)
		printf("%s: %s\n", call, errno_name(errno));
	else
		printf("%s = %lld\n", call, value);
}

/* Prints a sentence and whether it holds. */
#define YES(sentence, cond) printf("%s: %s\n", sentence, (cond) ? "yes" : "no")

/*
 * Output by lines; then into the empty folder that TREE names (else /tmp), with the usual umask. 0
 * or -1.
 */
static inline int enter_tree(void)
{
	const char *tree = getenv("TREE");

	setvbuf(stdout, NULL, _IOLBF, 0);
	umask(022);
	return chdir(tree ? tree : "/tmp");
}

static inline long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static inline void sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

#endif
