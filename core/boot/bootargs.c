/*
 * Splitting the bootargs line; see <core/boot.h> for its grammar. Pure; builds on the host.
 *
 * Quotes may stand anywhere in a word ('-o a'b is one word) and there is no escape character. A
 * quote that is never closed ends with the line.
 */
#include <core/string.h>
#include "boot.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/*
 * Copies one word from *text to [out, end). Returns behind its zero, or NULL when it does not fit.
 */
static char *copy_word(const char **text, char *out, const char *end)
{
	const char *p = *text;
	char quote = 0;

	for (; *p && (quote || !is_blank(*p)); p++) {
		if (quote && *p == quote) {
			quote = 0;
		} else if (!quote && (*p == '\'' || *p == '"')) {
			quote = *p;
		} else {
			if (out + 1 >= end)
				return NULL;
			*out++ = *p;
		}
	}
	*text = p;
	if (out >= end)
		return NULL;
	*out++ = '\0';
	return out;
}

size_t bootargs_split(const char *text, char *words, size_t size, char **argv, size_t max,
		      bool *cut)
{
	const char *end = words + size;
	size_t argc = 0;

	*cut = false;
	for (;;) {
		char *next;

		while (is_blank(*text))
			text++;
		if (!*text)
			return argc;
		next = argc < max ? copy_word(&text, words, end) : NULL;
		if (!next) {
			*cut = true;
			return argc;
		}
		argv[argc++] = words;
		words = next;
	}
}

static size_t name_length(const char *word)
{
	const char *equals = str_find(word, '=');

	return equals ? (size_t)(equals - word) : str_length(word);
}

/* Moves argv[from] down to argv[to]; those between move up by one. */
static void move_down(char **argv, size_t from, size_t to)
{
	char *word = argv[from];

	for (; from > to; from--)
		argv[from] = argv[from - 1];
	argv[to] = word;
}

size_t bootargs_sort(char **argv, size_t argc, bool (*is_option)(const char *name, size_t len))
{
	size_t options = 0;

	for (size_t i = 0; i < argc; i++) {
		if (str_equal(argv[i], "--"))
			return i;
	}
	for (size_t i = 0; i < argc; i++) {
		if (is_option(argv[i], name_length(argv[i])))
			move_down(argv, i, options++);
	}
	return options;
}
