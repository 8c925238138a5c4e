/*
 * Who and where am I: identity, limits, the machine's description. An appliance is one process of
 * one user, root, who may do everything that the image can.
 */
#include <core/arch.h>
#include <core/errno.h>
#include <core/hart.h>
#include <core/page.h>
#include <core/string.h>
#include <core/thread.h>
#include <core/time.h>
#include <libos/uio.h>

#include "fd.h"
#include "info.h"
#include "process.h"
#include "syscalls.h"
#include "time.h"

long sys_getpid(void)  { return PROCESS_ID; }
long sys_getppid(void) { return 0; }

static long own_id(int pid)
{
	return pid == 0 || pid == PROCESS_ID ? PROCESS_ID : -ESRCH;
}

long sys_getpgid(int pid)
{
	return own_id(pid);
}

long sys_getsid(int pid)
{
	return own_id(pid);
}

#define UTS_FIELD 65

struct abi_utsname {
	char system[UTS_FIELD], node[UTS_FIELD], release[UTS_FIELD], version[UTS_FIELD],
	    machine[UTS_FIELD], domain[UTS_FIELD];
};

long sys_uname(void *name)
{
	struct abi_utsname u = { SYSTEM_NAME,    "kiln",    SYSTEM_RELEASE,
				 SYSTEM_VERSION, "riscv64", "(none)" };

	return user_write(name, &u, sizeof(u));
}

struct abi_sysinfo {
	int64_t uptime;
	uint64_t loads[3], total_ram, free_ram, shared_ram, buffer_ram, total_swap, free_swap;
	uint16_t processes, pad;
	uint64_t total_high, free_high;
	uint32_t unit;
};

long sys_sysinfo(void *info)
{
	struct page_stats pages;
	struct abi_sysinfo s = {
	    .uptime = (int64_t)(clock_ns() / NSEC_PER_SEC), .processes = 1, .unit = 1};

	page_stats(&pages);
	s.total_ram = pages.total_pages * PAGE_SIZE;
	s.free_ram = pages.free_pages * PAGE_SIZE;
	return user_write(info, &s, sizeof(s));
}

/* ---- limits ---- */

#define RLIMIT_STACK   3
#define RLIMIT_CORE    4
#define RLIMIT_NOFILE  7
#define RLIMITS        16
#define RLIM_INFINITY  UINT64_MAX

static struct abi_rlimit limit_get(int resource)
{
	switch (resource) {
	case RLIMIT_NOFILE:
		return (struct abi_rlimit){ fd_limit(), FD_LIMIT_MAX };
	case RLIMIT_STACK:
		return (struct abi_rlimit){ MIB(8), RLIM_INFINITY };
	case RLIMIT_CORE:
		return (struct abi_rlimit){ 0, 0 };
	default:
		return (struct abi_rlimit){ RLIM_INFINITY, RLIM_INFINITY };
	}
}

static int limit_set(int resource, const struct abi_rlimit *l)
{
	if (l->soft > l->hard)
		return -EINVAL;
	if (resource != RLIMIT_NOFILE)
		return 0; /* nothing here would be held to it */
	if (l->hard > FD_LIMIT_MAX)
		return -EPERM;
	fd_set_limit((unsigned)l->soft);
	return 0;
}

long sys_prlimit64(int pid, int resource, const void *new_limit, void *old_limit)
{
	struct abi_rlimit before, wanted;

	if (pid != 0 && pid != PROCESS_ID)
		return -ESRCH;
	if (resource < 0 || resource >= RLIMITS)
		return -EINVAL;
	before = limit_get(resource);
	if (new_limit) {
		int ret = user_read(&wanted, new_limit, sizeof(wanted));

		if (ret == 0)
			ret = limit_set(resource, &wanted);
		if (ret)
			return ret;
	}
	return old_limit ? user_write(old_limit, &before, sizeof(before)) : 0;
}

long sys_getrlimit(int resource, void *limit)
{
	return sys_prlimit64(0, resource, NULL, limit);
}

long sys_setrlimit(int resource, const void *limit)
{
	return sys_prlimit64(0, resource, limit, NULL);
}

struct abi_rusage { struct abi_timeval user, system; int64_t others[14]; };

long sys_getrusage(int who, void *usage)
{
	struct abi_rusage u = { 0 };
	uint64_t ns;

	if (who < -1 || who > 1)
		return -EINVAL;
	clock_read(who == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_PROCESS_CPUTIME_ID, &ns);
	if (who >= 0)
		u.user = (struct abi_timeval){(int64_t)(ns / NSEC_PER_SEC),
					      (int64_t)(ns % NSEC_PER_SEC / NSEC_PER_USEC)};
	return user_write(usage, &u, sizeof(u));
}

/* ---- scheduling ---- */

long sys_sched_yield(void)
{
	thread_yield();
	return 0;
}

long sys_sched_getaffinity(int pid, size_t size, void *mask)
{
	uint64_t harts = hart_count() >= 64 ? UINT64_MAX : (1ull << hart_count()) - 1;

	(void)pid;
	if (size < sizeof(harts) || size % sizeof(long))
		return -EINVAL;
	return user_write(mask, &harts, sizeof(harts)) < 0 ? -EFAULT : (long)sizeof(harts);
}

long sys_getcpu(unsigned *cpu, unsigned *node)
{
	unsigned hart = hart_id(), zero = 0;

	if (cpu && user_write(cpu, &hart, sizeof(hart)) < 0)
		return -EFAULT;
	return node ? user_write(node, &zero, sizeof(zero)) : 0;
}

long sys_sched_getscheduler(int pid)
{
	return pid < 0 ? -EINVAL : 0; /* SCHED_OTHER */
}

long sys_sched_getparam(int pid, void *param)
{
	int priority = 0;

	return pid < 0 ? -EINVAL : user_write(param, &priority, sizeof(priority));
}

static bool policy_is_realtime(int policy)
{
	return policy == 1 || policy == 2;
}

long sys_sched_get_priority_max(int policy)
{
	return policy_is_realtime(policy) ? 99 : policy >= 0 && policy <= 6 ? 0 : -EINVAL;
}

long sys_sched_get_priority_min(int policy)
{
	return policy_is_realtime(policy) ? 1 : policy >= 0 && policy <= 6 ? 0 : -EINVAL;
}

#define PR_SET_NAME 15

long sys_prctl(int option, unsigned long arg)
{
	char name[THREAD_NAME_SIZE];

	if (option != PR_SET_NAME)
		return -EINVAL;
	return user_read_string(name, (const char *)arg, sizeof(name)) == -EFAULT ? -EFAULT : 0;
}

/*
 * One address space, and every hart's stores are seen after a fence: only the plain kind is
 * offered.
 */
long sys_membarrier(int command, unsigned flags, int cpu)
{
	const int query = 0;

	(void)cpu;
	return command == query && !flags ? 0 : -EINVAL;
}
