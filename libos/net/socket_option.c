/*
 * getsockopt and setsockopt: a table of what each option reads and writes. Numbers are Linux's
 * generic ones (riscv64).
 */
#include <string.h>

#include "lwip/tcp.h"
#include "socket_parts.h"

enum { LEVEL_IP = 0, LEVEL_SOCKET = 1, LEVEL_TCP = 6, LEVEL_IPV6 = 41 };
enum {
	REUSEADDR = 2,
	TYPE,
	ERROR,
	BROADCAST = 6,
	SNDBUF,
	RCVBUF,
	KEEPALIVE,
	OOBINLINE,
	LINGER = 13,
	REUSEPORT = 15,
	RCVLOWAT = 18,
	RCVTIMEO = 20,
	SNDTIMEO,
	ACCEPTCONN = 30,
	PROTOCOL = 38,
	DOMAIN
};
enum { NODELAY = 1, MAXSEG, CORK, KEEPIDLE, KEEPINTVL, KEEPCNT, QUICKACK = 12, USER_TIMEOUT = 18 };
enum { IPV6_UNICAST_HOPS = 16, V6ONLY = 26, IP_TOS = 1, IP_TTL = 2, IP_MTU_DISCOVER = 10 };

struct option {
	int level, number;
	int (*get)(struct socket *s, int *value);   /* NULL: write-only */
	int (*set)(struct socket *s, int value);    /* NULL: read-only */
};

/* The part of a pcb that TCP, listening TCP and UDP share. */
static struct ip_pcb *ip_pcb_of(struct socket *s)
{
	return s->tcp ? (struct ip_pcb *)s->tcp : (struct ip_pcb *)s->udp;
}

static bool has_tcp_pcb(const struct socket *s)
{
	return s->tcp && s->state != SOCKET_LISTENING;
}

static int set_flag(struct socket *s, u8_t flag, int value)
{
	struct ip_pcb *pcb = ip_pcb_of(s);

	if (!pcb)
		return 0;
	if (value)
		ip_set_option(pcb, flag);
	else
		ip_reset_option(pcb, flag);
	return 0;
}

static int get_flag(struct socket *s, u8_t flag, int *value)
{
	struct ip_pcb *pcb = ip_pcb_of(s);

	*value = pcb && ip_get_option(pcb, flag);
	return 0;
}

#define FLAG_OPTION(name, flag)                                                         \
	static int name##_get(struct socket *s, int *v) { return get_flag(s, flag, v); } \
	static int name##_set(struct socket *s, int v) { return set_flag(s, flag, v); }

FLAG_OPTION(reuseaddr, SOF_REUSEADDR)
FLAG_OPTION(broadcast, SOF_BROADCAST)
FLAG_OPTION(keepalive, SOF_KEEPALIVE)

static int type_get(struct socket *s, int *value)
{
	*value = s->kind->type;
	return 0;
}

static int protocol_get(struct socket *s, int *value)
{
	*value = s->kind->protocol;
	return 0;
}

static int domain_get(struct socket *s, int *value)
{
	*value = s->family;
	return 0;
}

static int error_get(struct socket *s, int *value)
{
	*value = -socket_take_error(s);
	socket_changed(s, 0);
	return 0;
}

static int acceptconn_get(struct socket *s, int *value)
{
	*value = s->state == SOCKET_LISTENING;
	return 0;
}

/* Linux doubles what it is given, for its own bookkeeping, and shows the double. */
static int rcvbuf_get(struct socket *s, int *value)
{
	*value = (int)s->receive_buffer;
	return 0;
}

static int rcvbuf_set(struct socket *s, int value)
{
	s->receive_buffer = 2 * (uint32_t)CLAMP(value, 1152, 4 << 20);
	return 0;
}

static int sndbuf_get(struct socket *s, int *value)
{
	*value = (int)s->send_buffer;
	return 0;
}

static int sndbuf_set(struct socket *s, int value)
{
	s->send_buffer = 2 * (uint32_t)CLAMP(value, 2304, 4 << 20);
	return 0;
}

static int one_get(struct socket *s, int *value)
{
	(void)s;
	*value = 1;
	return 0;
}

static int accept_any(struct socket *s, int value)
{
	(void)s, (void)value;
	return 0;
}

static int nodelay_get(struct socket *s, int *value)
{
	*value = has_tcp_pcb(s) && tcp_nagle_disabled(s->tcp);
	return 0;
}

static int nodelay_set(struct socket *s, int value)
{
	if (!has_tcp_pcb(s))
		return 0;
	if (value)
		tcp_nagle_disable(s->tcp);
	else
		tcp_nagle_enable(s->tcp);
	return 0;
}

static int cork_get(struct socket *s, int *value)
{
	*value = s->is_corked;
	return 0;
}

