/*
 * Sockets of AF_UNIX: streams between threads of the program, met by a path, an abstract name, or
 * made in pairs.
 *
 * Life of a socket: NEW -> (bound) -> LISTENING, or NEW -> CONNECTED. connect() makes the other end
 * at once and hangs it on the listener's queue, where accept() finds it; bytes can be sent
 * meanwhile. Each end has a ring of what it has received; who sends writes into the peer's. When an
 * end goes, the other one reads what is left, and then the end, or ECONNRESET when bytes it had
 * sent were never read.
 *
 * A path names a special file; the socket that is bound to it is found by the inode. Rules:
 * unix(7).
 *
 * Locks: unix_lock, a mutex, for all of them, since bytes are copied under it and copies may fault.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/page.h>
#include <core/string.h>
#include <libos/vfs.h>

#include "process.h"
#include "unix.h"

#define RING_BYTES  KIB(64)
#define NAME_PATH   2u   /* where the path begins in an address */
#define BACKLOG_MAX 4096

#define SOL_SOCKET    1
#define SO_TYPE       3
#define SO_ERROR      4
#define SO_SNDBUF     7
#define SO_RCVBUF     8
#define SO_PEERCRED   17
#define SO_RCVTIMEO   20
#define SO_SNDTIMEO   21
#define SO_ACCEPTCONN 30
#define SO_PROTOCOL   38
#define SO_DOMAIN     39

enum unix_state { NEW, LISTENING, CONNECTED };

/*  Locks:  u unix_lock   I set once */
struct unix_socket {
	struct list bound;             /* [u] linked: it has a name */
	struct list pending;           /* [u] in a listener's queue, or among its hopefuls */
	struct list queue;             /* [u] of a listener: ends that nobody has accepted */
	struct list hopefuls;          /* [u] of a listener: who found the queue full */
	enum unix_state state;         /* [u; read without it] */
	struct unix_socket *peer;      /* [u] NULL: gone */
	/* [u] of its path, with a reference; NULL: an abstract name, or none */
	struct inode *inode;
	struct socket_name name;       /* [u] */
	struct socket_name peer_name;  /* [u] of a connected one: it outlives the peer */
	unsigned backlog, queued;      /* [u] */
	uint8_t *ring;                 /* [u] of a connected one */
	uint64_t read_at, written_at;  /* [u; read without it] */
	bool read_shut, write_shut;    /* [u] */
	int error;                     /* [u] told once */
	uint32_t peer_uid, peer_gid;   /* [u] */
	uint64_t timeouts_ns[2];       /* [u] of sending, of receiving */
	struct poll_queue waiters;
};

static struct mutex unix_lock = MUTEX_INIT(unix_lock);
static struct list names = LIST_INIT(names); /* [u] */

static struct unix_socket *of(const struct socket *s)
{
	return (struct unix_socket *)s;
}

static struct socket *as_socket(struct unix_socket *s)
{
	return (struct socket *)s;
}

/* ---- life ---- */

static struct unix_socket *unix_new(void)
{
	struct unix_socket *s = kzalloc(sizeof(*s));

	if (!s)
		return NULL;
	list_init(&s->bound);
	list_init(&s->pending);
	list_init(&s->queue);
	list_init(&s->hopefuls);
	s->name.len = NAME_PATH;
	s->name.bytes[0] = AF_UNIX;
	poll_queue_init(&s->waiters);
	return s;
}

static void unix_free(struct unix_socket *s)
{
	poll_queue_destroy(&s->waiters);
	if (s->inode)
		inode_put(s->inode);
	if (s->ring)
		page_free_exact(s->ring, RING_BYTES);
	kfree(s);
}

static int check_kind(int type, int protocol)
{
	if (protocol && protocol != AF_UNIX)
		return -EPROTONOSUPPORT;
	return type == SOCKET_STREAM ? 0 : -ESOCKTNOSUPPORT;
}

int unix_create(int type, int protocol, struct socket **out)
{
	int error = check_kind(type, protocol);
	struct unix_socket *s = error ? NULL : unix_new();

	*out = as_socket(s);
	return error ? error : s ? 0 : -ENOMEM;
}

