/* The descriptor table against a model, to sizes that servers reach. */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/test.h>

#include "fd.h"

#define MANY 12000

static int released;

static void count_release(struct file *f)
{
	released++;
	kfree(f);
}

static const struct file_ops ops = { .kind = "test", .release = count_release };

static int install(int lowest)
{
	return fd_install(file_create(&ops, NULL, 0), false, lowest);
}

/* The numbers that other tests, or the program, hold are left alone. */
static int first_free(void)
{
	int fd = install(0);

	fd_close(fd);
	return fd;
}

TEST(fd_is_the_lowest_free_number)
{
	int base = first_free();

	for (int i = 0; i < 10; i++)
		CHECK_EQ(install(0), base + i);
	CHECK_EQ(fd_close(base + 7), 0);
	CHECK_EQ(fd_close(base + 3), 0);
	CHECK_EQ(fd_close(base + 3), -EBADF);
	CHECK_EQ(install(base + 5), base + 7);
	CHECK_EQ(install(0), base + 3);
	CHECK_EQ(install(0), base + 10);
	for (int i = 0; i <= 10; i++)
		CHECK_EQ(fd_close(base + i), 0);
}

TEST(fd_table_grows_and_keeps_what_it_holds)
{
	int base = first_free();
	unsigned limit = fd_limit();

	released = 0;
	fd_set_limit((unsigned)base + MANY);
	for (int i = 0; i < MANY; i++)
		CHECK_EQ(install(0), base + i);
	CHECK_EQ(install(0), -EMFILE);
	CHECK_EQ(released, 1); /* the one that found no place */
	for (int i = 0; i < MANY; i++) {
		struct file *f = fd_get(base + i);

		CHECK(f && f->refs == 2);
		file_put(f);
		CHECK_EQ(fd_close(base + i), 0);
	}
	CHECK_EQ(released, MANY + 1);
	fd_set_limit(limit);
}

TEST(fd_replace_closes_what_was_there)
{
	int fd = install(0);
	bool close_on_exec;

	released = 0;
	CHECK_EQ(fd_replace(fd, file_create(&ops, NULL, 0), true), fd);
	CHECK_EQ(released, 1);
	CHECK_EQ(fd_flags(fd, &close_on_exec), 0);
	CHECK(close_on_exec);
	CHECK_EQ(fd_close(fd), 0);
	CHECK_EQ(fd_replace(-1, file_create(&ops, NULL, 0), false), -EBADF);
	CHECK_EQ(released, 3);
	CHECK(!fd_get(fd) && !fd_get(-1) && !fd_get(1 << 30));
}

TEST(fd_table_agrees_with_a_model)
{
	static bool open[300];
	int base = first_free();

	for (int i = 0; i < 5000; i++) {
		int n = (int)(test_random() % ARRAY_SIZE(open)), lowest = 0;

		if (test_random() % 2) {
			CHECK_EQ(fd_close(base + n), open[n] ? 0 : -EBADF);
			open[n] = false;
			continue;
		}
		while (lowest < (int)ARRAY_SIZE(open) && open[lowest])
			lowest++;
		if (lowest == (int)ARRAY_SIZE(open))
			continue;
		CHECK_EQ(install(0), base + lowest);
		open[lowest] = true;
	}
	for (size_t n = 0; n < ARRAY_SIZE(open); n++)
		if (open[n])
			fd_close(base + (int)n);
}

TEST(fd_reserved_numbers_are_nobodys_until_they_are_filled)
{
	struct file *f = file_create(&ops, NULL, 0), *g = file_create(&ops, NULL, 0);
	int fd = fd_reserve(true), other;

	CHECK(fd >= 0 && !fd_is_open(fd) && !fd_get(fd));
	CHECK_EQ(fd_close(fd), -EBADF);
	CHECK_EQ(fd_replace(fd, g, false), -EBUSY);
	other = fd_reserve(false);
	CHECK(other > fd);
	fd_fill(other, NULL);
	fd_fill(fd, f);
	CHECK(fd_is_open(fd));
	CHECK_EQ(fd_reserve(false), other); /* given back, it is the lowest again */
	fd_fill(other, NULL);
	CHECK_EQ(fd_close(fd), 0);
}