static int cork_set(struct socket *s, int value)
{
	s->is_corked = value != 0;
	if (!value && has_tcp_pcb(s))
		tcp_output(s->tcp);
	return 0;
}

static int maxseg_get(struct socket *s, int *value)
{
	*value = has_tcp_pcb(s) ? tcp_mss(s->tcp) : TCP_MSS;
	return 0;
}

static int keepidle_get(struct socket *s, int *value)
{
	*value = has_tcp_pcb(s) ? (int)(s->tcp->keep_idle / 1000) : 7200;
	return 0;
}

static int keepidle_set(struct socket *s, int value)
{
	if (value < 1 || value > 32767)
		return -EINVAL;
	if (has_tcp_pcb(s))
		s->tcp->keep_idle = (u32_t)value * 1000;
	return 0;
}

static int keepintvl_get(struct socket *s, int *value)
{
	*value = has_tcp_pcb(s) ? (int)(s->tcp->keep_intvl / 1000) : 75;
	return 0;
}

static int keepintvl_set(struct socket *s, int value)
{
	if (value < 1 || value > 32767)
		return -EINVAL;
	if (has_tcp_pcb(s))
		s->tcp->keep_intvl = (u32_t)value * 1000;
	return 0;
}

static int keepcnt_get(struct socket *s, int *value)
{
	*value = has_tcp_pcb(s) ? (int)s->tcp->keep_cnt : 9;
	return 0;
}

static int keepcnt_set(struct socket *s, int value)
{
	if (value < 1 || value > 127)
		return -EINVAL;
	if (has_tcp_pcb(s))
		s->tcp->keep_cnt = (u32_t)value;
	return 0;
}

static int v6only_get(struct socket *s, int *value)
{
	*value = s->is_v6only;
	return 0;
}

/* The pcb was made for both families; before bind it may still be narrowed or widened. */
static int v6only_set(struct socket *s, int value)
{
	struct ip_pcb *pcb = ip_pcb_of(s);

	if (s->is_bound || s->state != SOCKET_IDLE || s->family != SOCKET_AF_INET6)
		return -EINVAL;
	s->is_v6only = value != 0;
	if (pcb) {
		IP_SET_TYPE_VAL(pcb->local_ip, socket_ip_type(s));
		IP_SET_TYPE_VAL(pcb->remote_ip, socket_ip_type(s));
	}
	return 0;
}

static int ttl_get(struct socket *s, int *value)
{
	*value = ip_pcb_of(s) ? ip_pcb_of(s)->ttl : 255;
	return 0;
}

static int ttl_set(struct socket *s, int value)
{
	if (value < -1 || !value || value > 255)
		return -EINVAL;
	if (ip_pcb_of(s))
		ip_pcb_of(s)->ttl = (u8_t)(value < 0 ? 64 : value);
	return 0;
}

static int tos_get(struct socket *s, int *value)
{
	*value = ip_pcb_of(s) ? ip_pcb_of(s)->tos : 0;
	return 0;
}

static int tos_set(struct socket *s, int value)
{
	if (ip_pcb_of(s))
		ip_pcb_of(s)->tos = (u8_t)value;
	return 0;
}

static const struct option options[] = {
	{ LEVEL_SOCKET, REUSEADDR, reuseaddr_get, reuseaddr_set },
	{ LEVEL_SOCKET, REUSEPORT, reuseaddr_get, reuseaddr_set },
	{ LEVEL_SOCKET, BROADCAST, broadcast_get, broadcast_set },
	{ LEVEL_SOCKET, KEEPALIVE, keepalive_get, keepalive_set },
	{ LEVEL_SOCKET, TYPE, type_get, NULL },
	{ LEVEL_SOCKET, PROTOCOL, protocol_get, NULL },
	{ LEVEL_SOCKET, DOMAIN, domain_get, NULL },
	{ LEVEL_SOCKET, ERROR, error_get, NULL },
	{ LEVEL_SOCKET, ACCEPTCONN, acceptconn_get, NULL },
	{ LEVEL_SOCKET, RCVBUF, rcvbuf_get, rcvbuf_set },
	{ LEVEL_SOCKET, SNDBUF, sndbuf_get, sndbuf_set },
	{ LEVEL_SOCKET, RCVLOWAT, one_get, accept_any },
	{ LEVEL_SOCKET, OOBINLINE, one_get, accept_any },
	{ LEVEL_TCP, NODELAY, nodelay_get, nodelay_set },
	{ LEVEL_TCP, CORK, cork_get, cork_set },
	{ LEVEL_TCP, MAXSEG, maxseg_get, NULL },
	{ LEVEL_TCP, KEEPIDLE, keepidle_get, keepidle_set },
	{ LEVEL_TCP, KEEPINTVL, keepintvl_get, keepintvl_set },
	{ LEVEL_TCP, KEEPCNT, keepcnt_get, keepcnt_set },
	{ LEVEL_TCP, QUICKACK, one_get, accept_any },
	{ LEVEL_TCP, USER_TIMEOUT, NULL, accept_any },
	{ LEVEL_IPV6, V6ONLY, v6only_get, v6only_set },
	{ LEVEL_IPV6, IPV6_UNICAST_HOPS, ttl_get, ttl_set },
	{ LEVEL_IP, IP_TTL, ttl_get, ttl_set },
	{ LEVEL_IP, IP_TOS, tos_get, tos_set },
	{ LEVEL_IP, IP_MTU_DISCOVER, NULL, accept_any },
};