/* Makes two sockets the ends of a stream: 0 or -ENOMEM. */
static int join_locked(struct unix_socket *a, struct unix_socket *b)
{
	const struct vfs_context *c = vfs_context();

	a->ring = page_alloc_exact(RING_BYTES, PAGE_KERNEL);
	b->ring = page_alloc_exact(RING_BYTES, PAGE_KERNEL);
	if (!a->ring || !b->ring)
		return -ENOMEM;
	a->peer = b;
	b->peer = a;
	a->peer_name = b->name;
	b->peer_name = a->name;
	a->peer_uid = b->peer_uid = c->uid;
	a->peer_gid = b->peer_gid = c->gid;
	a->state = b->state = CONNECTED;
	return 0;
}

int unix_pair(int type, int protocol, struct socket *pair[2])
{
	struct unix_socket *a, *b;
	int error = check_kind(type, protocol);

	if (error)
		return error;
	a = unix_new();
	b = unix_new();
	mutex_lock(&unix_lock);
	error = a && b ? join_locked(a, b) : -ENOMEM;
	mutex_unlock(&unix_lock);
	if (error) {
		if (a)
			unix_free(a);
		if (b)
			unix_free(b);
		return error;
	}
	pair[0] = as_socket(a);
	pair[1] = as_socket(b);
	return 0;
}

static void leave_peer_locked(struct unix_socket *s, bool unread)
{
	struct unix_socket *p = s->peer;

	if (!p)
		return;
	p->peer = NULL;
	s->peer = NULL;
	if (unread)
		p->error = ECONNRESET;
	poll_notify(&p->waiters, POLL_IN | POLL_OUT | POLL_HUP | POLL_RDHUP);
}

static void wake_hopefuls_locked(struct unix_socket *s)
{
	struct list *link;

	while ((link = list_pop_front(&s->hopefuls)))
		poll_notify(&list_entry(link, struct unix_socket, pending)->waiters, POLL_OUT);
}

static void unix_release(struct socket *socket)
{
	struct unix_socket *s = of(socket);
	struct list gone = LIST_INIT(gone), *link;

	mutex_lock(&unix_lock);
	list_remove(&s->bound);
	list_remove(&s->pending);
	leave_peer_locked(s, s->read_at != s->written_at);
	wake_hopefuls_locked(s);
	while ((link = list_pop_front(&s->queue))) {
		struct unix_socket *end = list_entry(link, struct unix_socket, pending);

		leave_peer_locked(end, true); /* whoever connected learns that nobody ever came */
		list_push_back(&gone, link);
	}
	mutex_unlock(&unix_lock);
	while ((link = list_pop_front(&gone)))
		unix_free(list_entry(link, struct unix_socket, pending));
	unix_free(s);
}

/* ---- names ---- */

/* 0, or what is wrong with an address. The path, if it is one, ends with a zero in `path`. */
static int check_address(const uint8_t *addr, size_t len, char path[SOCKET_NAME_MAX])
{
	if (len <= NAME_PATH || len > SOCKET_NAME_MAX || addr[0] != AF_UNIX || addr[1])
		return -EINVAL;
	memcpy(path, addr + NAME_PATH, len - NAME_PATH);
	path[len - NAME_PATH] = '\0';
	return 0;
}

static struct unix_socket *find_locked(const struct inode *inode, const uint8_t *addr, size_t len)
{
	struct unix_socket *s;

	list_for_each(s, &names, bound) {
		if (inode ? s->inode == inode
			  : !s->inode && s->name.len == len && !memcmp(s->name.bytes, addr, len))
			return s;
	}
	return NULL;
}

static int make_node(const char *path, struct inode **out)
{
	struct path p;
	int error = vfs_create(NULL, path, S_IFSOCK | 0777, 0, NULL);

	if (!error)
		error = vfs_walk(NULL, path, 0, &p);
	if (error)
		return error == -EEXIST ? -EADDRINUSE : error;
	*out = inode_get(path_inode(&p));
	path_put(&p);
	return 0;
}

