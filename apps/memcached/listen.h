/*
 * Where clients reach the server: -p, -U, -l.
 */
#ifndef MEMCACHED_LISTEN_H
#define MEMCACHED_LISTEN_H

#include <stdbool.h>

#include <libos/stream.h>

/*
 * Listens on every address that the settings name, over TCP and UDP. 0, or a negative errno after a
 * line on stderr that says what could not be had.
 */
int listen_start(struct stream_loop *loop);

/* Stops or resumes accepting; connections wait meanwhile. */
void listen_pause(bool paused);

#endif
