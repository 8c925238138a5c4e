/*
 * Who the program says that it is: user and group ids, real, effective and saved, and further
 * groups.
 *
 * An appliance starts as root and is alone, so ids protect nothing but what the program itself
 * wants protected: a server that gives root up meets the permissions of files as on Linux. Rules:
 * credentials(7), setresuid(2).
 */
#include <core/errno.h>
#include <libos/uio.h>
#include <libos/vfs.h>

#include "syscalls.h"

enum { REAL, EFFECTIVE, SAVED };

#define UNCHANGED UINT32_MAX

static uint32_t uids[3], gids[3];

long sys_getuid(void)  { return uids[REAL]; }
long sys_geteuid(void) { return uids[EFFECTIVE]; }
long sys_getgid(void)  { return gids[REAL]; }
long sys_getegid(void) { return gids[EFFECTIVE]; }

/* File systems go by the effective ids. */
static void tell_files(void)
{
	struct vfs_context *c;

	if (!IS_ENABLED(CONFIG_VFS))
		return;
	c = vfs_context();
	c->uid = uids[EFFECTIVE];
	c->gid = gids[EFFECTIVE];
	c->real_uid = uids[REAL];
	c->real_gid = gids[REAL];
}

static bool is_root(void)
{
	return uids[EFFECTIVE] == 0;
}

/* One of the first `count` ids that there are, or no change. */
static bool is_own(const uint32_t ids[3], uint32_t id, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (ids[i] == id)
			return true;
	}
	return id == UNCHANGED;
}

static void assign(uint32_t ids[3], uint32_t real, uint32_t effective, uint32_t saved)
{
	ids[REAL] = real == UNCHANGED ? ids[REAL] : real;
	ids[EFFECTIVE] = effective == UNCHANGED ? ids[EFFECTIVE] : effective;
	ids[SAVED] = saved == UNCHANGED ? ids[SAVED] : saved;
	tell_files();
}

static long set_three(uint32_t ids[3], uint32_t real, uint32_t effective, uint32_t saved)
{
	if (!is_root() &&
	    !(is_own(ids, real, 3) && is_own(ids, effective, 3) && is_own(ids, saved, 3)))
		return -EPERM;
	assign(ids, real, effective, saved);
	return 0;
}

static long set_two(uint32_t ids[3], uint32_t real, uint32_t effective)
{
	uint32_t before = ids[REAL];

	if (!is_root() && !(is_own(ids, real, 2) && is_own(ids, effective, 3)))
		return -EPERM;
	assign(ids, real, effective, UNCHANGED);
	if (real != UNCHANGED || (effective != UNCHANGED && effective != before))
		assign(ids, UNCHANGED, UNCHANGED, ids[EFFECTIVE]);
	return 0;
}

static long set_one(uint32_t ids[3], uint32_t id)
{
	if (id == UNCHANGED)
		return -EINVAL;
	if (is_root())
		assign(ids, id, id, id);
	else if (id == ids[REAL] || id == ids[SAVED])
		assign(ids, UNCHANGED, id, UNCHANGED);
	else
		return -EPERM;
	return 0;
}

static long get_three(const uint32_t ids[3], uint32_t *real, uint32_t *effective, uint32_t *saved)
{
	int error = user_write(real, &ids[REAL], sizeof(*real));

	if (!error)
		error = user_write(effective, &ids[EFFECTIVE], sizeof(*effective));
	return error ? error : user_write(saved, &ids[SAVED], sizeof(*saved));
}

long sys_setuid(unsigned id) { return set_one(uids, id); }
long sys_setgid(unsigned id) { return set_one(gids, id); }
long sys_setreuid(unsigned real, unsigned effective) { return set_two(uids, real, effective); }
long sys_setregid(unsigned real, unsigned effective) { return set_two(gids, real, effective); }

long sys_setresuid(unsigned real, unsigned effective, unsigned saved)
{
	return set_three(uids, real, effective, saved);
}

long sys_setresgid(unsigned real, unsigned effective, unsigned saved)
{
	return set_three(gids, real, effective, saved);
}

long sys_getresuid(unsigned *real, unsigned *effective, unsigned *saved)
{
	return get_three(uids, real, effective, saved);
}

long sys_getresgid(unsigned *real, unsigned *effective, unsigned *saved)
{
	return get_three(gids, real, effective, saved);
}

static uint32_t groups[VFS_GROUPS_MAX];
static unsigned group_count;

long sys_getgroups(int size, unsigned *list)
{
	if (size < 0 || (size && (unsigned)size < group_count))
		return -EINVAL;
	if (size && user_write(list, groups, group_count * sizeof(groups[0])) < 0)
		return -EFAULT;
	return group_count;
}

long sys_setgroups(int size, const unsigned *list)
{
	uint32_t wanted[VFS_GROUPS_MAX];

	if (!is_root())
		return -EPERM;
	if (size < 0 || (unsigned)size > VFS_GROUPS_MAX)
		return -EINVAL;
	if (user_read(wanted, list, (size_t)size * sizeof(wanted[0])) < 0)
		return -EFAULT;
	group_count = (unsigned)size;
	for (unsigned i = 0; i < group_count; i++)
		groups[i] = wanted[i];
	if (IS_ENABLED(CONFIG_VFS)) {
		for (unsigned i = 0; i < group_count; i++)
			vfs_context()->groups[i] = groups[i];
		vfs_context()->group_count = group_count;
	}
	return 0;
}
