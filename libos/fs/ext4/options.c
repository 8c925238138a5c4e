/*
 * Mount options. The superblock's defaults (super.rst, s_default_mount_opts and s_errors) stand in
 * the options before the text is read.
 */
#include <core/errno.h>
#include <core/log.h>
#include <core/string.h>

#include "ext4.h"

#define COMMIT_MAX_S 300u

struct option {
	const char *name;                /* ends in '=' when a number follows */
	void (*set)(struct ext4_options *o, uint64_t value);
};

static void set_ro(struct ext4_options *o, uint64_t v) { (void)v; o->read_only = true; }
static void set_rw(struct ext4_options *o, uint64_t v) { (void)v; o->read_only = false; }
static void set_noload(struct ext4_options *o, uint64_t v) { (void)v; o->noload = true; }
static void set_barrier(struct ext4_options *o, uint64_t v) { o->no_barrier = !v; }
static void set_commit(struct ext4_options *o, uint64_t v)
{
	o->commit_ms = (uint32_t)MIN(v, COMMIT_MAX_S) * 1000;
}
static void set_ordered(struct ext4_options *o, uint64_t v)
{
	(void)v;
	o->data = EXT4_DATA_ORDERED;
}
static void set_writeback(struct ext4_options *o, uint64_t v)
{
	(void)v;
	o->data = EXT4_DATA_WRITEBACK;
}
static void set_journal(struct ext4_options *o, uint64_t v)
{
	(void)v;
	o->data = EXT4_DATA_JOURNAL;
}
static void set_remount(struct ext4_options *o, uint64_t v) { (void)v; o->panic = false; }
static void set_panic(struct ext4_options *o, uint64_t v) { (void)v; o->panic = true; }
static void set_barriers_on(struct ext4_options *o, uint64_t v) { (void)v; o->no_barrier = false; }
static void set_barriers_off(struct ext4_options *o, uint64_t v) { (void)v; o->no_barrier = true; }
static void set_discard(struct ext4_options *o, uint64_t v) { (void)v; o->discard = true; }
static void set_nodiscard(struct ext4_options *o, uint64_t v) { (void)v; o->discard = false; }
static void set_delays_on(struct ext4_options *o, uint64_t v) { (void)v; o->delays = true; }
static void set_delays_off(struct ext4_options *o, uint64_t v) { (void)v; o->delays = false; }
static void set_nothing(struct ext4_options *o, uint64_t v) { (void)o, (void)v; }

static const struct option options[] = {
	{ "ro", set_ro }, { "rw", set_rw }, { "defaults", set_nothing },
	{ "relatime", set_nothing }, { "data=ordered", set_ordered },
	{ "data=writeback", set_writeback }, { "data=journal", set_journal },
	{ "errors=remount-ro", set_remount }, { "errors=panic", set_panic },
	{ "noload", set_noload }, { "norecovery", set_noload }, { "barrier", set_barriers_on },
	{ "nobarrier", set_barriers_off }, { "barrier=", set_barrier }, { "commit=", set_commit },
	{ "discard", set_discard }, { "nodiscard", set_nodiscard }, { "delalloc", set_delays_on },
	{ "nodelalloc", set_delays_off },
};

/* Does `text`, of `len` bytes, say option `o`? Then *value is its number. */
static bool matches(const struct option *o, const char *text, size_t len, uint64_t *value)
{
	size_t name = str_length(o->name);
	const char *p = text + name;

	if (len < name || memcmp(text, o->name, name))
		return false;
	if (o->name[name - 1] != '=')
		return len == name;
	return len > name && *p >= '0' && *p <= '9' && str_parse_u64(&p, value) && p == text + len;
}

static int parse_one(struct ext4_options *o, const char *text, size_t len)
{
	uint64_t value = 0;

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (matches(&options[i], text, len, &value)) {
			options[i].set(o, value);
			return 0;
		}
	}
	if (len == 15 && !memcmp(text, "errors=continue", 15))
		log_error(
			"ext4: errors=continue is not offered: a damaged disk is written no further");
	else
		log_error(
			"ext4: no mount option \"%.*s\"; there are ro, rw, data=ordered|writeback|journal, "
			"errors=remount-ro|panic, noload, barrier, nobarrier, discard, delalloc, commit=SECONDS",
			(int)len, text);
	return -EINVAL;
}

int ext4_options_parse(struct ext4_options *o, const char *text)
{
	const char *option;
	size_t len;
	int error = 0;

	while (!error && (option = mount_option_next(&text, &len)))
		error = parse_one(o, option, len);
	return error;
}
