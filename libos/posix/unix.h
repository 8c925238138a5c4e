/* Sockets of AF_UNIX, and what a kind of sockets does for socket_calls.c. */
#ifndef POSIX_UNIX_H
#define POSIX_UNIX_H

#include <libos/socket.h>

#define AF_UNIX 1

/*
 * The functions of libos/socket.h, for the network's sockets and for those of unix.c, with the same
 * promises.
 */
struct socket_class {
	int (*bind)(struct socket *s, const void *addr, size_t len);
	int (*listen)(struct socket *s, int backlog);
	int (*accept)(struct socket *s, struct socket **out, struct socket_name *peer);
	int (*connect)(struct socket *s, const void *addr, size_t len);
	kssize_t (*send)(struct socket *s, struct uio *u, const void *addr, size_t len, int flags);
	kssize_t (*receive)(struct socket *s, struct uio *u, int flags, struct socket_name *from,
			    int *out_flags);
	int (*shutdown)(struct socket *s, int how);
	int (*set_option)(struct socket *s, int level, int option, const void *value, size_t len);
	int (*get_option)(struct socket *s, int level, int option, void *value, size_t *len);
	int (*local_name)(struct socket *s, struct socket_name *out);
	int (*peer_name)(struct socket *s, struct socket_name *out);
	size_t (*bytes_ready)(struct socket *s);
	bool (*is_listening)(const struct socket *s);
	uint64_t (*receive_timeout_ns)(const struct socket *s);
	uint64_t (*send_timeout_ns)(const struct socket *s);
	uint32_t (*poll)(struct socket *s);
	struct poll_queue *(*poll_queue)(struct socket *s);
	void (*release)(struct socket *s);
};

extern const struct socket_class socket_unix;

/* 0; -ESOCKTNOSUPPORT (streams alone are), -EPROTONOSUPPORT, -ENOMEM. `pair` is connected. */
int unix_create(int type, int protocol, struct socket **out);
int unix_pair(int type, int protocol, struct socket *pair[2]);

#endif
