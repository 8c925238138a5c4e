/*
 * Disks that are mounted at boot, as bootargs have it, and their orderly end.
 *
 *   mount=/dev/vda:/data:ext4            a disk, where, and which file system
 *   mount=/dev/vda:/data:ext4:ro,noload  with options, as mount(2) and the file system know them
 *   mount=/dev/disk/by-label/data:...    whichever disk has the file system of that name
 *   mount=...;...                        several
 *
 * The option "optional" lets the image go on without the disk. Without it an image whose disk
 * cannot be mounted says why and ends: what its application would write into an empty directory
 * would be lost.
 */
#include <core/boot.h>
#include <core/errno.h>
#include <core/init.h>
#include <core/kmem.h>
#include <core/log.h>
#include <core/string.h>
#include <libos/power.h>
#include <libos/vfs.h>

#include "rootfs.h"

BOOT_OPTION(
	mount,
	"mount=DISK:DIRECTORY:TYPE[:OPTIONS][;...]: disks to mount; the option \"optional\" lets one be missing");

#define FIELDS 4

/* Cuts `text` at `at`: what follows, or NULL. */
static char *cut(char *text, char at)
{
	char *end = (char *)(uintptr_t)str_find(text, at);

	if (!end)
		return NULL;
	*end = '\0';
	return end + 1;
}

static const struct { const char *word; uint32_t flag; } words[] = {
	{ "ro", MS_RDONLY }, { "rw", 0 }, { "nosuid", MS_NOSUID }, { "nodev", MS_NODEV },
	{ "noexec", MS_NOEXEC }, { "noatime", MS_NOATIME }, { "sync", MS_SYNCHRONOUS },
};

/* Words that are not the file system's leave the text: flags, and *optional. */
static uint32_t take_flags(char *options, bool *optional)
{
	uint32_t flags = MS_RELATIME;
	char *to = options, *next;

	for (char *word = options; word; word = next) {
		bool known = str_equal(word, "optional");
		size_t i = 0, len;

		next = cut(word, ',');
		known = str_equal(word, "optional");
		*optional |= known;
		for (; !known && i < ARRAY_SIZE(words); i++) {
			if (str_equal(word, words[i].word)) {
				flags |= words[i].flag;
				known = true;
			}
		}
		len = known ? 0 : str_length(word);
		if (!len)
			continue;
		if (to != options)
			*to++ = ',';
		memmove(to, word, len);
		to += len;
	}
	*to = '\0';
	return flags;
}

/* The directories of a path, as far as they are missing. */
static void make_directories(char *path)
{
	for (char *slash = path + 1; *slash; slash++) {
		if (*slash != '/')
			continue;
		*slash = '\0';
		vfs_create(NULL, path, S_IFDIR | 0755, 0, NULL);
		*slash = '/';
	}
	vfs_create(NULL, path, S_IFDIR | 0755, 0, NULL);
}

static int mount_at(const char *disk, char *where, const char *type, uint32_t flags,
		    const char *options)
{
	struct path at;
	int error;

	make_directories(where);
	error = vfs_walk(NULL, where, WALK_FOLLOW | WALK_DIR, &at);
	if (error)
		return error;
	error = vfs_mount(type, disk, &at, flags, options);
	path_put(&at);
	return error;
}

/* "DISK:DIRECTORY:TYPE[:OPTIONS]" */
static int mount_one(char *text)
{
	char none[1] = "", *field[FIELDS] = { text, NULL, NULL, none };
	bool optional = false;
	uint32_t flags;
	int error;

	for (unsigned i = 1; i < FIELDS && field[i - 1]; i++) {
		char *rest = cut(field[i - 1], ':');

		field[i] = rest ? rest : i == 3 ? none : NULL;
	}
	if (!field[1] || !field[2] || field[1][0] != '/') {
		log_error("mount=%s: it should be DISK:/DIRECTORY:TYPE[:OPTIONS]", text);
		return -EINVAL;
	}
	flags = take_flags(field[3], &optional);
	error = mount_at(field[0], field[1], field[2], flags, field[3]);
	if (!error) {
		log_info("mount: %s is at %s", field[0], field[1]);
		return 0;
	}
	if (error == -ENODEV && !str_equal(field[2], "ext4"))
		log_error("mount: this image has no file system \"%s\"", field[2]);
	log_error("mount: %s could not be mounted at %s (error %d)%s", field[0], field[1], -error,
		  optional ? "; it is optional, and the image goes on" : "");
	return optional ? 0 : error;
}

static void end(struct power_hook *h)
{
	(void)h;
	vfs_end();
}

static int mount_boot_init(void)
{
	static struct power_hook hook = { .level = POWER_FILES, .run = end };
	const char *given = boot_option("mount");
	char *text = kmalloc((given ? str_length(given) : 0) + 1);
	int error = 0;

	power_hook_add(&hook);
	devfs_name_file_systems();
	if (!text)
		return -ENOMEM;
	str_copy(text, (given ? str_length(given) : 0) + 1, given ? given : "");
	for (char *one = text, *next; one && *one && !error; one = next) {
		next = cut(one, ';');
		error = mount_one(one);
	}
	kfree(text);
	if (error)
		system_poweroff(1);
	return 0;
}
INIT(INIT_APP, mount_boot_init);
