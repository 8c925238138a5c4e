/* Replaying a log; see recovery.c. */
#ifndef JBD2_RECOVERY_H
#define JBD2_RECOVERY_H

#include "jlog.h"

/*
 * Brings home what the log holds, durably, and marks it empty: 0, -EIO, -ENOMEM, -EUCLEAN (a
 * committed transaction is damaged: what is sound has been brought home, and the log stays as it
 * is). *next is the first number that no transaction in the log has.
 */
int jlog_recover(struct jlog *l, struct journal_replay *out, journal_tid *next);

#endif
