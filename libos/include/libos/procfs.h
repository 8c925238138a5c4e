/*
 * /proc: facts as files. Who has facts places an entry in the linker set, wherever he lives:
 *
 *	static void uptime_show(struct proc_text *t)
 *	{
 *		proc_print(t, "%llu\n", seconds());
 *	}
 *	PROC_FILE(uptime, "uptime", uptime_show);
 *
 * Without CONFIG_PROCFS the entry and its function are left out. The text is made anew for each
 * read(), from its beginning, and given from the position on. Formats are those of proc(5); a fact
 * that the image has not is not in the tree.
 *
 * Paths beginning with "self/" are the process's. show() runs in a thread, may sleep.
 */
#ifndef LIBOS_PROCFS_H
#define LIBOS_PROCFS_H

#include <core/types.h>
#include <libos/vfs.h>

struct proc_text {
	char *bytes;
	size_t len, room;
	bool failed; /* no memory, or more than any file has */
};

void proc_print(struct proc_text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void proc_append(struct proc_text *t, const char *bytes, size_t len);

/* A folder of numbered links, such as self/fd. */
struct proc_numbers {
	/* the first number from there on, or -ENOENT */
	int (*next)(unsigned from);
	/* What a number's link says, with its length; -ENOENT. */
	kssize_t (*text)(unsigned number, char *buf, size_t size);
	/* where it leads: 0, -ENOENT, -ENXIO (nowhere) */
	int (*place)(unsigned number, struct path *out);
};

/* One of them is set. */
struct proc_entry {
	const char *path;
	void (*show)(struct proc_text *t);
	const struct proc_numbers *numbers;
	int (*place)(struct path *out);   /* a link to where something lies, with a reference */
	const char *target;               /* a link with this text */
};

#define PROC_ENTRY(id, ...)                                                                  \
	static const struct proc_entry proc_##id                                             \
	    __attribute__((used, section("proc_entries"), aligned(8))) = { __VA_ARGS__ }
#define PROC_FILE(id, name, function) PROC_ENTRY(id, .path = name, .show = function)

#endif
