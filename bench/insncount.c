/*
 * A QEMU plugin that counts the guest's instructions, in all and per translated block.
 *
 * Counts live in a file that is mapped shared, so a benchmark reads them while the guest runs:
 * the difference between two reads is what the guest executed in between. Instructions of the
 * firmware count like all others. A block cut short by a trap counts in full, which is a few
 * instructions per trap.
 *
 * The file: struct counts below. `total` is kept per hart without atomics (each hart writes its
 * own); `at_entry` is the total when the image's first block ran, so that `total - at_entry` leaves
 * out the firmware's own start. Blocks give a profile by function; a block that QEMU translates
 * again gets a second record. Two harts in one block may lose a count of the profile, never of the
 * totals.
 *
 * Built by bench.py with -DPLUGIN_VERSION=1 for QEMU 7.2 to 8.2, 2 for QEMU 9 and newer. Only calls
 * that all of those have are used, declared here since Debian packages no header for them
 * (source: QEMU's documentation of TCG plugins).
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "insncount.h"

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
enum { QEMU_PLUGIN_CB_NO_REGS };
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
					   void (*cb)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  void (*cb)(unsigned vcpu, void *user), int flags,
					  void *user);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);

EXPORT int qemu_plugin_version = PLUGIN_VERSION;

static struct counts *counts;

static uint64_t total(void)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < COUNTS_HARTS; i++)
		sum += counts->total[i * COUNTS_STRIDE];
	return sum;
}

static void block_runs(unsigned vcpu, void *user)
{
	struct counts_block *b = user;
	if (!counts->at_entry && b->vaddr >= IMAGE_ENTRY && b->vaddr < IMAGE_ENTRY_END)
		counts->at_entry = total() + 1;
	counts->total[(vcpu % COUNTS_HARTS) * COUNTS_STRIDE] += b->insns;
	b->runs++;
}

static void block_translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	(void)id;
	/* Past the table's end blocks share its last record: the totals stay exact only per length,
	 * so the table is made far larger than any guest of ours fills. */
	uint64_t i = __atomic_fetch_add(&counts->blocks_used, 1, __ATOMIC_RELAXED);
	struct counts_block *b = &counts->blocks[i < COUNTS_BLOCKS ? i : COUNTS_BLOCKS - 1];
	b->vaddr = qemu_plugin_tb_vaddr(tb);
	b->insns = qemu_plugin_tb_n_insns(tb);
	qemu_plugin_register_vcpu_tb_exec_cb(tb, block_runs, QEMU_PLUGIN_CB_NO_REGS, b);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	const char *path = NULL;
	(void)info;
	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], "out=", 4))
			path = argv[i] + 4;
	if (!path)
		return -1;
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || ftruncate(fd, sizeof(*counts)))
		return -1;
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (counts == MAP_FAILED)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, block_translated);
	return 0;
}
