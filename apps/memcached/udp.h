/*
 * The protocols over UDP (-U): each datagram begins with a frame of 8 bytes,
 *
 *     request id (2)    number of this datagram (2)    how many there are (2)    0 (2)
 *
 * all big-endian. A request is one datagram; its answer is as many as it takes, numbered from 0,
 * with the id of the request.
 */
#ifndef MEMCACHED_UDP_H
#define MEMCACHED_UDP_H

#include <libos/stream.h>

struct conn;

/* Serves requests that come to the address. 0 or negative errno, as stream_datagrams_open(). */
int udp_open(struct stream_loop *loop, const struct sockaddr *addr, socklen_t len,
	     struct stream_datagrams **out);

/* ---- the output of a conn without a stream (conn.h) ---- */

/* Room for `len` more bytes of the answer being collected, or NULL. */
void *udp_reserve(size_t len);
void udp_commit(size_t len);

#endif
