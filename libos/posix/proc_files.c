/* /proc about the process: descriptors, memory, arguments, status. Formats: proc(5). */
#include <core/boot.h>
#include <core/errno.h>
#include <core/fmt.h>
#include <core/page.h>
#include <core/string.h>
#include <core/vm.h>
#include <libos/procfs.h>

#include "fd.h"
#include "info.h"
#include "process.h"

/* ---- arguments ---- */

static const char *program(void)
{
	const char *name = boot_option("name");

	return name ? name : CONFIG_APP_NAME;
}

static void cmdline_show(struct proc_text *t)
{
	char *const *args;
	size_t count = boot_app_args(&args);

	proc_append(t, program(), str_length(program()) + 1);
	for (size_t i = 0; i < count; i++)
		proc_append(t, args[i], str_length(args[i]) + 1);
}
PROC_FILE(cmdline, "self/cmdline", cmdline_show);

static void comm_show(struct proc_text *t)
{
	proc_print(t, "%.15s\n", program());
}
PROC_FILE(comm, "self/comm", comm_show);

static void version_show(struct proc_text *t)
{
	proc_print(t, SYSTEM_NAME " version " SYSTEM_RELEASE " " SYSTEM_VERSION "\n");
}
PROC_FILE(version, "version", version_show);

/* ---- descriptors ---- */

static int next_fd(unsigned from)
{
	for (unsigned fd = from; fd < fd_end(); fd++) {
		if (fd_is_open((int)fd))
			return (int)fd;
	}
	return -ENOENT;
}

/* What has no name says what it is. */
static kssize_t fd_text(unsigned fd, char *buf, size_t size)
{
	struct file *f = fd_get_any((int)fd);
	kssize_t n;

	if (!f)
		return -ENOENT;
	if (file_path(f)) {
		n = vfs_get_path(file_path(f), buf, size);
		n = n > 0 ? n - 1 : n;
	} else if (str_equal(f->ops->kind, "pipe") || str_equal(f->ops->kind, "socket")) {
		n = (kssize_t)fmt_print(buf, size, "%s:[%u]", f->ops->kind, fd);
	} else {
		n = (kssize_t)fmt_print(buf, size, "anon_inode:[%s]", f->ops->kind);
	}
	file_put(f);
	return MIN(n, (kssize_t)size - 1);
}

static int fd_place(unsigned fd, struct path *out)
{
	struct file *f = fd_get_any((int)fd);
	const struct path *p = f ? file_path(f) : NULL;

	if (p) {
		path_get(p);
		*out = *p;
	}
	if (f)
		file_put(f);
	return p ? 0 : f ? -ENXIO : -ENOENT;
}

static const struct proc_numbers descriptors = {
	.next = next_fd, .text = fd_text, .place = fd_place
};
PROC_ENTRY(fd, .path = "self/fd", .numbers = &descriptors);

static int place_of(const struct path *which, struct path *out)
{
	vfs_get_context_path(which, out);
	return 0;
}

static int cwd(struct path *out)
{
	return place_of(&vfs_context()->cwd, out);
}
PROC_ENTRY(cwd, .path = "self/cwd", .place = cwd);

static int root(struct path *out)
{
	return place_of(&vfs_context()->root, out);
}
PROC_ENTRY(root, .path = "self/root", .place = root);

/* ---- memory ---- */

static void print_range(vaddr_t start, vaddr_t end, enum vm_kind kind, unsigned prot, void *arg)
{
	if (kind == VM_ANON)
		proc_print(arg, "%012llx-%012llx %c%c%cp 00000000 00:00 0\n",
			   (unsigned long long)start, (unsigned long long)end, prot & 1 ? 'r' : '-',
			   prot & 2 ? 'w' : '-', prot & 4 ? 'x' : '-');
}

/* What the program has mapped; the image itself is one with the kernel's and has no line. */
static void maps_show(struct proc_text *t)
{
	vm_for_each(print_range, t);
}
PROC_FILE(maps, "self/maps", maps_show);

static void add_range(vaddr_t start, vaddr_t end, enum vm_kind kind, unsigned prot, void *arg)
{
	(void)prot;
	if (kind == VM_ANON)
		*(uint64_t *)arg += (end - start) / PAGE_SIZE;
}

static void statm_show(struct proc_text *t)
{
	struct page_stats pages;
	uint64_t mapped = 0;

	vm_for_each(add_range, &mapped);
	page_stats(&pages);
	proc_print(t, "%llu %zu 0 0 0 %llu 0\n", (unsigned long long)mapped,
		   pages.by_owner[PAGE_ANON], (unsigned long long)mapped);
}
PROC_FILE(statm, "self/statm", statm_show);

/* ---- status ---- */

struct signals {
	uint64_t pending, ignored, caught;
};

static unsigned read_signals(struct signals *s)
{
	irqflags_t flags = spin_lock_irq(&process.lock);
	unsigned threads = process.thread_count;

	*s = (struct signals){ .pending = process.pending };
	for (unsigned i = 0; i < SIGNALS; i++) {
		uintptr_t handler = process.actions[i].handler;

		s->ignored |= (uint64_t)(handler == 1) << i;
		s->caught |= (uint64_t)(handler > 1) << i;
	}
	spin_unlock_irq(&process.lock, flags);
	return threads;
}

static void print_mask(struct proc_text *t, const char *name, uint64_t mask)
{
	proc_print(t, "%s:\t%016llx\n", name, (unsigned long long)mask);
}

static void print_ids(struct proc_text *t, const char *name, uint32_t id)
{
	proc_print(t, "%s:\t%u\t%u\t%u\t%u\n", name, id, id, id, id);
}

static void status_show(struct proc_text *t)
{
	const struct vfs_context *c = vfs_context();
	struct posix_thread *self = posix_thread_current();
	struct page_stats pages;
	struct signals s;
	unsigned threads = read_signals(&s);

	page_stats(&pages);
	proc_print(
		t,
		"Name:\t%.15s\nUmask:\t%04o\nState:\tR (running)\nTgid:\t%d\nPid:\t%d\nPPid:\t0\n",
		program(), c->umask, PROCESS_ID, PROCESS_ID);
	print_ids(t, "Uid", c->uid);
	print_ids(t, "Gid", c->gid);
	proc_print(t, "FDSize:\t%u\nRssAnon:\t%8zu kB\nThreads:\t%u\n", fd_end(),
		   pages.by_owner[PAGE_ANON] * (PAGE_SIZE / 1024), threads);
	print_mask(t, "ShdPnd", s.pending);
	if (self)
		print_mask(t, "SigBlk", self->mask);
	print_mask(t, "SigIgn", s.ignored);
	print_mask(t, "SigCgt", s.caught);
}
PROC_FILE(status, "self/status", status_show);
