/*
 * The command `profile`: samples the harts and prints the stacks with their counts.
 *
 * The door has one client at a time, and a session of its own: starting again begins anew.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/profile.h>
#include <core/string.h>

#include "operator.h"

static bool is_ours; /* [the door's thread] */

static int start(const char *arguments)
{
	uint64_t hz = PROFILE_HZ_DEFAULT;
	int error;

	while (*arguments == ' ')
		arguments++;
	if (*arguments && (!str_parse_u64(&arguments, &hz) || *arguments || hz > PROFILE_HZ_MAX))
		return -EINVAL;
	if (is_ours)
		profile_end();
	error = profile_start((unsigned)hz);
	is_ours = !error;
	return error;
}

static int stop(struct operator_reply *r)
{
	struct profile_reader reader = { .in_addresses = true };
	char *line = kmalloc(PROFILE_LINE_MAX);
	size_t len;

	if (!is_ours)
		return -EINVAL;
	if (!line)
		return -ENOMEM;
	profile_stop();
	while ((len = profile_line(&reader, line)) != 0)
		r->write(r->arg, line, len);
	operator_print(r, "lost %llu\n", (unsigned long long)profile_lost());
	profile_end();
	is_ours = false;
	kfree(line);
	return 0;
}

static int run_profile(struct operator_reply *r, const char *arguments)
{
	if (str_starts_with(arguments, "start"))
		return start(arguments + str_length("start"));
	return str_equal(arguments, "stop") ? stop(r) : -EINVAL;
}
OPERATOR_COMMAND(profile,
		 "profile start [HZ], profile stop: counts stacks, and prints them by address",
		 run_profile);
