/*
 * Memory: mmap and its relatives on core's anonymous ranges, and the program break.
 *
 * The break is a range of BREAK_MAX addresses reserved on first use; what lies under the break may
 * be used, what lies above it is mapped without access and holds no frames.
 */
#include <core/errno.h>
#include <core/sync.h>
#include <core/vm.h>
#include <libos/abi.h>
#include <libos/uio.h>

#include "blocking.h"
#include "fd.h"
#include "io.h"
#include "syscalls.h"

#define PROT_READ  1u
#define PROT_WRITE 2u
#define PROT_ALL   7u

#define MAP_SHARED          0x01
#define MAP_PRIVATE         0x02
#define MAP_TYPE            0x0f
#define MAP_FIXED           0x10
#define MAP_ANONYMOUS       0x20
#define MAP_POPULATE        0x8000
#define MAP_FIXED_NOREPLACE 0x100000

#define MREMAP_MAYMOVE 1

#define MADV_DONTNEED 4
#define MADV_FREE     8

#define BREAK_MAX MIB(256)

static bool vm_is_error(intptr_t result)
{
	return (uintptr_t)result > (uintptr_t)-PAGE_SIZE;
}

static bool range_is_valid(const void *address, size_t len)
{
	return IS_ALIGNED((uintptr_t)address, PAGE_SIZE) && len && ALIGN_UP(len, PAGE_SIZE) >= len;
}

static void populate(uint8_t *start, size_t len)
{
	uint8_t byte;

	for (size_t at = 0; at < len; at += PAGE_SIZE)
		if (user_read(&byte, start + at, 1) < 0 || user_write(start + at, &byte, 1) < 0)
			return;
}

/* As much of the file as there is; the rest of the range reads as zeroes. */
static int file_load(struct file *f, vaddr_t at, size_t len, long offset)
{
	struct uio_vec vec = { (void *)at, len };
	struct uio u = { .vecs = &vec, .vec_count = 1, .left = len, .offset = offset };
	kssize_t n = 1;

	while (u.left && n > 0)
		n = file_read(f, &u);
	return n < 0 ? (int)n : 0;
}

static intptr_t file_map(struct file *f, vaddr_t hint, size_t len, unsigned prot, bool fixed,
			 long offset)
{
	intptr_t at;
	int error;

	if (!f->ops->seek || !f->ops->read)
		return -ENODEV;
	if (!file_may(f, true))
		return -EACCES;
	at = vm_anon_map(hint, len, PROT_READ | PROT_WRITE, fixed);
	if (vm_is_error(at))
		return at;
	error = file_load(f, (vaddr_t)at, len, offset);
	if (!error && prot != (PROT_READ | PROT_WRITE))
		error = vm_anon_protect((vaddr_t)at, len, prot);
	if (error)
		vm_anon_unmap((vaddr_t)at, len);
	return error ? error : at;
}

/*
 * A private mapping of a file is a copy, made at once: nothing may wait for a disk where a fault is
 * taken. Shared ones would have to be the cache's own pages, and are refused (ENODEV).
 */
static intptr_t fd_map(int fd, vaddr_t hint, size_t len, unsigned prot, int flags, long offset)
{
	struct file *f = fd_get(fd);
	intptr_t at;

	if (!f)
		return -EBADF;
	at = (flags & MAP_TYPE) == MAP_PRIVATE
		     ? file_map(f, hint, len, prot, flags & (MAP_FIXED | MAP_FIXED_NOREPLACE),
				offset)
		     : -ENODEV;
	file_put(f);
	return at;
}

long sys_mmap(void *address, size_t len, int prot, int flags, int fd, long offset)
{
	bool fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
	vaddr_t hint = fixed ? (vaddr_t)address : ALIGN_DOWN((vaddr_t)address, PAGE_SIZE);
	intptr_t got;

	if (!len || (offset & (long)(PAGE_SIZE - 1)) || ((unsigned)prot & ~PROT_ALL))
		return -EINVAL;
	if ((flags & MAP_TYPE) != MAP_PRIVATE && (flags & MAP_TYPE) != MAP_SHARED)
		return -EINVAL;
	if (fixed && !IS_ALIGNED(hint, PAGE_SIZE))
		return -EINVAL;
	if (len > SIZE_MAX / 2)
		return -ENOMEM;
	if (!(flags & MAP_ANONYMOUS))
		return fd_map(fd, hint, ALIGN_UP(len, PAGE_SIZE), (unsigned)prot, flags, offset);
	got = vm_anon_map(hint, ALIGN_UP(len, PAGE_SIZE), (unsigned)prot, fixed);
	if ((flags & MAP_POPULATE) && !vm_is_error(got) && (prot & (int)PROT_WRITE))
		populate((uint8_t *)got, len);
	return got;
}

