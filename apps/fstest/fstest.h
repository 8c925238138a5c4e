/* fstest: what the tests of file systems have an image do. See main.c. */
#ifndef FSTEST_H
#define FSTEST_H

#include <stdio.h>
#include <sys/types.h>

/* Prints the sentence with errno's text and ends the program with 1. */
void die(const char *what);

/* "FOLDER/name", in one of a few buffers that are used in turn, by each thread its own. */
const char *in(const char *folder, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Calls visit for everything below, folders after what is in them. (sums.c) */
void walk(const char *folder, void (*visit)(const char *path, mode_t mode));

void sums(const char *folder);  /* sums.c */
void list(const char *folder);
void load(const char *folder);  /* load.c: does not return */
void churn(const char *folder); /* churn.c: goes on in a thread of its own */
void crowd(const char *folder);
void full(const char *folder);  /* full.c */

#endif
