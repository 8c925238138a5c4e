/*
 * Where clients reach the server: -p, -U, -l.
 */
#ifndef MEMCACHED_LISTEN_H
#define MEMCACHED_LISTEN_H

#include <stdbool.h>

#include <libos/stream.h>

/* One address that is served. */
struct listen_place {
	int id;                    /* as stream_id() */
	bool is_udp;
	struct sockaddr_storage address;
};

/* The n-th, from 0 on, in the order in which they were opened. False: there are not so many. */
bool listen_place(unsigned n, struct listen_place *out);

/*
 * Listens on every address that the settings name, over TCP and UDP. 0, or a negative errno after a
 * line on stderr that says what could not be had.
 */
int listen_start(struct stream_loop *loop);

/* Stops or resumes accepting; connections wait meanwhile. */
void listen_pause(bool paused);

#endif