static const struct option *find(const struct socket *s, int level, int number)
{
	if (level == LEVEL_TCP && s->kind != &socket_tcp)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (options[i].level == level && options[i].number == number)
			return &options[i];
	return NULL;
}

struct linger {
	int on, seconds;
};

struct time_value {
	int64_t seconds, microseconds;
};

static int set_linger(struct socket *s, const void *value, size_t len)
{
	struct linger linger;

	if (len < sizeof(linger))
		return -EINVAL;
	memcpy(&linger, value, sizeof(linger));
	s->linger_is_on = linger.on != 0;
	s->linger_s = (uint32_t)MAX(linger.seconds, 0);
	return 0;
}

static int set_timeout(uint64_t *timeout_ns, const void *value, size_t len)
{
	struct time_value t;

	if (len < sizeof(t))
		return -EINVAL;
	memcpy(&t, value, sizeof(t));
	if (t.microseconds < 0 || t.microseconds >= 1000000)
		return -EDOM;
	t.seconds = CLAMP(t.seconds, 0, (int64_t)1 << 30);
	*timeout_ns = (uint64_t)t.seconds * NSEC_PER_SEC + (uint64_t)t.microseconds * NSEC_PER_USEC;
	return 0;
}

static int set_locked(struct socket *s, int level, int number, const void *value, size_t len)
{
	const struct option *o = find(s, level, number);
	int number_value;

	if (level == LEVEL_SOCKET && number == LINGER)
		return set_linger(s, value, len);
	if (level == LEVEL_SOCKET && number == RCVTIMEO)
		return set_timeout(&s->receive_timeout_ns, value, len);
	if (level == LEVEL_SOCKET && number == SNDTIMEO)
		return set_timeout(&s->send_timeout_ns, value, len);
	if (!o || !o->set)
		return -ENOPROTOOPT;
	if (len < sizeof(number_value))
		return -EINVAL;
	memcpy(&number_value, value, sizeof(number_value));
	return o->set(s, number_value);
}

int socket_set_option(struct socket *s, int level, int option, const void *value, size_t len)
{
	int err;

	net_enter();
	err = set_locked(s, level, option, value, len);
	net_leave();
	return err;
}

/* Linux gives as many bytes as there is room for. */
static int put(void *value, size_t *len, const void *from, size_t size)
{
	*len = MIN(*len, size);
	memcpy(value, from, *len);
	return 0;
}

static int get_timeout(uint64_t ns, void *value, size_t *len)
{
	struct time_value t = { (int64_t)(ns / NSEC_PER_SEC),
				(int64_t)(ns % NSEC_PER_SEC / NSEC_PER_USEC) };

	return put(value, len, &t, sizeof(t));
}

static bool level_is_known(int level)
{
	return level == LEVEL_IP || level == LEVEL_SOCKET || level == LEVEL_TCP ||
	       level == LEVEL_IPV6;
}

static int get_locked(struct socket *s, int level, int number, void *value, size_t *len)
{
	struct linger linger = { s->linger_is_on, (int)s->linger_s };
	const struct option *o = find(s, level, number);
	int number_value = 0, err;

	if (level == LEVEL_SOCKET && number == LINGER)
		return put(value, len, &linger, sizeof(linger));
	if (level == LEVEL_SOCKET && number == RCVTIMEO)
		return get_timeout(s->receive_timeout_ns, value, len);
	if (level == LEVEL_SOCKET && number == SNDTIMEO)
		return get_timeout(s->send_timeout_ns, value, len);
	if (!o || !o->get)
		return level_is_known(level) ? -ENOPROTOOPT : -EOPNOTSUPP;
	err = o->get(s, &number_value);
	return err ? err : put(value, len, &number_value, sizeof(number_value));
}

int socket_get_option(struct socket *s, int level, int option, void *value, size_t *len)
{
	int err;

	net_enter();
	err = get_locked(s, level, option, value, len);
	net_leave();
	return err;
}
