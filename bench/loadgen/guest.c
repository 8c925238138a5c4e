/*
 * The guest that the server runs in, seen from outside: its instructions, and its emulator's
 * threads.
 *
 * With the emulator's process known, lockstep is exact however busy this machine is:
 *   settle   nothing is sent, and no reply read, before every thread of the emulator sleeps and no
 *            instruction was counted in between, so that each round finds an idle guest, and this
 *            side acknowledges the same segments each time;
 *   hold     the emulator is stopped (SIGSTOP) while a round of requests is sent, and finds all of
 *            them waiting when it goes on, as under load, instead of a number that depends on who
 *            ran.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../insncount.h"
#include "loadgen.h"

#define THREADS_MAX 64
/* a guest that works on its own is not waited for */
#define SETTLE_NS   (2 * 1000000000ull)
#define LOOK_NS     20000

struct thread {
	int id;
	char name[32], state;
	double seconds;                 /* of processor time */
};

static const struct counts *counts;
static struct thread before[THREADS_MAX], after[THREADS_MAX];
static unsigned threads;
static uint64_t insns_before, insns_after, idle_insns;
static double idle_span, own_before, own_after;

static void pause_ns(uint64_t ns)
{
	struct timespec t = {
		.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)
	};
	nanosleep(&t, NULL);
}

static uint64_t instructions(void)
{
	uint64_t sum = 0;
	for (unsigned i = 0; counts && i < COUNTS_HARTS; i++)
		sum += ((const volatile uint64_t *)counts->total)[i * COUNTS_STRIDE];
	return sum;
}

/* ---- threads of the emulator ---- */

static bool read_thread(struct thread *t)
{
	char path[64], text[512], *name_end;
	unsigned long user, system;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)opt.guest, t->id);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	name_end = strrchr(text, ')');
	if (!name_end || sscanf(text, "%*d (%31[^)]", t->name) != 1 ||
	    sscanf(name_end + 2, "%c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &t->state,
		   &user, &system) != 3)
		return false;
	t->seconds = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
	return true;
}

static unsigned list_threads(struct thread *list)
{
	char path[64];
	unsigned n = 0;
	struct dirent *e;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)opt.guest);
	DIR *d = opendir(path);
	if (!d)
		die(path);
	while (n < THREADS_MAX && (e = readdir(d)) != NULL) {
		list[n].id = atoi(e->d_name);
		n += list[n].id > 0 && read_thread(&list[n]);
	}
	closedir(d);
	return n;
}

static bool all_threads_are(const char *states)
{
	struct thread list[THREADS_MAX];
	unsigned n = list_threads(list);
	for (unsigned i = 0; i < n; i++)
		if (!strchr(states, list[i].state))
			return false;
	return true;
}

/* ---- what the runs use ---- */

void guest_begin(void)
{
	if (!opt.counts)
		return;
	int fd = open(opt.counts, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(opt.counts);
	counts = mmap(NULL, sizeof(*counts), PROT_READ, MAP_SHARED, fd, 0);
	if (counts == MAP_FAILED)
		die("mmap");
	close(fd);
}

void guest_settle(void)
{
	uint64_t deadline = now_ns() + SETTLE_NS, seen;
	if (!opt.guest)
		return;
	do {
		seen = instructions();
		pause_ns(LOOK_NS);
	} while ((!all_threads_are("S") || instructions() != seen) && now_ns() < deadline);
}

void guest_hold(void)
{
	if (!opt.guest)
		return;
	if (kill(opt.guest, SIGSTOP))
		die("stopping the emulator");
	while (!all_threads_are("T"))
		pause_ns(LOOK_NS);
}

void guest_release(void)
{
	if (opt.guest)
		kill(opt.guest, SIGCONT);
}

static double own_seconds(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* The counts as they are now, for a profile of what ran between two of them. */
static void write_snapshot(const char *suffix)
{
	char path[4096];
	if (!opt.snapshots)
		return;
	snprintf(path, sizeof(path), "%s.%s", opt.snapshots, suffix);
	FILE *f = fopen(path, "wb");
	uint64_t blocks = counts->blocks_used < COUNTS_BLOCKS ? counts->blocks_used : COUNTS_BLOCKS;
	size_t len = offsetof(struct counts, blocks) + blocks * sizeof(struct counts_block);
	if (!f || fwrite(counts, len, 1, f) != 1 || fclose(f))
		die(path);
}

void guest_mark_start(void)
{
	guest_settle();
	if (opt.guest)
		threads = list_threads(before);
	if (counts)
		write_snapshot("before");
	own_before = own_seconds();
	insns_before = instructions();
}

/* Also watches the guest for a while with every connection open and nothing to do. */
void guest_mark_end(void)
{
	own_after = own_seconds();
	if (opt.guest)
		list_threads(after);
	guest_settle();
	insns_after = instructions();
	if (!counts)
		return;
	write_snapshot("after");
	if (opt.stall)
		staller_ask();
	pause_ns(200000000);            /* delayed acknowledgements */
	uint64_t start = now_ns(), at_start = instructions();
	pause_ns((uint64_t)(opt.idle_seconds * 1e9));
	idle_insns = instructions() - at_start;
	idle_span = (double)(now_ns() - start) / 1e9;
}

void guest_print(double seconds, double requests)
{
	printf(", \"own_share\": %.3f", (own_after - own_before) / seconds);
	if (opt.guest) {
		printf(", \"threads\": [");
		for (unsigned i = 0, n = 0; i < threads; i++)
			if (after[i].id == before[i].id)
				printf("%s{\"name\": \"%s\", \"share\": %.3f}", n++ ? ", " : "",
				       after[i].name,
				       (after[i].seconds - before[i].seconds) / seconds);
		printf("]");
	}
	if (counts) {
		double idle = idle_span > 0 ? (double)idle_insns / idle_span : 0;
		double all = (double)(insns_after - insns_before);
		printf(", \"instructions\": %.0f, \"idle_per_s\": %.0f, \"per_request\": %.1f", all,
		       idle, (all - idle * seconds) / requests);
	}
}
