/*
 * The kernel heap: objects do not overlap, sizes and alignment hold, memory comes back.
 */
#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>
#include <core/test.h>

#define OBJECTS 256

struct object {
	uint8_t *at;
	size_t bytes;
	uint8_t tag;
};

static bool is_filled(const struct object *o)
{
	for (size_t i = 0; i < o->bytes; i++) {
		if (o->at[i] != o->tag)
			return false;
	}
	return true;
}

static size_t random_size(void)
{
	switch (test_random_below(10)) {
	case 0:
		return test_random_below(30000) + 1;
	case 1:
		return test_random_below(9000) + 1;
	default:
		return test_random_below(600) + 1;
	}
}

TEST(kmalloc_objects_never_overlap)
{
	static struct object objects[OBJECTS];

	memset(objects, 0, sizeof(objects));
	for (int step = 0; step < 30000; step++) {
		struct object *o = &objects[test_random_below(OBJECTS)];

		if (o->at) {
			CHECK(is_filled(o));
			kfree(o->at);
			o->at = NULL;
			continue;
		}
		o->bytes = random_size();
		o->tag = (uint8_t)test_random();
		o->at = kmalloc(o->bytes);
		CHECK(o->at && IS_ALIGNED((uintptr_t)o->at, 16));
		CHECK(kmalloc_usable(o->at) >= o->bytes);
		memset(o->at, o->tag, o->bytes);
	}
	for (int i = 0; i < OBJECTS; i++)
		kfree(objects[i].at);
}

TEST(kmalloc_wastes_at_most_half)
{
	for (size_t bytes = 16; bytes <= 8192; bytes += 7) {
		void *p = kmalloc(bytes);

		CHECK(p && kmalloc_usable(p) < 2 * bytes);
		kfree(p);
	}
}

TEST(kzalloc_clears)
{
	for (size_t bytes = 1; bytes < 20000; bytes = bytes * 3 + 1) {
		uint8_t *p = kmalloc(bytes);

		CHECK(p);
		memset(p, 0xff, bytes);
		kfree(p);
		p = kzalloc(bytes);
		CHECK(p);
		for (size_t i = 0; i < bytes; i++)
			CHECK(p[i] == 0);
		kfree(p);
	}
}

struct found {
	const char *name;
	struct kmem_stats stats;
	bool yes;
};

static void find_by_name(const struct kmem_stats *s, void *arg)
{
	struct found *f = arg;

	if (str_equal(s->name, f->name)) {
		f->stats = *s;
		f->yes = true;
	}
}

static struct found find(const char *name)
{
	struct found f = { .name = name };

	kmem_for_each(find_by_name, &f);
	return f;
}

TEST(kmem_cache_counts_and_gives_everything_back)
{
	static void *object[1000];
	struct page_stats before, after;
	struct kmem_cache *c;

	kfree(kmalloc(512)); /* whatever is made once is made now */
	c = kmem_cache_create("test", 200, 64);
	kmem_cache_free(c, kmem_cache_alloc(c));
	kmem_cache_reclaim(c);
	page_stats(&before);
	for (int i = 0; i < 1000; i++) {
		object[i] = kmem_cache_alloc(c);
		CHECK(object[i] && IS_ALIGNED((uintptr_t)object[i], 64));
	}
	CHECK(find("test").yes);
	CHECK_EQ(find("test").stats.in_use, 1000);
	CHECK_EQ(find("test").stats.object_bytes, 256);
	for (int i = 0; i < 1000; i++)
		kmem_cache_free(c, object[i]);
	CHECK_EQ(find("test").stats.in_use, 0);
	kmem_cache_reclaim(c);
	page_stats(&after);
	CHECK(after.free_pages + 8 > before.free_pages);
	kmem_cache_destroy(c);
	CHECK(!find("test").yes);
}

TEST(kmem_cache_takes_large_objects)
{
	struct kmem_cache *c = kmem_cache_create("large", 5000, 16);
	void *p[20];

	for (int i = 0; i < 20; i++) {
		CHECK((p[i] = kmem_cache_alloc_zero(c)));
		memset(p[i], i, 5000);
	}
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(((uint8_t *)p[i])[4999], i);
		kmem_cache_free(c, p[i]);
	}
	kmem_cache_destroy(c);
}

TEST(kmalloc_says_no_when_memory_is_out_and_recovers)
{
	struct page_stats before, after;
	void *chain = NULL, *p, *large;
	size_t count = 0;

	page_stats(&before);
	while ((p = kmalloc(4096))) {
		*(void **)p = chain;
		chain = p;
		count++;
	}
	large = kmalloc(100000);
	while ((p = chain)) {
		chain = *(void **)p;
		kfree(p);
	}
	page_stats(&after);
	CHECK(!large);
	CHECK(count * 4096 > before.free_pages * PAGE_SIZE / 2);
	CHECK(after.free_pages + 64 > before.free_pages);
}