static int unix_bind(struct socket *socket, const void *addr, size_t len)
{
	struct unix_socket *s = of(socket);
	char path[SOCKET_NAME_MAX];
	int error = check_address(addr, len, path);

	if (error)
		return error;
	mutex_lock(&unix_lock);
	if (list_is_linked(&s->bound))
		error = -EINVAL;
	else if (path[0])
		error = make_node(path, &s->inode);
	else if (find_locked(NULL, addr, len))
		error = -EADDRINUSE;
	if (!error) {
		memcpy(s->name.bytes, addr, len);
		s->name.len = (uint32_t)(path[0] ? NAME_PATH + str_length(path) + 1 : len);
		list_push_back(&names, &s->bound);
	}
	mutex_unlock(&unix_lock);
	return error;
}

static int unix_local_name(struct socket *socket, struct socket_name *out)
{
	mutex_lock(&unix_lock);
	*out = of(socket)->name;
	mutex_unlock(&unix_lock);
	return 0;
}

static int unix_peer_name(struct socket *socket, struct socket_name *out)
{
	const struct unix_socket *s = of(socket);
	int error = 0;

	mutex_lock(&unix_lock);
	if (s->state != CONNECTED)
		error = -ENOTCONN;
	else
		*out = s->peer_name;
	mutex_unlock(&unix_lock);
	return error;
}

/* ---- connecting ---- */

static int unix_listen(struct socket *socket, int backlog)
{
	struct unix_socket *s = of(socket);
	int error = 0;

	mutex_lock(&unix_lock);
	if (!list_is_linked(&s->bound) || s->state == CONNECTED) {
		error = -EINVAL;
	} else {
		s->state = LISTENING;
		s->backlog = MIN((unsigned)backlog, (unsigned)BACKLOG_MAX);
		poll_notify(&s->waiters, POLL_OUT);
	}
	mutex_unlock(&unix_lock);
	return error;
}

/* The inode of a path that may be connected to: 0 and *out with a reference. */
static int find_node(const char *path, struct inode **out)
{
	struct path p;
	int error = vfs_walk(NULL, path, WALK_FOLLOW, &p);

	if (error)
		return error;
	error = inode_permission(path_inode(&p), 2);
	if (!error && inode_kind(path_inode(&p)) != S_IFSOCK)
		error = -ECONNREFUSED;
	if (!error)
		*out = inode_get(path_inode(&p));
	path_put(&p);
	return error;
}

static int connect_locked(struct unix_socket *s, struct unix_socket *listener)
{
	struct unix_socket *end;
	int error;

	if (!listener || listener->state != LISTENING)
		return -ECONNREFUSED;
	if (s->state != NEW)
		return s->state == CONNECTED ? -EISCONN : -EINVAL;
	list_remove(&s->pending);
	if (listener->queued > listener->backlog) {
		list_push_back(&listener->hopefuls, &s->pending);
		return -EAGAIN;
	}
	end = unix_new();
	if (!end)
		return -ENOMEM;
	end->name = listener->name;
	error = join_locked(s, end);
	if (error) {
		unix_free(end);
		return error;
	}
	list_push_back(&listener->queue, &end->pending);
	listener->queued++;
	poll_notify(&listener->waiters, POLL_IN);
	poll_notify(&s->waiters, POLL_OUT);
	return 0;
}

static int unix_connect(struct socket *socket, const void *addr, size_t len)
{
	struct inode *inode = NULL;
	char path[SOCKET_NAME_MAX];
	int error = check_address(addr, len, path);

	if (!error && path[0])
		error = find_node(path, &inode);
	if (error)
		return error;
	mutex_lock(&unix_lock);
	error = connect_locked(of(socket), find_locked(inode, addr, len));
	mutex_unlock(&unix_lock);
	if (inode)
		inode_put(inode);
	return error;
}

static int unix_accept(struct socket *socket, struct socket **out, struct socket_name *peer)
{
	struct unix_socket *s = of(socket), *end;
	struct list *link;
	int error = 0;

	mutex_lock(&unix_lock);
	link = s->state == LISTENING ? list_pop_front(&s->queue) : NULL;
	if (link) {
		end = list_entry(link, struct unix_socket, pending);
		s->queued--;
		*out = as_socket(end);
		*peer = end->peer_name;
		wake_hopefuls_locked(s); /* there is room for one more */
	} else {
		error = s->state == LISTENING ? -EAGAIN : -EINVAL;
	}
	mutex_unlock(&unix_lock);
	return error;
}

