/*
 * The command line: memcached's options, with memcached's names and defaults.
 */
#ifndef MEMCACHED_OPTIONS_H
#define MEMCACHED_OPTIONS_H

#include <stdbool.h>

/*
 * Fills in `settings`. Returns -1 to go on, or the exit code of the program: 0 after -h, -V and -i,
 * 64 (EX_USAGE) for a mistake, which has been named on stderr.
 */
int options_parse(int argc, char **argv);

/* ---- between the files of the options ---- */

enum { OPTIONS_GO_ON = -1, OPTIONS_OK = 0, OPTIONS_USAGE = 64 };

/* The list behind -o, which is cut up. As options_parse(). */
int options_extended(char *list);

/* Says on stderr what is wrong with which option or value. Returns OPTIONS_USAGE. */
int option_refuse(const char *what, const char *which);
void option_has_no_effect(const char *option);
/* A number within bounds, all of the text. */
bool option_number(const char *text, double min, double max, double *out);

extern const char OPTIONS_HELP[];

#endif
