/*
 * The system calls of sockets: descriptors, addresses and message headers around libos/socket.h.
 *
 * Addresses are copied in before, and out after the operation, so that the network sees kernel
 * memory only. Control messages are not supported: none is ever received, and those sent are
 * refused.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>
#include <core/time.h>
#include <libos/abi.h>
#include <libos/socket.h>
#include <libos/uio.h>

#include "blocking.h"
#include "fd.h"
#include "io.h"
#include "signal.h"
#include "syscalls.h"
#include "unix.h"

#define SOCK_TYPE_MASK 0xf
#define SOCK_NONBLOCK  O_NONBLOCK
#define SOCK_CLOEXEC   O_CLOEXEC
#define ADDRESS_MAX    128
#define OPTION_MAX     256

/* ---- two kinds of sockets ---- */

/* Where there is only one, the compiler sees through this. */
static const struct socket_class socket_inet = {
	.bind = socket_bind, .listen = socket_listen, .accept = socket_accept,
	.connect = socket_connect, .send = socket_send, .receive = socket_receive,
	.shutdown = socket_shutdown, .set_option = socket_set_option,
	.get_option = socket_get_option, .local_name = socket_local_name,
	.peer_name = socket_peer_name, .bytes_ready = socket_bytes_ready,
	.is_listening = socket_is_listening, .receive_timeout_ns = socket_receive_timeout_ns,
	.send_timeout_ns = socket_send_timeout_ns, .poll = socket_poll,
	.poll_queue = socket_poll_queue, .release = socket_release,
};

static const struct file_ops inet_file_ops, unix_file_ops;

static const struct socket_class *class_by(const struct file_ops *ops)
{
	return IS_ENABLED(CONFIG_POSIX_UNIX) && ops == &unix_file_ops ? &socket_unix : &socket_inet;
}

static const struct socket_class *class_of(const struct file *f)
{
	return class_by(f->ops);
}

/* ---- the file around a socket ---- */

static kssize_t socket_file_read(struct file *f, struct uio *u)
{
	return class_of(f)->receive(f->object, u, 0, NULL, NULL);
}

static kssize_t socket_file_write(struct file *f, struct uio *u)
{
	return class_of(f)->send(f->object, u, NULL, 0, 0);
}

static uint32_t socket_file_poll(struct file *f)
{
	return class_of(f)->poll(f->object);
}

static struct poll_queue *socket_file_queue(struct file *f)
{
	return class_of(f)->poll_queue(f->object);
}

static uint64_t socket_file_timeout(struct file *f, bool reading)
{
	return reading ? class_of(f)->receive_timeout_ns(f->object)
		       : class_of(f)->send_timeout_ns(f->object);
}

static int socket_file_ioctl(struct file *f, unsigned long request, uintptr_t arg)
{
	int ready;

	if (request != FIONREAD)
		return -ENOTTY;
	if (class_of(f)->is_listening(f->object))
		return -EINVAL;
	ready = (int)class_of(f)->bytes_ready(f->object);
	return user_write((void *)arg, &ready, sizeof(ready));
}

static int socket_file_stat(struct file *f, struct kstat *st)
{
	(void)f;
	st->mode = S_IFSOCK | 0777;
	return 0;
}

static void socket_file_release(struct file *f)
{
	class_of(f)->release(f->object);
	kfree(f);
}

#define SOCKET_FILE_OPS                                                                            \
	{                                                                                          \
		.kind = "socket", .read = socket_file_read, .write = socket_file_write,            \
		.poll = socket_file_poll, .poll_queue = socket_file_queue,                         \
		.timeout_ns = socket_file_timeout, .ioctl = socket_file_ioctl,                     \
		.stat = socket_file_stat, .release = socket_file_release                           \
	}

static const struct file_ops inet_file_ops = SOCKET_FILE_OPS;
static const struct file_ops unix_file_ops = SOCKET_FILE_OPS;

/* 0 and *out with a reference, -EBADF, -ENOTSOCK. */
static int socket_get(int fd, struct file **out)
{
	struct file *f = fd_get(fd);

	if (!f)
		return -EBADF;
	if (f->ops != &inet_file_ops && f->ops != &unix_file_ops) {
		file_put(f);
		return -ENOTSOCK;
	}
	*out = f;
	return 0;
}