/* ---- bytes ---- */

static size_t filled(const struct unix_socket *s)
{
	return (size_t)(s->written_at - s->read_at);
}

static size_t run(uint64_t at, size_t len)
{
	return MIN(len, RING_BYTES - (size_t)(at % RING_BYTES));
}

static kssize_t give(struct unix_socket *to, struct uio *u)
{
	kssize_t done = 0, n;

	while (u->left && filled(to) < RING_BYTES) {
		size_t len = run(to->written_at, MIN(u->left, RING_BYTES - filled(to)));

		n = uio_copy_in(u, to->ring + to->written_at % RING_BYTES, len);
		if (n <= 0)
			return done ? done : n;
		to->written_at += (uint64_t)n;
		done += n;
	}
	return done;
}

static kssize_t unix_send(struct socket *socket, struct uio *u, const void *addr, size_t len,
			  int flags)
{
	struct unix_socket *s = of(socket), *p;
	kssize_t n;

	(void)len, (void)flags;
	mutex_lock(&unix_lock);
	p = s->peer;
	if (addr)
		n = s->state == CONNECTED ? -EISCONN : -EOPNOTSUPP;
	else if (s->state != CONNECTED && !s->write_shut)
		n = -ENOTCONN;
	else if (!p || s->write_shut || p->read_shut)
		n = -EPIPE;
	else if (u->left && filled(p) == RING_BYTES)
		n = -EAGAIN;
	else
		n = give(p, u);
	if (n > 0)
		poll_notify(&p->waiters, POLL_IN);
	mutex_unlock(&unix_lock);
	return n;
}

static kssize_t take(struct unix_socket *s, struct uio *u, bool peek)
{
	uint64_t at = s->read_at;
	kssize_t done = 0, n;

	while (u->left && at != s->written_at) {
		n = uio_copy_out(u, s->ring + at % RING_BYTES,
				 run(at, MIN(u->left, (size_t)(s->written_at - at))));
		if (n <= 0)
			return done ? done : n;
		at += (uint64_t)n;
		done += n;
		if (!peek)
			s->read_at = at;
	}
	return done;
}

static kssize_t nothing_left(struct unix_socket *s)
{
	int error = s->error;

	s->error = 0;
	if (error)
		return -error;
	return !s->peer || s->read_shut || s->peer->write_shut ? 0 : -EAGAIN;
}

static kssize_t unix_receive(struct socket *socket, struct uio *u, int flags,
			     struct socket_name *from, int *out_flags)
{
	struct unix_socket *s = of(socket);
	kssize_t n;

	(void)out_flags;
	if (from)
		from->len = 0;
	mutex_lock(&unix_lock);
	if (s->state != CONNECTED)
		n = -EINVAL;
	else if (filled(s))
		n = take(s, u, flags & SOCKET_MSG_PEEK);
	else
		n = nothing_left(s);
	if (n > 0 && s->peer && !(flags & SOCKET_MSG_PEEK))
		poll_notify(&s->peer->waiters, POLL_OUT);
	mutex_unlock(&unix_lock);
	return n;
}

static int unix_shutdown(struct socket *socket, int how)
{
	struct unix_socket *s = of(socket);

	if (how < SOCKET_SHUT_RD || how > SOCKET_SHUT_RDWR)
		return -EINVAL;
	mutex_lock(&unix_lock);
	s->read_shut = s->read_shut || how != SOCKET_SHUT_WR;
	s->write_shut = s->write_shut || how != SOCKET_SHUT_RD;
	poll_notify(&s->waiters, POLL_IN | POLL_OUT);
	if (s->peer)
		poll_notify(&s->peer->waiters, POLL_IN | POLL_OUT | POLL_RDHUP);
	mutex_unlock(&unix_lock);
	return 0;
}

/* ---- readiness ---- */

static bool can_read(const struct unix_socket *s)
{
	return filled(s) || s->error || s->read_shut || !s->peer || s->peer->write_shut;
}

