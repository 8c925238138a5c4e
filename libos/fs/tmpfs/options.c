/*
 * Mount options of tmpfs, with the names and meanings of tmpfs(5): size=BYTES (k, m, g for powers
 * of 1024) or a share of the memory (50%), nr_blocks=PAGES, nr_inodes=N, mode=OCTAL, uid=N and
 * gid=N of the root directory. No number, or one that says nothing, is an error, and then nothing
 * of the text counts.
 */
#include <core/errno.h>
#include <core/log.h>
#include <core/page.h>
#include <core/string.h>

#include "tmpfs.h"

#define VALUE_BYTES 24 /* the longest number, its suffix and the end */

static uint64_t memory_pages(void)
{
	struct page_stats pages;

	page_stats(&pages);
	return pages.total_pages;
}

/* 0 is "as much as there is". */
static void set_pages(struct tmpfs_options *o, uint64_t pages)
{
	o->pages = pages ? pages : memory_pages();
}

static bool set_size(struct tmpfs_options *o, const char *value)
{
	const char *end = value;
	uint64_t number;

	if (str_parse_u64(&end, &number) && str_equal(end, "%")) {
		if (number > 100)
			return false;
		set_pages(o, memory_pages() * number / 100);
		return true;
	}
	if (!str_parse_size(value, &number))
		return false;
	set_pages(o, number / PAGE_SIZE + (number % PAGE_SIZE != 0));
	return true;
}

static bool set_blocks(struct tmpfs_options *o, const char *value)
{
	uint64_t pages;

	if (!str_parse_size(value, &pages))
		return false;
	set_pages(o, pages);
	return true;
}

static bool set_inodes(struct tmpfs_options *o, const char *value)
{
	uint64_t inodes;

	if (!str_parse_size(value, &inodes))
		return false;
	o->inodes = inodes && inodes < TMPFS_INODES_MAX ? inodes : TMPFS_INODES_MAX;
	return true;
}

static bool set_mode(struct tmpfs_options *o, const char *value)
{
	uint32_t mode = 0;

	for (const char *p = value; *p; p++) {
		if (*p < '0' || *p > '7' || mode > 0777)
			return false;
		mode = mode * 8 + (uint32_t)(*p - '0');
	}
	o->mode = mode;
	return *value != '\0';
}

static bool parse_id(const char *value, uint32_t *id)
{
	uint64_t number;

	if (!str_parse_u64(&value, &number) || *value || number >= UINT32_MAX)
		return false;
	*id = (uint32_t)number;
	return true;
}

static bool set_uid(struct tmpfs_options *o, const char *value)
{
	return parse_id(value, &o->uid);
}

static bool set_gid(struct tmpfs_options *o, const char *value)
{
	return parse_id(value, &o->gid);
}

static const struct option {
	const char *name;
	bool (*set)(struct tmpfs_options *o, const char *value);
} known[] = {
	{ "size=", set_size }, { "nr_blocks=", set_blocks }, { "nr_inodes=", set_inodes },
	{ "mode=", set_mode }, { "uid=", set_uid },          { "gid=", set_gid },
};

static bool set_one(struct tmpfs_options *o, const char *text, size_t len)
{
	char value[VALUE_BYTES];

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		size_t name = str_length(known[i].name);

		if (len < name || memcmp(text, known[i].name, name))
			continue;
		if (len - name >= sizeof(value))
			return false;
		memcpy(value, text + name, len - name);
		value[len - name] = '\0';
		return known[i].set(o, value);
	}
	return false;
}

void tmpfs_options_default(struct tmpfs_options *o)
{
	*o = (struct tmpfs_options){
		.pages = memory_pages() / 2, .inodes = TMPFS_INODES_MAX, .mode = 01777
	};
}

static int refuse(const char *option, size_t len)
{
	log_warn("tmpfs: no mount option \"%.*s\"; there are size=BYTES[k|m|g] or size=PERCENT%%, "
		 "nr_blocks=, nr_inodes=, mode=OCTAL, uid=, gid=", (int)len, option);
	return -EINVAL;
}

int tmpfs_options_parse(struct tmpfs_options *o, const char *text)
{
	struct tmpfs_options said = *o;
	const char *option;
	size_t len;

	while ((option = mount_option_next(&text, &len))) {
		if (!set_one(&said, option, len))
			return refuse(option, len);
	}
	*o = said;
	return 0;
}
