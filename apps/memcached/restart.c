/*
 * Writing the cache to the memory file and reading it back. The format is restart.h's.
 *
 * Items are written list by list, each list from its old end on, so that reading them back in the
 * same order makes the same lists. The block lies in static memory: at the stop of a full cache on
 * a small machine there may be none to be had.
 *
 * -m is not among the settings that must be as they were: on a machine with less memory than it
 * asks for it is not the same from start to start. A smaller cache evicts while it loads.
 */
#include "restart.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache.h"
#include "hash.h"
#include "lru.h"
#include "settings.h"
#include "slab.h"
#include "table.h"

static const char MAGIC[8] = { 'K', 'i', 'l', 'n', 'M', 'e', 'm', 'c' };
static const uint8_t FLAGS_KEPT = ITEM_KEY_BINARY | ITEM_FETCHED | ITEM_ACTIVE | ITEM_STALE |
				  ITEM_TOKEN_SENT;

/* A file being read or written. */
struct memory_file {
	int fd;
	uint32_t number;           /* of the block */
	size_t at;                 /* in its payload */
	const char *problem;       /* NULL: none so far */
};

static struct restart_block block __attribute__((aligned(4096)));
static char header_bytes[RESTART_HEADER_BYTES] __attribute__((aligned(4096)));

/* Notices damage; no defence against somebody who can write the file. */
static uint64_t checksum(const void *data, size_t len)
{
	const char *p = data;
	uint64_t sum = len, word;

	for (; len > 0; p += sizeof(word)) {
		size_t n = len < sizeof(word) ? len : sizeof(word);

		word = 0;
		memcpy(&word, p, n);
		sum = (sum ^ word) * 0x9e3779b97f4a7c15;
		sum ^= sum >> 29;
		len -= n;
	}
	return sum;
}

static uint64_t header_sum(const struct restart_header *h)
{
	return checksum(h, offsetof(struct restart_header, sum));
}

static uint64_t block_sum(void)
{
	return checksum(&block.number, sizeof(block) - offsetof(struct restart_block, number));
}

/* All of it, or a problem. */
static bool write_at(struct memory_file *f, const void *data, size_t len, uint64_t offset)
{
	const char *p = data;

	while (len > 0 && !f->problem) {
		ssize_t n = pwrite(f->fd, p, len, (off_t)offset);

		if (n > 0) {
			p += n;
			len -= (size_t)n;
			offset += (uint64_t)n;
		} else if (n == 0 || errno != EINTR) {
			f->problem = n == 0 || errno == ENOSPC ? "is too small for the cache"
							       : "cannot be written";
		}
	}
	return !f->problem;
}

static bool read_at(struct memory_file *f, void *data, size_t len, uint64_t offset)
{
	char *p = data;

	while (len > 0 && !f->problem) {
		ssize_t n = pread(f->fd, p, len, (off_t)offset);

		if (n > 0) {
			p += n;
			len -= (size_t)n;
			offset += (uint64_t)n;
		} else if (n == 0 || errno != EINTR) {
			f->problem = n == 0 ? "is cut short" : "cannot be read";
		}
	}
	return !f->problem;
}

static bool header_write(struct memory_file *f, const struct restart_header *h)
{
	memset(header_bytes, 0, sizeof(header_bytes));
	memcpy(header_bytes, h, sizeof(*h));
	if (!write_at(f, header_bytes, sizeof(header_bytes), 0))
		return false;
	if (fsync(f->fd) < 0)
		f->problem = "cannot be written";
	return !f->problem;
}

static uint64_t block_offset(const struct memory_file *f)
{
	return RESTART_HEADER_BYTES + (uint64_t)f->number * RESTART_BLOCK_BYTES;
}

/* ---- writing ---- */

static bool block_write(struct memory_file *f)
{
	block.number = f->number;
	block.len = (uint32_t)f->at;
	memset(block.payload + f->at, 0, sizeof(block.payload) - f->at);
	block.sum = block_sum();
	if (!write_at(f, &block, sizeof(block), block_offset(f)))
		return false;
	f->number++;
	f->at = 0;
	return true;
}

