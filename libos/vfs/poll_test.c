/* Poll queues and copies through vectors. */
#include <core/errno.h>
#include <core/string.h>
#include <core/test.h>
#include <libos/poll.h>
#include <libos/uio.h>

static uint32_t seen_events;
static int seen_count;

static void remember(struct poll_watch *w, uint32_t events)
{
	(void)w;
	seen_events |= events;
	seen_count++;
}

TEST(poll_watch_hears_what_it_asked_for_and_errors)
{
	struct poll_watch w = { .events = POLL_IN, .notify = remember };
	struct poll_queue q;

	poll_queue_init(&q);
	poll_watch_add(&q, &w);
	seen_count = 0;
	poll_notify(&q, POLL_OUT);
	CHECK_EQ(seen_count, 0);
	poll_notify(&q, POLL_IN);
	CHECK_EQ(seen_count, 1);
	poll_notify(&q, POLL_ERR);
	CHECK_EQ(seen_count, 2);
	poll_watch_remove(&w);
	poll_watch_remove(&w); /* again: harmless */
	poll_notify(&q, POLL_IN);
	CHECK_EQ(seen_count, 2);
	poll_queue_destroy(&q);
}

TEST(poll_queue_that_ends_tells_its_watches)
{
	struct poll_watch w = { .events = POLL_IN, .notify = remember };
	struct poll_queue q;

	poll_queue_init(&q);
	poll_watch_add(&q, &w);
	seen_events = 0;
	poll_queue_destroy(&q);
	CHECK_EQ(seen_events, POLL_HUP);
	CHECK(!w.queue);
	poll_watch_remove(&w);
}

TEST(uio_goes_through_vectors_of_any_length)
{
	for (int round = 0; round < 200; round++) {
		uint8_t source[600], target[600] = { 0 };
		struct uio_vec vecs[8];
		size_t total = 0, done = 0;

		for (size_t i = 0; i < ARRAY_SIZE(vecs); i++) {
			vecs[i] = (struct uio_vec){ target + total, test_random() % 70 };
			total += vecs[i].len;
		}
		for (size_t i = 0; i < sizeof(source); i++)
			source[i] = (uint8_t)(i * 7 + 1);

		struct uio u = {
		    .vecs = vecs, .vec_count = ARRAY_SIZE(vecs), .left = total, .offset = 0};

		while (done < total) {
			size_t want = test_random() % 90 + 1;
			kssize_t n =
			    uio_copy_out(&u, source + done, MIN(want, sizeof(source) - done));

			CHECK_EQ(n, MIN(want, total - done));
			done += (size_t)n;
		}
		CHECK_EQ(uio_copy_out(&u, source, 1), 0);
		CHECK_EQ(u.offset, total);
		CHECK(!memcmp(source, target, total));
	}
}

TEST(user_strings_are_measured)
{
	static const char five[16] = "seven", seven[16] = "sevenex", eight[16] = "sevenext";
	char copy[8];

	CHECK_EQ(user_read_string(copy, five, sizeof(copy)), 5);
	CHECK_EQ(user_read_string(copy, seven, sizeof(copy)), 7);
	CHECK_EQ(user_read_string(copy, eight, sizeof(copy)), -ENAMETOOLONG);
}
