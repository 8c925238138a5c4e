/* /proc about file systems: which kinds there are, and what is mounted where. Formats: proc(5). */
#include <core/string.h>
#include <libos/procfs.h>

static void filesystems_show(struct proc_text *t)
{
	const struct fs_type *type;

	for (unsigned i = 0; (type = vfs_type(i)); i++)
		proc_print(t, "%s\t%s\n", type->on_disk ? "" : "nodev", type->name);
}
PROC_FILE(filesystems, "filesystems", filesystems_show);

/* Blanks and backslashes in names would end a field: they are shown by their octal numbers. */
static void print_word(struct proc_text *t, const char *word)
{
	for (; *word; word++) {
		if (str_find(" \t\n\\#", *word))
			proc_print(t, "\\%03o", (unsigned char)*word);
		else
			proc_append(t, word, 1);
	}
}

static const char *or_none(const char *source)
{
	return *source ? source : "none";
}

static void print_mount(const struct mount_info *m, void *arg)
{
	struct proc_text *t = arg;

	print_word(t, or_none(m->source));
	proc_append(t, " ", 1);
	print_word(t, m->at);
	proc_print(t, " %s %s%s 0 0\n", m->type, m->options, m->super_options);
}

static void mounts_show(struct proc_text *t)
{
	vfs_for_each_mount(print_mount, t);
}
PROC_FILE(mounts, "self/mounts", mounts_show);
PROC_ENTRY(all_mounts, .path = "mounts", .target = "self/mounts");

static void print_mountinfo(const struct mount_info *m, void *arg)
{
	struct proc_text *t = arg;

	proc_print(t, "%u %u %u:%u ", m->id, m->parent_id, (unsigned)(m->dev >> 8),
		   (unsigned)(m->dev & 0xff));
	print_word(t, m->root);
	proc_append(t, " ", 1);
	print_word(t, m->at);
	proc_print(t, " %s - %s ", m->options, m->type);
	print_word(t, or_none(m->source));
	proc_print(t, " %s%s\n", m->read_only_super ? "ro" : "rw", m->super_options);
}

static void mountinfo_show(struct proc_text *t)
{
	vfs_for_each_mount(print_mountinfo, t);
}
PROC_FILE(mountinfo, "self/mountinfo", mountinfo_show);