static int socket_install(struct socket *s, const struct file_ops *ops, int flags)
{
	struct file *f = file_create(ops, s, O_RDWR | ((uint32_t)flags & O_NONBLOCK));

	if (!f) {
		class_by(ops)->release(s);
		return -ENOMEM;
	}
	return fd_install(f, flags & SOCK_CLOEXEC, 0);
}

/* ---- addresses ---- */

struct address {
	uint8_t bytes[ADDRESS_MAX] __attribute__((aligned(8)));
	size_t len;
};

static int address_read(struct address *a, const void *user, uint32_t len)
{
	if ((int)len < 0 || len > sizeof(a->bytes))
		return -EINVAL;
	a->len = len;
	return len ? user_read(a->bytes, user, len) : 0;
}

/* Gives as much of the name as the user has room for, and its whole length. */
static int name_write(const struct socket_name *name, void *user, uint32_t *user_len)
{
	uint32_t room;

	if (!user)
		return 0;
	if (user_read(&room, user_len, sizeof(room)) < 0)
		return -EFAULT;
	if ((int)room < 0)
		return -EINVAL;
	if (user_write(user, name->bytes, MIN(room, name->len)) < 0)
		return -EFAULT;
	return user_write(user_len, &name->len, sizeof(name->len));
}

/* ---- calls ---- */

long sys_socket(int domain, int type, int protocol)
{
	struct socket *s;
	int ret;

	if (type & ~(SOCK_TYPE_MASK | SOCK_NONBLOCK | SOCK_CLOEXEC))
		return -EINVAL;
	if (IS_ENABLED(CONFIG_POSIX_UNIX) && domain == AF_UNIX) {
		ret = unix_create(type & SOCK_TYPE_MASK, protocol, &s);
		return ret ? ret : socket_install(s, &unix_file_ops, type);
	}
	ret = socket_create(domain, type & SOCK_TYPE_MASK, protocol, &s);
	return ret ? ret : socket_install(s, &inet_file_ops, type);
}

static int install_pair(struct socket *pair[2], int type, int *ends)
{
	int fds[2], ret;

	fds[0] = socket_install(pair[0], &unix_file_ops, type);
	if (fds[0] < 0) {
		socket_unix.release(pair[1]);
		return fds[0];
	}
	fds[1] = socket_install(pair[1], &unix_file_ops, type);
	ret = fds[1] < 0 ? fds[1] : user_write(ends, fds, sizeof(fds));
	if (ret) {
		fd_close(fds[0]);
		if (fds[1] >= 0)
			fd_close(fds[1]);
	}
	return ret;
}

long sys_socketpair(int domain, int type, int protocol, int *ends)
{
	struct socket *pair[2];
	int ret;

	if (type & ~(SOCK_TYPE_MASK | SOCK_NONBLOCK | SOCK_CLOEXEC))
		return -EINVAL;
	if (!IS_ENABLED(CONFIG_POSIX_UNIX) || domain != AF_UNIX)
		return domain == SOCKET_AF_INET || domain == SOCKET_AF_INET6 ? -EOPNOTSUPP
									     : -EAFNOSUPPORT;
	ret = unix_pair(type & SOCK_TYPE_MASK, protocol, pair);
	return ret ? ret : install_pair(pair, type, ends);
}

long sys_bind(int fd, const void *addr, uint32_t len)
{
	struct address a;
	struct file *f;
	int ret = socket_get(fd, &f);

	if (ret)
		return ret;
	ret = address_read(&a, addr, len);
	if (ret == 0)
		ret = class_of(f)->bind(f->object, a.bytes, a.len);
	file_put(f);
	return ret;
}

long sys_listen(int fd, int backlog)
{
	struct file *f;
	int ret = socket_get(fd, &f);

	if (ret)
		return ret;
	ret = class_of(f)->listen(f->object, backlog);
	file_put(f);
	return ret;
}

static uint64_t receive_deadline(struct file *f)
{
	uint64_t ns = class_of(f)->receive_timeout_ns(f->object);

	return ns ? clock_ns() + ns : DEADLINE_NEVER;
}

static uint64_t send_deadline(struct file *f)
{
	uint64_t ns = class_of(f)->send_timeout_ns(f->object);

	return ns ? clock_ns() + ns : DEADLINE_NEVER;
}

