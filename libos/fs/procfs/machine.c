/*
 * /proc about the machine: memory, time, harts. Formats: proc(5).
 *
 * Time is told in hundredths of a second. What the idle threads did is the time that was idle. The
 * rest counts as the user's: in an appliance nothing divides the program from what serves it.
 */
#include <core/boot.h>
#include <core/counter.h>
#include <core/fdt.h>
#include <core/hart.h>
#include <core/page.h>
#include <core/string.h>
#include <core/sync.h>
#include <core/thread.h>
#include <core/time.h>
#include <libos/procfs.h>

#define NS_PER_TICK (NSEC_PER_SEC / 100)

static void meminfo_show(struct proc_text *t)
{
	struct page_stats s;
	const struct { const char *name; size_t pages; } lines[] = {
		{ "MemTotal:", (page_stats(&s), s.total_pages) },
		{ "MemFree:", s.free_pages },
		{ "MemAvailable:", s.free_pages },
		{ "Cached:", s.by_owner[PAGE_CACHE] },
		{ "SwapTotal:", 0 },
		{ "SwapFree:", 0 },
		{ "AnonPages:", s.by_owner[PAGE_ANON] },
		{ "Slab:", s.by_owner[PAGE_SLAB] },
		{ "KernelStack:", s.by_owner[PAGE_STACK] },
		{ "PageTables:", s.by_owner[PAGE_TABLE] },
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		proc_print(t, "%-15s %8zu kB\n", lines[i].name,
			   lines[i].pages * (PAGE_SIZE / 1024));
}
PROC_FILE(meminfo, "meminfo", meminfo_show);

struct times {
	uint64_t idle_ns[HARTS_MAX], all_idle_ns;
	unsigned running, threads;
};

static void add_thread(const struct thread_info *info, void *arg)
{
	struct times *times = arg;

	if (str_starts_with(info->name, "idle/")) {
		times->idle_ns[info->hart] += info->ran_ns;
		times->all_idle_ns += info->ran_ns;
	} else if (info->state == THREAD_READY || info->state == THREAD_RUNNING) {
		times->running++;
	}
	times->threads++;
}

static void uptime_show(struct proc_text *t)
{
	struct times times = { 0 };
	uint64_t up = clock_ns() / NS_PER_TICK, idle;

	thread_for_each(add_thread, &times);
	idle = times.all_idle_ns / NS_PER_TICK;
	proc_print(t, "%llu.%02llu %llu.%02llu\n", (unsigned long long)up / 100,
		   (unsigned long long)up % 100, (unsigned long long)idle / 100,
		   (unsigned long long)idle % 100);
}
PROC_FILE(uptime, "uptime", uptime_show);

static void print_cpu(struct proc_text *t, uint64_t total_ns, uint64_t idle_ns)
{
	uint64_t busy = total_ns - MIN(total_ns, idle_ns);

	proc_print(t, " %llu 0 0 %llu 0 0 0 0 0 0\n", (unsigned long long)(busy / NS_PER_TICK),
		   (unsigned long long)(idle_ns / NS_PER_TICK));
}

static void add_counter(const struct counter *c, uint64_t value, void *arg)
{
	struct proc_text *t = arg;

	if (str_equal(c->name, "interrupts"))
		proc_print(t, "intr %llu\n", (unsigned long long)value);
	else if (str_equal(c->name, "sched_switches"))
		proc_print(t, "ctxt %llu\n", (unsigned long long)value);
}

static void stat_show(struct proc_text *t)
{
	struct times times = { 0 };
	uint64_t up = clock_ns(), booted = (clock_wall_ns() - up) / NSEC_PER_SEC;

	thread_for_each(add_thread, &times);
	proc_print(t, "cpu ");
	print_cpu(t, up * hart_count(), times.all_idle_ns);
	for (hart_t h = 0; h < hart_count(); h++) {
		proc_print(t, "cpu%u", (unsigned)h);
		print_cpu(t, up, times.idle_ns[h]);
	}
	counter_for_each(add_counter, t);
	proc_print(t, "btime %llu\nprocesses 1\nprocs_running %u\nprocs_blocked 0\n",
		   (unsigned long long)booted, times.running);
}
PROC_FILE(stat, "stat", stat_show);

/* ---- load ---- */

#define LOAD_STEP_NS (5 * NSEC_PER_SEC)
#define LOAD_ONE     (1u << 16)

/*
 * How many threads were running, averaged over 1, 5 and 15 minutes with weights that decay. Nothing
 * samples that while nobody asks: who reads takes into account how busy the harts were since
 * somebody last did.
 */
static struct {
	struct mutex lock;
	uint64_t at_ns, busy_ns;  /* when that was, and how long harts had been busy by then */
	uint32_t average[3];      /* LOAD_ONE is 1 */
} load = { .lock = MUTEX_INIT(load.lock) };

/* What is left of a weight after `steps` of LOAD_STEP_NS, if one leaves `decay`. */
static uint64_t decayed(uint64_t decay, uint64_t steps)
{
	uint64_t weight = LOAD_ONE;

	for (; steps && weight; steps >>= 1) {
		if (steps & 1)
			weight = weight * decay / LOAD_ONE;
		decay = decay * decay / LOAD_ONE;
	}
	return weight;
}

static void load_update(const struct times *times)
{
	/* e^(-5/60), e^(-5/300), e^(-5/900) */
	static const uint32_t decay[3] = { 60296, 64453, 65173 };
	uint64_t now = clock_ns(), total = now * hart_count(), passed = now - load.at_ns;
	uint64_t busy = total - MIN(total, times->all_idle_ns), recent;

	if (passed < LOAD_STEP_NS)
		return;
	recent = (busy - MIN(busy, load.busy_ns)) / (passed / LOAD_ONE);
	for (unsigned i = 0; i < ARRAY_SIZE(decay); i++) {
		uint64_t kept = decayed(decay[i], passed / LOAD_STEP_NS);

		load.average[i] = (uint32_t)((load.average[i] * kept + recent * (LOAD_ONE - kept)) /
					     LOAD_ONE);
	}
	load.at_ns = now;
	load.busy_ns = busy;
}

static void loadavg_show(struct proc_text *t)
{
	struct times times = { 0 };

	thread_for_each(add_thread, &times);
	mutex_lock(&load.lock);
	load_update(&times);
	for (unsigned i = 0; i < ARRAY_SIZE(load.average); i++)
		proc_print(t, "%u.%02u ", load.average[i] / LOAD_ONE,
			   load.average[i] % LOAD_ONE * 100 / LOAD_ONE);
	mutex_unlock(&load.lock);
	proc_print(t, "%u/%u 1\n", times.running, times.threads);
}
PROC_FILE(loadavg, "loadavg", loadavg_show);

/* The first processor's; harts that differ do not run one image. */
static const char *isa(const struct fdt *f)
{
	fdt_node_t cpus = fdt_find(f, "/cpus");

	for (fdt_node_t n = cpus < 0 ? cpus : fdt_first_child(f, cpus); n >= 0;
	     n = fdt_next_sibling(f, n)) {
		const char *text = fdt_string(f, n, "riscv,isa");

		if (text)
			return text;
	}
	return NULL;
}

static void cpuinfo_show(struct proc_text *t)
{
	const char *text = isa(boot_fdt());

	for (hart_t h = 0; h < hart_count(); h++) {
		proc_print(t, "processor\t: %u\n", (unsigned)h);
		if (text)
			proc_print(t, "isa\t\t: %s\n", text);
		proc_print(t, "mmu\t\t: %s\n\n", IS_ENABLED(CONFIG_SV48) ? "sv48" : "sv39");
	}
}
PROC_FILE(cpuinfo, "cpuinfo", cpuinfo_show);

/* The words with which the machine was started. */
static void cmdline_show(struct proc_text *t)
{
	const struct fdt *f = boot_fdt();
	const char *text = fdt_string(f, fdt_find(f, "/chosen"), "bootargs");

	proc_print(t, "%s\n", text ? text : "");
}
PROC_FILE(cmdline, "cmdline", cmdline_show);