static void put(struct memory_file *f, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0 && !f->problem) {
		size_t room = sizeof(block.payload) - f->at, n = len < room ? len : room;

		memcpy(block.payload + f->at, p, n);
		f->at += n;
		p += n;
		len -= n;
		if (f->at == sizeof(block.payload))
			block_write(f);
	}
}

static void put_item(struct memory_file *f, const struct item *it)
{
	struct restart_item r = {
		.cas = item_cas(it), .value_len = it->value_len,
		.client_flags = item_client_flags(it), .expires = it->expires,
		.last_used = clock_now - item_idle(it), .key_len = it->key_len,
		.flags = it->flags & FLAGS_KEPT, .segment = (uint8_t)item_segment(it),
	};
	struct item_span span;

	put(f, &r, sizeof(r));
	put(f, item_key(it), it->key_len);
	for (span = item_span_first(it); span.len > 0; span = item_span_next(span))
		put(f, span.data, span.len);
}

static uint64_t put_all(struct memory_file *f)
{
	uint64_t items = 0;

	for (unsigned list = LRU_SEGMENTS; list < (slab_classes() + 1) * LRU_SEGMENTS; list++) {
		struct item *it = lru_oldest(list / LRU_SEGMENTS,
					     (enum lru_segment)(list % LRU_SEGMENTS));

		for (; it && !f->problem; it = it->newer) {
			if (cache_is_dead(it))
				continue;
			put_item(f, it);
			items++;
		}
	}
	if (f->at > 0 && !f->problem)
		block_write(f);
	return items;
}

static void save(struct memory_file *f)
{
	struct restart_header h = {
		.version = RESTART_VERSION, .state = RESTART_OPEN,
		.item_size_max = settings.item_size_max, .use_cas = settings.use_cas,
		.flush_due = cache_flush_due(), .origin = clock_origin(),
		.last_cas = cache_last_cas(),
	};

	memcpy(h.magic, MAGIC, sizeof(h.magic));
	if (!header_write(f, &h))
		return;
	h.items = put_all(f);
	h.blocks = f->number;
	if (f->problem)
		return;
	if (fsync(f->fd) < 0) {
		f->problem = "cannot be written";
		return;
	}
	h.state = RESTART_COMPLETE; /* from here on there is a cache in the file */
	h.sum = header_sum(&h);
	header_write(f, &h);
}

void restart_save(const char *path)
{
	struct memory_file f = { .fd = open(path, O_RDWR | O_CREAT, 0600) };

	clock_update();
	if (f.fd < 0)
		f.problem = "cannot be opened";
	else
		save(&f);
	if (f.problem)
		fprintf(stderr, "memcached: -e %s %s: nothing saved\n", path, f.problem);
	if (f.fd >= 0)
		close(f.fd);
}

/* ---- reading ---- */

static bool block_read(struct memory_file *f, uint64_t blocks)
{
	if (f->number >= blocks) {
		f->problem = "ends in the middle of an item";
		return false;
	}
	if (!read_at(f, &block, sizeof(block), block_offset(f)))
		return false;
	if (block.sum != block_sum() || block.number != f->number || block.len == 0 ||
	    block.len > sizeof(block.payload)) {
		f->problem = "is damaged";
		return false;
	}
	f->number++;
	f->at = 0;
	return true;
}

/* The next `len` bytes of the items; `to` NULL skips them. */
static bool take(struct memory_file *f, uint64_t blocks, void *to, size_t len)
{
	char *p = to;

	while (len > 0) {
		size_t n;

		if (f->at == block.len && !block_read(f, blocks))
			return false;
		n = block.len - f->at < len ? block.len - f->at : len;
		if (p) {
			memcpy(p, block.payload + f->at, n);
			p += n;
		}
		f->at += n;
		len -= n;
	}
	return true;
}

static bool key_is_valid(const char *key, size_t len, bool binary)
{
	for (size_t i = 0; i < len && !binary; i++) {
		if ((uint8_t)key[i] <= ' ' || key[i] == 0x7f)
			return false;
	}
	return true;
}