long sys_munmap(void *address, size_t len)
{
	if (!range_is_valid(address, len))
		return -EINVAL;
	return vm_anon_unmap((vaddr_t)address, ALIGN_UP(len, PAGE_SIZE));
}

long sys_mprotect(void *address, size_t len, int prot)
{
	if (!IS_ALIGNED((uintptr_t)address, PAGE_SIZE) || ((unsigned)prot & ~PROT_ALL))
		return -EINVAL;
	if (!len)
		return 0;
	return vm_anon_protect((vaddr_t)address, ALIGN_UP(len, PAGE_SIZE), (unsigned)prot);
}

long sys_mremap(void *address, size_t old_len, size_t new_len, int flags, void *new_address)
{
	(void)new_address;
	if (!IS_ALIGNED((uintptr_t)address, PAGE_SIZE) || !new_len || !old_len ||
	    (flags & ~MREMAP_MAYMOVE))
		return -EINVAL;
	if (new_len > SIZE_MAX / 2)
		return -ENOMEM;
	return vm_anon_remap((vaddr_t)address, ALIGN_UP(old_len, PAGE_SIZE),
			     ALIGN_UP(new_len, PAGE_SIZE), flags & MREMAP_MAYMOVE);
}

long sys_madvise(void *address, size_t len, int advice)
{
	if (!IS_ALIGNED((uintptr_t)address, PAGE_SIZE))
		return -EINVAL;
	if (!len)
		return 0;
	if (advice == MADV_DONTNEED || advice == MADV_FREE)
		return vm_anon_discard((vaddr_t)address, ALIGN_UP(len, PAGE_SIZE));
	return advice >= 0 && advice <= 25 ? 0
					   : -EINVAL; /* the others are hints that need no answer */
}

/* Memory here is never taken away to a disk, so it is as if locked. */
long sys_mlock(const void *address, size_t len)
{
	(void)address, (void)len;
	return 0;
}

long sys_munlock(const void *address, size_t len)
{
	return sys_mlock(address, len);
}

long sys_mlockall(int flags)
{
	return flags & ~7 ? -EINVAL : 0;
}

long sys_munlockall(void)
{
	return 0;
}

long sys_msync(void *address, size_t len, int flags)
{
	(void)len, (void)flags;
	return IS_ALIGNED((uintptr_t)address, PAGE_SIZE) ? 0 : -EINVAL;
}

static struct {
	struct mutex lock;
	vaddr_t start, end;   /* 0: not reserved yet */
} brk_range = { .lock = MUTEX_INIT(brk_range.lock) };

static void brk_reserve(void)
{
	intptr_t got = vm_anon_map(0, BREAK_MAX, 0, false);

	if (!vm_is_error(got))
		brk_range.start = brk_range.end = (vaddr_t)got;
}

static bool brk_move(vaddr_t end)
{
	vaddr_t from = ALIGN_UP(brk_range.end, PAGE_SIZE), to = ALIGN_UP(end, PAGE_SIZE);

	if (to > from)
		return vm_anon_protect(from, to - from, PROT_READ | PROT_WRITE) == 0;
	if (to < from)
		return vm_anon_discard(to, from - to) == 0 &&
		       vm_anon_protect(to, from - to, 0) == 0;
	return true;
}

long sys_brk(uintptr_t end)
{
	vaddr_t now;

	mutex_lock(&brk_range.lock);
	if (!brk_range.start)
		brk_reserve();
	if (brk_range.start && end >= brk_range.start && end <= brk_range.start + BREAK_MAX &&
	    brk_move(end))
		brk_range.end = end;
	now = brk_range.end;
	mutex_unlock(&brk_range.lock);
	return (long)now;
}
