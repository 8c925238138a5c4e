/*
 * Private to libos/net: the stack lock, the batch, and what the files of this directory share.
 *
 * Whoever wants the stack to work calls net_enter(), uses lwIP's raw API, and calls net_leave(). In
 * between it holds the stack lock and is not preempted. net_leave() ends a batch: it delivers what
 * was looped back, kicks the devices once, and sets the timer. The section must not wait.
 *
 * Receiving is done by a runner: net_poll() inside such a section takes frames from the devices.
 * A thread in stream_run() is a runner while it is there; without one, the executor task of stack.c
 * is. net_wake() (any context) makes a runner run.
 */
#ifndef NET_STACK_H
#define NET_STACK_H

#include <core/list.h>
#include <core/sync.h>
#include <core/time.h>
#include <core/types.h>
#include <core/errno.h>

struct netdev;
struct netif;
struct pbuf;

void net_enter(void);
void net_leave(void);
/* A moment after net_leave(): the time stands where it did, and timers are left alone. */
void net_enter_again(void);
bool net_is_entered(void);

int net_start(void);                 /* at INIT_SERVICES; harmless when called again */
extern uint64_t (*net_clock)(void);  /* clock_ns, or a test's */

/* Monotonic time as of net_enter(). Stack lock. */
extern uint64_t net_now_ns;

/* Takes up to a budget of frames from each device; true if any came. Stack lock. */
bool net_poll(void);
/* Something waits for a runner: frames, a timer, a batch of another loop. Any context. */
void net_wake(void);
/*
 * Before a runner rests: true when frames wait; else net_wake() will be called when some come. Made
 * for thread_block_looking(); stack lock or not.
 */
bool net_look(void);

/*
 * A runner other than the executor task: wake() is called from any context and makes its owner call
 * net_poll() soon. A runner that is busy (not waiting) polls of itself before it waits.
 */
struct net_runner {
	struct list link;                    /* [runners_lock] */
	bool waiting;                        /* [atomic] */
	void (*wake)(struct net_runner *r);  /* [I] */
};
void net_runner_add(struct net_runner *r);
void net_runner_remove(struct net_runner *r);
/* Before waiting; false: something came meanwhile, do another round instead. */
bool net_runner_begin_wait(struct net_runner *r);
void net_runner_end_wait(struct net_runner *r);

/* memory.c: the bound on what the stack takes from the kernel heap. */
size_t net_memory_used(void);
size_t net_memory_limit(void);
void net_memory_set_limit(size_t bytes);
bool net_memory_take(size_t bytes);  /* for memory of our own: false beyond the bound */
void net_memory_give_back(size_t bytes);
bool net_memory_is_short(void);      /* under an eighth left: refuse new work, finish the old */

/* interface.c */
void net_interfaces_attach(void);
struct netif *net_interface_first(void);       /* not loopback; NULL without a device */
void net_interfaces_kick(void);                /* one notification per device and batch */
unsigned net_interfaces_poll(unsigned budget);
/* Frees one pbuf that is not, or no longer, part of a chain: received bytes. See receive.c. */
void net_receive_done(struct pbuf *p);
/* Sums over all devices. */
void net_interfaces_count(uint64_t *packets_in, uint64_t *packets_out, uint64_t *kicks,
			  uint64_t *interrupts);

/* transmit.c: see the head of that file. */
struct net_interface;
uint64_t net_transmit_mark(void);              /* names everything that was sent so far */
bool net_transmit_has_passed(uint64_t mark);   /* no device or queue names any of it any more */

/* timers.c */
enum net_timer { NET_TIMER_ARP, NET_TIMER_IP4_REASSEMBLY, NET_TIMER_IP6_REASSEMBLY, NET_TIMER_DHCP,
		 NET_TIMER_DHCP_LEASE, NET_TIMER_DNS, NET_TIMER_ND6, NET_TIMER_MLD6, NET_TIMERS };
void net_timers_init(void);
void net_timers_advance(void);                 /* runs what is due as of net_now_ns */
void net_timers_settle(void);                  /* the batch ends: arms the one timer */
uint64_t net_timers_deadline(void);            /* when it will fire */
void net_timer_need(enum net_timer t, uint64_t for_ns); /* ticks regularly that long */
void net_timer_tcp_active(void);               /* a segment was sent or received, or TCP was used */

/* config.c */
void net_configure(void);

/* random.c */
uint32_t net_random32(void);
uint16_t net_random_port(void);

#endif
