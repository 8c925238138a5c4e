/*
 * The operator's door: commands that arrive on the virtio-console port named `kiln.ctl`, one per
 * line, answered with lines of text and a closing `ok` or `error: sentence`.
 *
 * OPERATOR_COMMAND(stats, "every counter", fn) joins a command by linker set; `help` lists them.
 */
#ifndef LIBOS_OPERATOR_H
#define LIBOS_OPERATOR_H

#include <core/types.h>

struct operator_reply;
void operator_print(struct operator_reply *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

struct operator_command {
	const char *name, *help;
	/* 0, or a negative errno which becomes the closing line. Thread context, may sleep. */
	int (*run)(struct operator_reply *r, const char *arguments);
};

#define OPERATOR_COMMAND(id, text, fn)                                                  \
	static const struct operator_command operator_command_##id                      \
	    __attribute__((used, section(".operator_commands"), aligned(8))) = { #id, text, fn }

#endif
