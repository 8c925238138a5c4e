/*
 * The order in which storage starts and stops.
 */
#include "storage.h"

#include <errno.h>
#include <stdio.h>

#include "cache.h"
#include "hash.h"
#include "lru.h"
#include "maintainer.h"
#include "memory.h"
#include "restart.h"
#include "settings.h"
#include "slab.h"
#include "table.h"

enum {
	SMALLEST_ITEM = 64,
	CHUNK_MAX_DEFAULT = 512 * 1024,    /* memcached's, of its pages of 1 MiB */
};

/* What was asked for as the largest chunk; 0: whatever suits the pages. */
static size_t chunk_max_asked(void)
{
	size_t usual = settings.item_size_max < CHUNK_MAX_DEFAULT ? settings.item_size_max
								   : CHUNK_MAX_DEFAULT;

	return settings.slab_chunk_max == usual ? 0 : settings.slab_chunk_max;
}

static int slabs_start(void)
{
	size_t chunk_max = chunk_max_asked() ? chunk_max_asked() : memory_page_bytes() / 2;
	int err = slab_start(settings.factor, settings.chunk_size, chunk_max, settings.slab_sizes);

	if (err == -EINVAL)
		fprintf(stderr, "memcached: -o slab_sizes must be numbers that grow, not %s\n",
			settings.slab_sizes);
	return err;
}

int storage_start(void)
{
	int err = memory_start(&settings.memory_limit, chunk_max_asked());

	if (!settings.hash_algorithm)
		settings.hash_algorithm = "keyed";
	if (err == 0)
		err = hash_start(settings.hash_algorithm);
	if (err == 0)
		err = table_start(settings.memory_limit / SMALLEST_ITEM, settings.hash_power);
	if (err == 0)
		err = slabs_start();
	if (err == 0 && settings.track_sizes)
		err = lru_sizes_start(settings.item_size_max);
	if (err < 0)
		return err;
	cache_start();
	if (settings.memory_file)
		restart_load(settings.memory_file);
	return 0;
}

void storage_run(struct stream_loop *loop)
{
	maintainer_start(loop);
}

void storage_stop(void)
{
	if (settings.memory_file)
		restart_save(settings.memory_file);
}

bool storage_limit_set(size_t bytes)
{
	if (!table_expect(bytes / SMALLEST_ITEM) || !memory_limit_set(bytes))
		return false;
	settings.memory_limit = bytes;
	maintainer_wake();
	return true;
}
