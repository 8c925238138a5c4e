/*
 * TLS of this memcached: -Z, -o ssl_..., refresh_certs, and what stats tells about them.
 * tls.c has it; tls_none.c stands in its place in a build without.
 */
#ifndef MEMCACHED_TLS_H
#define MEMCACHED_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include <libos/stream.h>

struct conn;

/* -Z. As options_parse(). */
int tls_enable(void);
/* One item of -o. True when it is one of TLS's; then *result is as options_parse() gives. */
bool tls_option(const char *name, const char *value, int *result);

/* Loads what the options named. 0, or says what is wrong and returns a negative errno. */
int tls_start(void);

/*
 * The filter for an address of -l: by default TLS where -Z was given. *text moves behind "notls:",
 * "btls:" (clients need no certificate) and "mtls:" (they do). False: these need -Z, and it was
 * said.
 */
bool tls_filter(char **text, const struct stream_filter **filter);

/* Loads the certificates anew, for new connections. NULL: done; else the line to answer. */
const char *tls_refresh(void);

/* Lines of `stats` (none without -Z) and of `stats settings`. */
void tls_show_stats(struct conn *c);
void tls_show_settings(struct conn *c);

#endif