long sys_accept4(int fd, void *addr, uint32_t *len, int flags)
{
	const struct file_ops *ops;
	struct socket_name peer;
	struct socket *s;
	struct file *f;
	int ret, accepted;

	if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
		return -EINVAL;
	ret = socket_get(fd, &f);
	if (ret)
		return ret;
	ret = (int)file_block_on(f, POLL_IN, false, receive_deadline(f),
				 class_of(f)->accept(f->object, &s, &peer));
	ops = f->ops;
	file_put(f);
	if (ret)
		return ret;
	accepted = socket_install(s, ops, flags);
	if (accepted < 0)
		return accepted;
	ret = name_write(&peer, addr, len);
	if (ret == 0)
		return accepted;
	fd_close(accepted);
	return ret;
}

long sys_accept(int fd, void *addr, uint32_t *len)
{
	return sys_accept4(fd, addr, len, 0);
}

/* What a connect() that may wait gets: the start's -EINPROGRESS is only the beginning. */
static kssize_t connect_step(struct file *f, const struct address *a)
{
	int ret = class_of(f)->connect(f->object, a->bytes, a->len);

	return ret == -EINPROGRESS || ret == -EALREADY ? -EAGAIN : ret;
}

long sys_connect(int fd, const void *addr, uint32_t len)
{
	struct address a;
	struct file *f;
	long ret = socket_get(fd, &f);

	if (ret)
		return ret;
	ret = address_read(&a, addr, len);
	if (ret == 0 && file_is_nonblocking(f))
		ret = class_of(f)->connect(f->object, a.bytes, a.len);
	else if (ret == 0)
		ret = file_block_on(f, POLL_OUT, false, send_deadline(f),
				    connect_step(f, &a));
	if (ret == -EAGAIN && class_of(f) == &socket_inet)
		ret = -EINPROGRESS; /* the deadline has passed */
	file_put(f);
	return ret;
}

static long name_of(int fd, void *addr, uint32_t *len, bool of_peer)
{
	struct socket_name name;
	struct file *f;
	int ret = socket_get(fd, &f);

	if (ret)
		return ret;
	ret = (of_peer ? class_of(f)->peer_name : class_of(f)->local_name)(f->object, &name);
	file_put(f);
	if (ret)
		return ret;
	return addr ? name_write(&name, addr, len) : -EFAULT;
}

long sys_getsockname(int fd, void *addr, uint32_t *len)
{
	return name_of(fd, addr, len, false);
}

long sys_getpeername(int fd, void *addr, uint32_t *len)
{
	return name_of(fd, addr, len, true);
}

long sys_shutdown(int fd, int how)
{
	struct file *f;
	int ret = socket_get(fd, &f);

	if (ret)
		return ret;
	ret = class_of(f)->shutdown(f->object, how);
	file_put(f);
	return ret;
}

long sys_setsockopt(int fd, int level, int option, const void *value, uint32_t len)
{
	uint8_t copy[OPTION_MAX] __attribute__((aligned(8)));
	struct file *f;
	int ret = socket_get(fd, &f);

	if (ret)
		return ret;
	if ((int)len < 0)
		ret = -EINVAL;
	else
		ret = user_read(copy, value, MIN(len, sizeof(copy)));
	if (ret == 0)
		ret = class_of(f)->set_option(f->object, level, option, copy,
					      MIN(len, sizeof(copy)));
	file_put(f);
	return ret;
}

long sys_getsockopt(int fd, int level, int option, void *value, uint32_t *user_len)
{
	uint8_t result[OPTION_MAX] __attribute__((aligned(8)));
	uint32_t room, len;
	size_t size;
	struct file *f;
	int ret = socket_get(fd, &f);

	if (ret)
		return ret;
	ret = user_read(&room, user_len, sizeof(room));
	if (ret == 0 && (int)room < 0)
		ret = -EINVAL;
	size = MIN(room, sizeof(result));
	if (ret == 0)
		ret = class_of(f)->get_option(f->object, level, option, result, &size);
	file_put(f);
	if (ret)
		return ret;
	len = (uint32_t)MIN(size, room);
	return user_write(value, result, len) < 0 || user_write(user_len, &len, sizeof(len)) < 0
		   ? -EFAULT
		   : 0;
}

/* ---- sending ---- */

