/* Pipes against a model, and what their ends tell each other. */
#include <core/errno.h>
#include <core/string.h>
#include <core/test.h>
#include <libos/abi.h>

#include "vfs.h"

static kssize_t transfer(struct file *f, void *buf, size_t len, bool reading)
{
	struct uio_vec vec = { buf, len };
	struct uio u = { .vecs = &vec, .vec_count = 1, .left = len, .offset = -1 };

	return reading ? f->ops->read(f, &u) : f->ops->write(f, &u);
}

TEST(pipe_keeps_bytes_in_order_whatever_the_sizes)
{
	static uint8_t buf[KIB(20)];
	uint64_t written = 0, read = 0;
	struct file *ends[2];

	CHECK_EQ(pipe_create(0, ends), 0);
	for (int i = 0; i < 2000; i++) {
		size_t len = test_random() % sizeof(buf) + 1;
		bool reading = test_random() % 2;
		kssize_t n;

		for (size_t j = 0; j < len; j++)
			buf[j] = (uint8_t)((written + j) * 31 >> 3);
		n = transfer(ends[reading ? 0 : 1], buf, len, reading);
		if (n == -EAGAIN) {
			CHECK(reading
				  ? written == read
				  : written - read + MIN(len, KIB(4)) > KIB(64) || len > KIB(4));
			continue;
		}
		CHECK(n > 0);
		for (kssize_t j = 0; reading && j < n; j++)
			CHECK_EQ(buf[j], (uint8_t)((read + (uint64_t)j) * 31 >> 3));
		*(reading ? &read : &written) += (uint64_t)n;
		CHECK(written - read <= KIB(64));
	}
	file_put(ends[0]);
	file_put(ends[1]);
}

TEST(pipe_writes_small_pieces_whole_or_not_at_all)
{
	static uint8_t buf[KIB(62)];
	struct file *ends[2];

	CHECK_EQ(pipe_create(0, ends), 0);
	CHECK_EQ(transfer(ends[1], buf, KIB(62), false), KIB(62));
	CHECK_EQ(transfer(ends[1], buf, KIB(4), false), -EAGAIN);
	CHECK_EQ(ends[1]->ops->poll(ends[1]) & POLL_OUT, 0);
	CHECK_EQ(transfer(ends[1], buf, KIB(5), false), KIB(2)); /* a larger one may be cut */
	file_put(ends[0]);
	file_put(ends[1]);
}

TEST(pipe_tells_when_the_other_end_is_closed)
{
	struct file *ends[2];
	char byte = 'x';

	CHECK_EQ(pipe_create(0, ends), 0);
	CHECK_EQ(transfer(ends[1], &byte, 1, false), 1);
	file_put(ends[1]);
	CHECK_EQ(ends[0]->ops->poll(ends[0]), POLL_IN | POLL_HUP);
	CHECK_EQ(transfer(ends[0], &byte, 1, true), 1);
	CHECK_EQ(transfer(ends[0], &byte, 1, true), 0);
	file_put(ends[0]);

	CHECK_EQ(pipe_create(0, ends), 0);
	file_put(ends[0]);
	CHECK_EQ(transfer(ends[1], &byte, 1, false), -EPIPE);
	CHECK(ends[1]->ops->poll(ends[1]) & POLL_ERR);
	file_put(ends[1]);
}
