/*
 * The authentication file and the command that shows who a client is.
 *
 * The command is a set: its key, flags and expiry time may be anything. It is worked off when all
 * of it has arrived, so that nothing need be remembered in between.
 */
#include "auth.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "number.h"
#include "stats.h"
#include "text.h"

enum {
	USERS_MAX = 8,             /* further lines are not read, as in memcached */
	FILE_MAX = 16 * 1024,
	LINE_BYTES_MAX = 2048,     /* without an LF by then, it is no client */
	VALUE_MAX = 32 * 1024,
};

struct user {
	struct word name, password;
};

static struct user users[USERS_MAX];
static unsigned users_count;
static char *text;                         /* that the words lie in */
static volatile sig_atomic_t reload_asked;

void auth_reload_later(void)
{
	reload_asked = 1;
}

/* The whole file, of `*len` bytes. NULL with errno set. */
static char *file_read(const char *file, size_t *len)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	char *bytes = malloc(FILE_MAX);
	ssize_t n = 1;

	*len = 0;
	while (fd >= 0 && bytes && n > 0 && *len < FILE_MAX) {
		n = read(fd, bytes + *len, FILE_MAX - *len);
		*len += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0)
		close(fd);
	if (fd < 0 || n < 0) {
		free(bytes);
		return NULL;
	}
	return bytes;
}

/* "user:password" in [line, end). False: no colon. */
static bool user_parse(const char *line, const char *end, struct user *u)
{
	const char *colon = memchr(line, ':', (size_t)(end - line));

	if (!colon)
		return false;
	while (end > colon + 1 && (end[-1] == '\r' || end[-1] == '\0'))
		end--;
	u->name = (struct word){ line, (size_t)(colon - line) };
	u->password = (struct word){ colon + 1, (size_t)(end - colon - 1) };
	return true;
}

int auth_load(const char *file)
{
	struct user found[USERS_MAX];
	unsigned count = 0;
	size_t len;
	char *bytes = file_read(file, &len);

	if (!bytes)
		return -errno;
	for (const char *p = bytes, *end = bytes + len, *next; p < end && count < USERS_MAX;
	     p = next) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));

		next = newline ? newline + 1 : end;
		if (!user_parse(p, newline ? newline : end, &found[count++])) {
			free(bytes);
			return -EINVAL;
		}
	}
	free(text);
	text = bytes;
	users_count = count;
	memcpy(users, found, sizeof(users));
	return 0;
}

/* Takes as long for a wrong byte as for a right one. */
static bool words_are_equal(struct word a, struct word b)
{
	uint8_t difference = 0;

	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		difference |= (uint8_t)(a.text[i] ^ b.text[i]);
	return difference == 0;
}

static bool is_known(struct word name, struct word password)
{
	bool known = false;

	if (reload_asked) {
		reload_asked = 0;
		if (auth_load(settings.auth_file) < 0)
			fprintf(stderr, "memcached: %s could not be read again\n",
				settings.auth_file);
	}
	for (unsigned i = 0; i < users_count; i++)
		known |= (int)words_are_equal(users[i].name, name) &
			 (int)words_are_equal(users[i].password, password);
	return known;
}

static void check_value(struct conn *c, const char *value, size_t len)
{
	struct words w;

	if (memcmp(value + len - 2, "\r\n", 2) != 0) {
		conn_reply(c, "CLIENT_ERROR bad command line termination\r\n");
		return;
	}
	text_split(value, strnlen(value, len - 2), &w);
	if (w.count < 2) {
		conn_reply(c, "CLIENT_ERROR bad authentication token format\r\n");
		return;
	}
	stats.auth_cmds++;
	c->authenticated = is_known(w.word[0], w.word[1]);
	if (c->authenticated) {
		conn_reply(c, "STORED\r\n");
	} else {
		stats.auth_errors++;
		conn_reply(c, "CLIENT_ERROR authentication failure\r\n");
	}
}

size_t auth_command(struct conn *c, const char *data, size_t len)
{
	const char *newline = memchr(data, '\n', len);
	struct words w;
	size_t line;
	uint32_t size;

	if (!newline) {
		if (len > LINE_BYTES_MAX)
			conn_quit(c);
		return len > LINE_BYTES_MAX ? len : 0;
	}
	c->last_command = clock_now;
	line = (size_t)(newline + 1 - data);
	text_split(data, strnlen(data, line - 1), &w);
	if (w.count < 5 || !word_is(w.word[0], "set") ||
	    !number_parse_u32(w.word[4].text, w.word[4].len, &size)) {
		conn_reply(c, "CLIENT_ERROR unauthenticated\r\n");
		return line;
	}
	if (size > VALUE_MAX) {
		conn_quit(c);
		return len;
	}
	if (len - line < size + 2)
		return 0;
	check_value(c, newline + 1, size + 2);
	return line + size + 2;
}