static uint32_t connected_events(const struct unix_socket *s)
{
	const struct unix_socket *p = s->peer;
	bool no_more = !p || p->write_shut || s->read_shut,
	     ended = !p || s->write_shut || p->read_shut;

	return (can_read(s) ? POLL_IN : 0) | (no_more ? POLL_RDHUP : 0) |
	       (no_more && ended ? POLL_HUP : 0) | (s->error ? POLL_ERR : 0) |
	       (!p || filled(p) < RING_BYTES / 2 ? POLL_OUT : 0);
}

static uint32_t unix_poll(struct socket *socket)
{
	struct unix_socket *s = of(socket);
	uint32_t events;

	mutex_lock(&unix_lock);
	if (s->state == CONNECTED)
		events = connected_events(s);
	else if (s->state == LISTENING)
		events = list_is_empty(&s->queue) ? 0 : POLL_IN;
	else
		events = POLL_OUT | POLL_HUP;
	mutex_unlock(&unix_lock);
	return events;
}

static struct poll_queue *unix_poll_queue(struct socket *socket)
{
	return &of(socket)->waiters;
}

static size_t unix_bytes_ready(struct socket *socket)
{
	return filled(of(socket));
}

static bool unix_is_listening(const struct socket *socket)
{
	return of(socket)->state == LISTENING;
}

/* ---- options ---- */

static uint64_t unix_receive_timeout_ns(const struct socket *socket)
{
	return of(socket)->timeouts_ns[1];
}

static uint64_t unix_send_timeout_ns(const struct socket *socket)
{
	return of(socket)->timeouts_ns[0];
}

static int unix_set_option(struct socket *socket, int level, int option, const void *value,
			   size_t len)
{
	const struct abi_timeval *t = value;

	if (level != SOL_SOCKET)
		return -ENOPROTOOPT;
	switch (option) {
	case SO_SNDBUF:
	case SO_RCVBUF:
		return len < sizeof(int) ? -EINVAL : 0; /* they have one size */
	case SO_RCVTIMEO:
	case SO_SNDTIMEO:
		if (len < sizeof(*t) || t->usec < 0 || t->usec >= 1000000)
			return len < sizeof(*t) ? -EINVAL : -EDOM;
		of(socket)->timeouts_ns[option == SO_RCVTIMEO] = (uint64_t)t->sec * 1000000000 +
								 (uint64_t)t->usec * 1000;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

static int number_option(struct unix_socket *s, int option)
{
	int error = s->error;

	switch (option) {
	case SO_TYPE:
		return SOCKET_STREAM;
	case SO_ERROR:
		s->error = 0;
		return error;
	case SO_SNDBUF:
	case SO_RCVBUF:
		return RING_BYTES;
	case SO_ACCEPTCONN:
		return s->state == LISTENING;
	case SO_DOMAIN:
		return AF_UNIX;
	case SO_PROTOCOL:
		return 0;
	default:
		return -1;
	}
}

static int unix_get_option(struct socket *socket, int level, int option, void *value, size_t *len)
{
	struct unix_socket *s = of(socket);
	int number,
		credentials[3] = { s->peer ? PROCESS_ID : 0, (int)s->peer_uid, (int)s->peer_gid };
	const void *from = &number;
	size_t size = sizeof(number);

	if (level != SOL_SOCKET)
		return -EOPNOTSUPP;
	number = number_option(s, option);
	if (option == SO_PEERCRED) {
		from = credentials;
		size = sizeof(credentials);
	} else if (number < 0) {
		return -ENOPROTOOPT;
	}
	*len = MIN(*len, size);
	memcpy(value, from, *len);
	return 0;
}

const struct socket_class socket_unix = {
	.bind = unix_bind, .listen = unix_listen, .accept = unix_accept, .connect = unix_connect,
	.send = unix_send, .receive = unix_receive, .shutdown = unix_shutdown,
	.set_option = unix_set_option, .get_option = unix_get_option, .local_name = unix_local_name,
	.peer_name = unix_peer_name, .bytes_ready = unix_bytes_ready,
	.is_listening = unix_is_listening, .receive_timeout_ns = unix_receive_timeout_ns,
	.send_timeout_ns = unix_send_timeout_ns, .poll = unix_poll, .poll_queue = unix_poll_queue,
	.release = unix_release,
};
