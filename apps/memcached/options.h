/*
 * The command line: memcached's options, with memcached's names and defaults.
 */
#ifndef MEMCACHED_OPTIONS_H
#define MEMCACHED_OPTIONS_H

/*
 * Fills in `settings`. Returns -1 to go on, or the exit code of the program: 0 after -h, -V and -i,
 * 64 (EX_USAGE) for a mistake, which has been named on stderr.
 */
int options_parse(int argc, char **argv);

#endif
