/*
 * The operator's commands: finding one, running it, closing its answer.
 *
 * An answer is lines of text and then `ok`, or `error:` and a sentence. Words of a line are divided
 * by blanks; everything but printable ASCII was refused before it came here (operator_door.c).
 */
#include "operator.h"

#include <core/errno.h>
#include <core/fmt.h>
#include <core/string.h>

#define TEXT_MAX 512

extern const struct operator_command __start_operator_commands[] __attribute__((weak));
extern const struct operator_command __stop_operator_commands[] __attribute__((weak));

void operator_print(struct operator_reply *r, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list args;
	size_t len;

	va_start(args, fmt);
	len = fmt_vprint(text, sizeof(text), fmt, args);
	va_end(args);
	r->write(r->arg, text, MIN(len, sizeof(text) - 1));
}

/* The command that `line` begins with, and what follows it. */
static const struct operator_command *find(const char *line, const char **arguments)
{
	const struct operator_command *c;
	size_t len = 0;

	while (line[len] && line[len] != ' ')
		len++;
	*arguments = line + len;
	while (**arguments == ' ')
		++*arguments;
	for (c = __start_operator_commands; c < __stop_operator_commands; c++) {
		if (str_length(c->name) == len && !memcmp(c->name, line, len))
			return c;
	}
	return NULL;
}

static const char *sentence(int error)
{
	switch (error) {
	case -EINVAL:
		return "the arguments make no sense, see help";
	case -ENOMEM:
		return "not enough memory";
	case -EBUSY:
		return "busy, try again later";
	case -ENOSYS:
		return "not in this image";
	default:
		return "the command failed";
	}
}

int operator_run(const char *line, void (*write)(void *arg, const char *bytes, size_t len),
		 void *arg)
{
	struct operator_reply r = { .write = write, .arg = arg };
	const struct operator_command *c;
	const char *arguments;
	int error;

	while (*line == ' ')
		line++;
	c = find(line, &arguments);
	if (!c) {
		operator_print(&r, "error: there is no command %.32s, see help\n", line);
		return -ENOSYS;
	}
	error = c->run(&r, arguments);
	if (error)
		operator_print(&r, "error: %s (%d)\n", sentence(error), -error);
	else
		operator_print(&r, "ok\n");
	if (r.after)
		r.after();
	return error;
}

static int run_help(struct operator_reply *r, const char *arguments)
{
	const struct operator_command *c;

	(void)arguments;
	for (c = __start_operator_commands; c < __stop_operator_commands; c++)
		operator_print(r, "%-10s %s\n", c->name, c->help);
	return 0;
}
OPERATOR_COMMAND(help, "this list", run_help);

/* How a program tells its own answers from those that a former client left behind. */
static int run_echo(struct operator_reply *r, const char *arguments)
{
	operator_print(r, "%s\n", arguments);
	return 0;
}
OPERATOR_COMMAND(echo, "echo TEXT: says it back", run_echo);
