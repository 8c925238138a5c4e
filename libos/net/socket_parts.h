/*
 * Private to the socket files: the object. The stack lock guards everything but `ready`.
 */
#ifndef NET_SOCKET_PARTS_H
#define NET_SOCKET_PARTS_H

#include <core/errno.h>
#include <core/list.h>
#include <libos/socket.h>

#include "address.h"
#include "lwip/tcp.h"
#include "lwip/udp.h"
#include "stack.h"

enum socket_state {
	SOCKET_IDLE,
	SOCKET_LISTENING,
	SOCKET_CONNECTING,
	SOCKET_CONNECTED,
	SOCKET_CLOSED
};

struct socket {
	const struct socket_kind *kind;  /* TCP or UDP */
	uint8_t family;
	bool is_v6only;
	enum socket_state state;
	struct tcp_pcb *tcp;             /* NULL: none, or lwIP has dropped it */
	struct udp_pcb *udp;
	struct poll_queue poll;
	uint32_t ready;                  /* atomic: POLL_* as of the last change */
	int error;                       /* pending, positive: SO_ERROR */
	bool is_bound, has_fin, is_shut_read, is_shut_write, connect_is_reported;

	/* TCP: received bytes; the first piece from input_offset on */
	struct pbuf *input;
	size_t input_offset, input_len;
	struct list datagrams;           /* UDP */
	size_t datagram_bytes;

	struct list accepted;            /* listening: sockets nobody has taken yet */
	struct list accept_link;         /* in a listener's `accepted` */

	uint32_t receive_buffer, send_buffer;
	bool is_corked, linger_is_on;
	uint32_t linger_s;
	uint64_t receive_timeout_ns, send_timeout_ns;
};

/* What differs between TCP and UDP. All under the stack lock. */
struct socket_kind {
	int type, protocol;
	int (*open)(struct socket *s);
	void (*close)(struct socket *s);
	int (*bind)(struct socket *s, const ip_addr_t *ip, uint16_t port);
	int (*connect)(struct socket *s, const ip_addr_t *ip, uint16_t port);
	kssize_t (*send)(struct socket *s, struct uio *u, const ip_addr_t *ip, uint16_t port,
			 int flags);
	kssize_t (*receive)(struct socket *s, struct uio *u, int flags, struct socket_name *from,
			    int *out_flags);
	int (*shutdown)(struct socket *s, int how);
	uint32_t (*ready)(const struct socket *s);
	size_t (*bytes_ready)(const struct socket *s);
	void (*local)(const struct socket *s, ip_addr_t *ip, uint16_t *port);
	bool (*peer)(const struct socket *s, ip_addr_t *ip, uint16_t *port);  /* false: none */
};

extern const struct socket_kind socket_tcp, socket_udp;

struct socket *socket_alloc(const struct socket_kind *kind, int family); /* NULL: no memory */
/* Brings `ready` up to date and tells watchers that `events` have come (again). */
void socket_changed(struct socket *s, uint32_t events);
/* Takes the pending error: negative, or 0. */
int socket_take_error(struct socket *s);
/* lwIP's type of addresses for the socket's family. */
uint8_t socket_ip_type(const struct socket *s);
/* Binds to a free port that nobody can guess (RFC 6056). */
int socket_bind_randomly(struct socket *s, const ip_addr_t *ip);

/* socket_tcp.c */
int socket_tcp_listen(struct socket *s, int backlog);
struct socket *socket_tcp_accept(struct socket *s);      /* NULL: nobody waits */

#endif
