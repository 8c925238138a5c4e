/*
 * The operator's door: commands that arrive on the virtio-console port named `kiln.ctl`, one per
 * line, answered with lines of text and a closing `ok` or `error: sentence`.
 *
 * OPERATOR_COMMAND(stats, "every counter", fn) joins a command by linker set; `help` lists them.
 * A line holds at most OPERATOR_LINE_MAX bytes; a longer one is answered with an error. Control-U
 * takes back what was sent of a line.
 */
#ifndef LIBOS_OPERATOR_H
#define LIBOS_OPERATOR_H

#include <core/types.h>

#define OPERATOR_LINE_MAX 256

struct operator_reply;
/* Output that the operator does not read is dropped after a few seconds, so this always returns. */
void operator_print(struct operator_reply *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

struct operator_command {
	const char *name, *help;
	/* 0, or a negative errno which becomes the closing line. Thread context, may sleep. */
	int (*run)(struct operator_reply *r, const char *arguments);
};

#define OPERATOR_COMMAND(id, text, fn)                                                  \
	static const struct operator_command operator_command_##id                      \
	    __attribute__((used, section("operator_commands"), aligned(8))) = { #id, text, fn }

/*
 * Who ends the application when the operator says `stop` (libos/posix: SIGTERM). Called in the
 * door's thread after the answer went out. Without one, `stop` shuts the machine down at once.
 */
void operator_on_stop(void (*stop)(void));

/*
 * Runs one command line (without its newline). 0, -ENOSYS for a command that does not exist, or
 * the command's errno. Replies go through write(arg, bytes, len). Threads.
 */
int operator_run(const char *line, void (*write)(void *arg, const char *bytes, size_t len),
		 void *arg);

#endif