static kssize_t socket_send_waiting(struct file *f, struct uio *u, const struct address *a,
				    int flags)
{
	const void *to = a->len ? a->bytes : NULL;
	size_t wanted = u->left;
	bool nonblock = flags & SOCKET_MSG_DONTWAIT;
	uint64_t deadline_ns = send_deadline(f);
	kssize_t n;

	do
		n = file_block_on(f, POLL_OUT, nonblock, deadline_ns,
				  class_of(f)->send(f->object, u, to, a->len, flags));
	while (n > 0 && u->left && !nonblock && !file_is_nonblocking(f));
	if (u->left < wanted)
		return (kssize_t)(wanted - u->left);
	if (n == -EPIPE && !(flags & SOCKET_MSG_NOSIGNAL))
		signal_raise_pipe();
	return n;
}

long sys_sendto(int fd, const void *buf, size_t len, int flags, const void *addr, uint32_t addr_len)
{
	struct uio_vec vec = { (void *)buf, len };
	struct uio u = { .vecs = &vec, .vec_count = 1, .left = len, .offset = -1 };
	struct address a = { .len = 0 };
	struct file *f;
	kssize_t ret = socket_get(fd, &f);

	if (ret)
		return ret;
	if (addr)
		ret = address_read(&a, addr, addr_len);
	if (ret == 0)
		ret = socket_send_waiting(f, &u, &a, flags);
	file_put(f);
	return ret;
}

long sys_sendmsg(int fd, const void *message, int flags)
{
	struct abi_msghdr m;
	struct address a = { .len = 0 };
	struct vectors v;
	struct file *f;
	kssize_t ret;

	if (user_read(&m, message, sizeof(m)) < 0)
		return -EFAULT;
	if (m.vec_count > VECTORS_MAX)
		return -EMSGSIZE;
	if (m.control_len)
		return -EINVAL;
	ret = socket_get(fd, &f);
	if (ret)
		return ret;
	if (m.name)
		ret = address_read(&a, m.name, m.name_len);
	if (ret == 0)
		ret = vectors_read(&v, m.vecs, m.vec_count);
	if (ret == 0) {
		ret = socket_send_waiting(f, &v.uio, &a, flags);
		vectors_free(&v);
	}
	file_put(f);
	return ret;
}

/* ---- receiving ---- */

#define MSG_WAITALL 0x100

static kssize_t socket_receive_waiting(struct file *f, struct uio *u, int flags,
				       struct socket_name *from, int *out_flags)
{
	bool nonblock = flags & SOCKET_MSG_DONTWAIT,
	     all = flags & MSG_WAITALL && !(flags & SOCKET_MSG_PEEK);
	uint64_t deadline_ns = receive_deadline(f);
	size_t wanted = u->left;
	kssize_t n;

	flags &= ~MSG_WAITALL;
	from->len = 0;
	do
		n = file_block_on(f, POLL_IN, nonblock, deadline_ns,
				  class_of(f)->receive(f->object, u, flags, from, out_flags));
	while (all && n > 0 && u->left && !from->len && !nonblock);
	return all && u->left < wanted && !from->len ? (kssize_t)(wanted - u->left) : n;
}

long sys_recvfrom(int fd, void *buf, size_t len, int flags, void *addr, uint32_t *addr_len)
{
	struct uio_vec vec = { buf, len };
	struct uio u = { .vecs = &vec, .vec_count = 1, .left = len, .offset = -1 };
	struct socket_name from;
	struct file *f;
	kssize_t n = socket_get(fd, &f);
	int ret;

	if (n)
		return n;
	n = socket_receive_waiting(f, &u, flags, &from, NULL);
	file_put(f);
	if (n < 0)
		return n;
	ret = name_write(&from, addr, addr_len);
	return ret ? ret : n;
}

long sys_recvmsg(int fd, void *message, int flags)
{
	struct abi_msghdr m;
	struct socket_name from;
	struct vectors v;
	struct file *f;
	kssize_t n;

	if (user_read(&m, message, sizeof(m)) < 0)
		return -EFAULT;
	if (m.vec_count > VECTORS_MAX)
		return -EMSGSIZE;
	n = socket_get(fd, &f);
	if (n)
		return n;
	n = vectors_read(&v, m.vecs, m.vec_count);
	if (n == 0) {
		m.flags = 0;
		n = socket_receive_waiting(f, &v.uio, flags, &from, &m.flags);
		vectors_free(&v);
	}
	file_put(f);
	if (n < 0)
		return n;
	if (m.name && user_write(m.name, from.bytes, MIN(m.name_len, from.len)) < 0)
		return -EFAULT;
	m.name_len = from.len;
	m.control_len = 0;
	return user_write(message, &m, sizeof(m)) < 0 ? -EFAULT : n;
}