static bool item_is_valid(const struct restart_item *r, const char *key)
{
	return key_is_valid(key, r->key_len, r->flags & ITEM_KEY_BINARY) &&
	       !(r->flags & ~FLAGS_KEPT) && r->segment < LRU_SEGMENTS && r->value_len >= 2 &&
	       r->last_used <= clock_now &&
	       item_size_is_allowed(r->key_len, r->client_flags, r->value_len);
}

/* Reads the value of a new item and puts the item into the cache. */
static bool item_load(struct memory_file *f, uint64_t blocks, struct item *it,
		      const struct restart_item *r)
{
	uint32_t hash = key_hash(item_key(it), it->key_len);
	struct item_span span;
	bool ok = true;

	for (span = item_span_first(it); ok && span.len > 0; span = item_span_next(span))
		ok = take(f, blocks, span.data, span.len);
	if (ok && (!item_is_terminated(it) || table_find(item_key(it), it->key_len, hash))) {
		f->problem = "holds an item that cannot be";
		ok = false;
	}
	if (ok) {
		it->flags |= r->flags;
		cache_restore(it, r->cas, r->last_used, (enum lru_segment)r->segment, hash);
	}
	item_release(it);
	return ok;
}

static bool item_take(struct memory_file *f, uint64_t blocks)
{
	struct restart_item r;
	char key[KEY_MAX];
	struct item *it;

	if (!take(f, blocks, &r, sizeof(r)))
		return false;
	if (r.key_len == 0 || r.key_len > KEY_MAX) {
		f->problem = "holds an item that cannot be";
		return false;
	}
	if (!take(f, blocks, key, r.key_len))
		return false;
	if (!item_is_valid(&r, key)) {
		f->problem = "holds an item that cannot be";
		return false;
	}
	it = r.expires != 0 && r.expires <= clock_now
		     ? NULL
		     : item_new(key, r.key_len, r.client_flags, r.expires, r.value_len);
	if (!it) /* expired meanwhile, or no room */
		return take(f, blocks, NULL, r.value_len);
	return item_load(f, blocks, it, &r);
}

/* Reads the header. NULL: it announces a cache that fits here; else what is wrong. */
static const char *header_check(struct memory_file *f, struct restart_header *h)
{
	if (!read_at(f, header_bytes, sizeof(header_bytes), 0))
		return f->problem;
	memcpy(h, header_bytes, sizeof(*h));
	if (memcmp(h->magic, MAGIC, sizeof(h->magic)) != 0)
		return "is not a memory file";
	if (h->version != RESTART_VERSION)
		return "is of another version";
	if (h->state != RESTART_COMPLETE)
		return "holds no cache of a clean stop";
	if (h->sum != header_sum(h))
		return "is damaged";
	if (h->item_size_max != settings.item_size_max || h->use_cas != settings.use_cas)
		return "was written with another -I or -C";
	if (!clock_continue(h->origin))
		return "comes from the future";
	return NULL;
}

static void items_take(struct memory_file *f, const struct restart_header *h)
{
	block.len = 0;
	for (uint64_t n = 0; n < h->items; n++) {
		if (!item_take(f, h->blocks)) {
			cache_drop_all();
			return;
		}
	}
	cache_set_flush_due(h->flush_due);
}

/* A file that is not there yet, or holds nothing, is a first start. */
static bool file_is_new(int fd)
{
	struct stat st;

	return fd < 0 ? errno == ENOENT
		      : fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0;
}

void restart_load(const char *path)
{
	struct memory_file f = { .fd = open(path, O_RDWR) };
	struct restart_header h;

	if (file_is_new(f.fd)) {
		if (f.fd >= 0)
			close(f.fd);
		return;
	}
	if (f.fd < 0)
		f.problem = "cannot be opened";
	else
		f.problem = header_check(&f, &h);
	if (!f.problem) {
		/* used up: whatever happens now, this cache is not loaded again */
		h.state = RESTART_OPEN;
		if (header_write(&f, &h)) {
			cache_set_last_cas(h.last_cas);
			items_take(&f, &h);
		}
	}
	if (f.problem)
		fprintf(stderr, "memcached: -e %s %s: starting with an empty cache\n", path,
			f.problem);
	if (f.fd >= 0)
		close(f.fd);
}
