/*
 * What the code under test logs, kept back: a test that fails shows it, one that passes does not.
 * It lies in memory shared with the parent process, which shows it when the run breaks off. Not for
 * use outside core/host.
 */
#ifndef HOST_MESSAGES_H
#define HOST_MESSAGES_H

#include <stdarg.h>

/* before the fork; ends the program when there is no memory */
void messages_init(void);
/* one line, cut at 255 bytes; any thread */
void messages_add(const char *fmt, va_list args);
void messages_forget(void);                              /* a test begins, or all are done */
void messages_show(void);                                /* the last 16 KiB to stderr; once */

#endif
