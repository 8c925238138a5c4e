/*
 * Between the files of core/boot.
 */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include <core/types.h>

/* Opens the device tree and splits its bootargs. First thing at boot; allocates nothing. */
void boot_args_init(void);

/*
 * Splits `text` into words, quotes removed, and writes them one after the other to `words`, each
 * with its zero, pointers to them to `argv`. Returns how many; what does not fit `max` or `size` is
 * left out and *cut set.
 */
size_t bootargs_split(const char *text, char *words, size_t size, char **argv, size_t max,
		      bool *cut);

/*
 * Which of the words are options: sorts argv so that these come first, in order; returns how many.
 */
size_t bootargs_sort(char **argv, size_t argc, bool (*is_option)(const char *name, size_t len));

/* core/console: reads loglevel=. */
void log_init(void);

#endif
