/*
 * A write whose second half cannot be read from its caller. In QEMU only: on the host a bad pointer
 * ends the run.
 */
#include <core/string.h>
#include <core/test.h>

#include "cache_rig.h"

static uint8_t buf[5000], back[KIB(16)];

TEST(cache_write_of_a_bad_pointer_leaves_what_the_disk_has)
{
	struct rig_disk *d = rig_disk();
	struct rig_file *f = rig_file_new(d, 4096);
	struct uio_vec vecs[] = { { buf, 5000 }, { NULL, 8000 } };
	struct uio u = { .vecs = vecs, .vec_count = 2, .left = 13000, .offset = 0 };

	rig_file_fill(f, 0, KIB(16));
	memset(buf, 'n', 5000);
	/* the page that was to be overwritten as a whole does not count */
	CHECK_EQ(cache_write(&f->cache, &u), 4096);
	CHECK_EQ(u.offset, 4096);
	CHECK_EQ(rig_read(f, back, KIB(16), 0, NULL), KIB(16));
	CHECK(!memcmp(back, buf, 4096) && back[4096] == rig_byte(4096) &&
	      back[8191] == rig_byte(8191));
	CHECK_EQ(f->open_handles, 0);
	rig_file_free(f);
}
