/* /proc about block devices. Formats: proc(5), and the kernel's admin-guide/iostats.rst. */
#include <libos/blkdev.h>
#include <libos/procfs.h>

static void partitions_show(struct proc_text *t)
{
	proc_print(t, "major minor  #blocks  name\n\n");
	for (struct blkdev *d = blkdev_next(NULL); d; d = blkdev_next(d)) {
		proc_print(t, "%4u  %7u %10llu %s\n", d->major, d->minor,
			   (unsigned long long)(d->bytes / 1024), d->name);
	}
}
PROC_FILE(partitions, "partitions", partitions_show);

/*
 * Merges are not told apart by direction, nor is time measured: both are 0, as with a Linux that
 * keeps no statistics.
 */
static void diskstats_show(struct proc_text *t)
{
	for (struct blkdev *d = blkdev_next(NULL); d; d = blkdev_next(d)) {
		const struct blk_stats *s = &d->stats;

		proc_print(t,
			   "%4u %7u %s %llu 0 %llu 0 %llu 0 %llu 0 %u 0 0 %llu 0 %llu 0 %llu 0\n",
			   d->major, d->minor, d->name, (unsigned long long)s->requests[BLK_READ],
			   (unsigned long long)s->bytes[BLK_READ] / 512,
			   (unsigned long long)s->requests[BLK_WRITE],
			   (unsigned long long)s->bytes[BLK_WRITE] / 512, d->in_flight,
			   (unsigned long long)s->requests[BLK_DISCARD],
			   (unsigned long long)s->bytes[BLK_DISCARD] / 512,
			   (unsigned long long)s->requests[BLK_FLUSH]);
	}
}
PROC_FILE(diskstats, "diskstats", diskstats_show);
