/*
 * Who may use this server (-Y): a file of lines "user:password", and clients that begin with a set
 * whose value is "user password".
 */
#ifndef MEMCACHED_AUTH_H
#define MEMCACHED_AUTH_H

#include "conn.h"

/*
 * Reads the file. 0, or negative errno: -EINVAL for a line without a colon. After an error, those
 * who were known before are still.
 */
int auth_load(const char *file);
/* From a signal handler: the file is read again before the next one is let in. */
void auth_reload_later(void);

/* What a client that has not yet shown who it is sends. Returns how many bytes it took. */
size_t auth_command(struct conn *c, const char *data, size_t len);

#endif
