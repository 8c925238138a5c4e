/*
 * Sockets: TCP and UDP over IPv4 and IPv6, as objects that a descriptor wraps.
 *
 * Operations never wait: where they cannot go on they answer -EAGAIN (connect: -EINPROGRESS), and
 * socket_poll_queue() tells when to try again. Each operation takes the stack lock for a short
 * section, so they are for threads and executor tasks, with no spinlock held; several threads may
 * use one socket. The caller keeps the socket alive while an operation runs.
 *
 * Addresses are Linux's: `addr` points to a struct sockaddr_in or sockaddr_in6 of `len` bytes in
 * kernel memory (the caller has copied it in); results go to a struct socket_name, whose first
 * `len` bytes are what accept(), getsockname() and recvfrom() give to the user, who may have asked
 * for fewer. Constants are Linux riscv64's.
 *
 * Data is copied through struct uio, in place; a fault in the middle gives a short count.
 */
#ifndef LIBOS_SOCKET_H
#define LIBOS_SOCKET_H

#include <core/types.h>
#include <libos/poll.h>
#include <libos/uio.h>

struct socket;

#define SOCKET_AF_INET     2
#define SOCKET_AF_INET6    10
#define SOCKET_STREAM      1
#define SOCKET_DGRAM       2

#define SOCKET_MSG_PEEK      0x02
#define SOCKET_MSG_TRUNC     0x20   /* in: answer the datagram's real length; out: it was cut */
#define SOCKET_MSG_DONTWAIT  0x40   /* the blocking layer's business; accepted and ignored here */
#define SOCKET_MSG_NOSIGNAL  0x4000 /* likewise: -EPIPE is returned, SIGPIPE is the caller's */
#define SOCKET_MSG_MORE      0x8000 /* more follows: do not send a short segment yet */

#define SOCKET_SHUT_RD   0
#define SOCKET_SHUT_WR   1
#define SOCKET_SHUT_RDWR 2

#define SOCKET_NAME_MAX 110         /* sizeof(struct sockaddr_un), the longest */

struct socket_name {
	uint8_t  bytes[SOCKET_NAME_MAX];
	uint32_t len;
};

/*
 * 0 and *out; -EAFNOSUPPORT, -ESOCKTNOSUPPORT, -EPROTONOSUPPORT, -ENOMEM, -ENOBUFS. `type` is bare
 * (the caller has taken SOCK_NONBLOCK and SOCK_CLOEXEC off).
 */
int socket_create(int domain, int type, int protocol, struct socket **out);

/*
 * The last use of `s`. A TCP connection goes on in the background until its data and FIN have been
 * acknowledged (SO_LINGER with zero time-out, or unread input: it is reset, as Linux does).
 * poll_queue_destroy() is called on the socket's queue.
 */
void socket_release(struct socket *s);

/* 0, -EINVAL (bound already, bad length), -EAFNOSUPPORT, -EADDRINUSE, -EADDRNOTAVAIL. */
int socket_bind(struct socket *s, const void *addr, size_t len);
/*
 * 0, -EOPNOTSUPP (datagram), -EINVAL (connected), -EADDRINUSE, -ENOMEM. Binds to a free port if
 * unbound.
 */
int socket_listen(struct socket *s, int backlog);
/*
 * 0 and a new socket in *out with its peer's name (may be NULL); -EAGAIN, -EINVAL (not listening).
 */
int socket_accept(struct socket *s, struct socket **out, struct socket_name *peer);
/*
 * UDP: 0 at once (AF_UNSPEC dissolves the association). TCP: the first call starts it and answers
 * -EINPROGRESS; POLL_OUT tells the end. Calls meanwhile: -EALREADY; afterwards 0 once when the
 * waiting connect() comes back for its result, then -EISCONN; or the error (-ECONNREFUSED,
 * -ETIMEDOUT, -EHOSTUNREACH, -ENETUNREACH), once.
 */
int socket_connect(struct socket *s, const void *addr, size_t len);

/*
 * Takes what fits and returns its size (a datagram: all or nothing). `addr` NULL: the connected
 * peer. -EAGAIN, -ENOTCONN, -EPIPE, -EDESTADDRREQ, -EMSGSIZE, -EISCONN, -ENETUNREACH, -ENOBUFS,
 * -EFAULT, or the socket's pending error.
 */
kssize_t socket_send(struct socket *s, struct uio *u, const void *addr, size_t len, int flags);

/*
 * Bytes received, 0 at the end of a TCP stream; -EAGAIN, -ENOTCONN, -EFAULT, or the pending error.
 * `from` (may be NULL) gets a datagram's sender; *out_flags (may be NULL) gets SOCKET_MSG_TRUNC.
 */
kssize_t socket_receive(struct socket *s, struct uio *u, int flags, struct socket_name *from,
			int *out_flags);

int socket_shutdown(struct socket *s, int how);            /* 0, -ENOTCONN, -EINVAL */

/*
 * getsockopt and setsockopt on kernel memory: 0, -ENOPROTOOPT, -EINVAL, -EDOM. *len: in room, out
 * size.
 */
int socket_set_option(struct socket *s, int level, int option, const void *value, size_t len);
int socket_get_option(struct socket *s, int level, int option, void *value, size_t *len);

int socket_local_name(struct socket *s, struct socket_name *out);   /* 0 */
int socket_peer_name(struct socket *s, struct socket_name *out);    /* 0, -ENOTCONN */

/* FIONREAD: bytes, or the next datagram's size */
size_t socket_bytes_ready(struct socket *s);
bool socket_is_listening(const struct socket *s);

/* SO_RCVTIMEO and SO_SNDTIMEO in nanoseconds, 0 for none: the blocking layer asks. */
uint64_t socket_receive_timeout_ns(const struct socket *s);
uint64_t socket_send_timeout_ns(const struct socket *s);

uint32_t socket_poll(struct socket *s);                    /* POLL_* that hold now; any context */
struct poll_queue *socket_poll_queue(struct socket *s);

#endif
