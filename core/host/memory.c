/*
 * Memory of the machine contract on the host: RAM is a shared memory file, mapped once as the
 * direct map and again wherever arch_map() puts a piece of it.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <core/arch.h>
#include <core/errno.h>
#include <core/vm.h>
#include "host.h"
#include "memory.h"

#define MAPPINGS_MAX 4096
#define AREA_BYTES   GIB(1)  /* the addresses that core/mm/vm.c gives out */
#define MAPPED       0x100u /* in prot, so that a page without access is an entry too */

struct mapping {
	vaddr_t va;
	paddr_t pa;
	unsigned prot; /* 0: free entry */
};

uint8_t *host_ram;
static int ram_fd;
static vaddr_t area;
static struct mapping mappings[MAPPINGS_MAX]; /* one per page */

void host_memory_init(void)
{
	ram_fd = memfd_create("ram", 0);
	if (ram_fd < 0 || ftruncate(ram_fd, (off_t)HOST_RAM_BYTES) != 0)
		abort();
	host_ram = mmap(NULL, HOST_RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, ram_fd, 0);
	if (host_ram == MAP_FAILED)
		abort();
	area = (vaddr_t)mmap(NULL, AREA_BYTES, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if ((void *)area == MAP_FAILED)
		abort();
	memset(host_ram, 0xa5, MIB(4)); /* RAM is not zero at boot */
}

/*
 * For a child process that a test has forked: RAM as it is now, of its own from here on. Pages that
 * are mapped elsewhere stay shared, so it is for tests that map none.
 */
void host_memory_detach(void)
{
	if (mmap(host_ram, HOST_RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, ram_fd,
		 0) == MAP_FAILED)
		abort();
}

static struct mapping *find(vaddr_t va)
{
	for (size_t i = 0; i < MAPPINGS_MAX; i++) {
		if (mappings[i].prot && mappings[i].va == va)
			return &mappings[i];
	}
	return NULL;
}

static struct mapping *find_free(void)
{
	for (size_t i = 0; i < MAPPINGS_MAX; i++) {
		if (!mappings[i].prot)
			return &mappings[i];
	}
	return NULL;
}

static int host_prot(unsigned prot)
{
	return (prot & MAP_R ? PROT_READ : 0) | (prot & MAP_W ? PROT_WRITE : 0);
}

static int map_page(vaddr_t va, paddr_t pa, unsigned prot)
{
	struct mapping *m = find_free();

	if (find(va))
		return -EEXIST;
	if (!m)
		return -ENOMEM;
	if (mmap((void *)va, PAGE_SIZE, host_prot(prot), MAP_SHARED | MAP_FIXED, ram_fd,
		 (off_t)(pa - HOST_RAM_START)) == MAP_FAILED)
		return -ENOMEM;
	*m = (struct mapping){ va, pa, prot | MAPPED };
	return 0;
}

int arch_map(vaddr_t va, paddr_t pa, size_t len_bytes, unsigned prot)
{
	for (size_t done = 0; done < len_bytes; done += PAGE_SIZE) {
		int err = map_page(va + done, pa + done, prot);

		if (err) {
			arch_unmap(va, done);
			return err;
		}
	}
	return 0;
}

void arch_unmap(vaddr_t va, size_t len_bytes)
{
	for (size_t done = 0; done < len_bytes; done += PAGE_SIZE) {
		struct mapping *m = find(va + done);

		if (!m)
			continue;
		mmap((void *)m->va, PAGE_SIZE, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
		m->prot = 0;
	}
}

int arch_protect(vaddr_t va, size_t len_bytes, unsigned prot)
{
	for (size_t done = 0; done < len_bytes; done += PAGE_SIZE) {
		struct mapping *m = find(va + done);

		if (!m)
			continue;
		mprotect((void *)m->va, PAGE_SIZE, host_prot(prot));
		m->prot = prot | MAPPED;
	}
	return 0;
}

vaddr_t arch_next_mapped(vaddr_t va, vaddr_t end)
{
	while (va < end && !find(va))
		va += PAGE_SIZE;
	return va;
}

vaddr_t arch_vm_area(size_t *len_bytes)
{
	*len_bytes = AREA_BYTES;
	return area;
}

void arch_flush_here(vaddr_t va)
{
	(void)va;
}

bool arch_translate(vaddr_t va, paddr_t *pa, unsigned *prot)
{
	struct mapping *m = find(ALIGN_DOWN(va, PAGE_SIZE));

	if (!m)
		return false;
	if (pa)
		*pa = m->pa + (va & ~PAGE_MASK);
	if (prot)
		*prot = m->prot & ~MAPPED;
	return true;
}

size_t arch_copy_faultable(void *dst, const void *src, size_t len_bytes)
{
	memcpy(dst, src, len_bytes);
	return 0;
}
