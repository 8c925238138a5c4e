/*
 * What lwIP is configured to be here: one stack without an operating system layer, entered under
 * libos/net's lock, sized for servers, with its memory taken from the kernel heap under a bound.
 *
 * Every option that lwIP's opt.h does not already set so is listed, with the reason where it is
 * not plain. Numbers that a configuration chooses come from libos/net/Kconfig.
 */
#ifndef NET_PORT_LWIPOPTS_H
#define NET_PORT_LWIPOPTS_H

/* The way in: raw API, one lock, timers from core. */
#define NO_SYS                  1
#define SYS_LIGHTWEIGHT_PROT    0
#define LWIP_NETCONN            0
#define LWIP_SOCKET             0
#define LWIP_RAW                0
#define LWIP_TIMERS             1
#define LWIP_TIMERS_CUSTOM      1
#define LWIP_HOOK_FILENAME      "lwip_hooks.h"
#ifndef CONFIG_NET_ASSERT
#define LWIP_NOASSERT           1
#endif

/*
 * Memory: the kernel heap, counted and bounded in memory.c. Pools would reserve for the worst case.
 */
#define MEM_CUSTOM_ALLOCATOR    1
#define MEMP_MEM_MALLOC         1
#define MEM_ALIGNMENT           8
void *net_memory_alloc(__SIZE_TYPE__ bytes);
void *net_memory_alloc_zero(__SIZE_TYPE__ count, __SIZE_TYPE__ bytes);
void net_memory_free(void *p);
#define MEM_CUSTOM_MALLOC       net_memory_alloc
#define MEM_CUSTOM_CALLOC       net_memory_alloc_zero
#define MEM_CUSTOM_FREE         net_memory_free
#define MEM_STATS               0
#define MEMP_STATS              0
#define SYS_STATS               0

/* Drops by reason are read out of lwIP's statistics by counters.c. */
#define LWIP_STATS              1
#define LWIP_STATS_LARGE        1
#define ND6_STATS               1
#define MIB2_STATS              0

/* Interfaces. */
#define LWIP_SINGLE_NETIF       0
#define LWIP_HAVE_LOOPIF        1
#define LWIP_NETIF_LOOPBACK     1
#define LWIP_LOOPBACK_MAX_PBUFS 512
#define LWIP_NETIF_LOOPBACK_MULTITHREADING 0
#define LWIP_NETIF_STATUS_CALLBACK 1
#define LWIP_NETIF_HOSTNAME     0
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_SUPPORT_CUSTOM_PBUF 1
#define PBUF_LINK_ENCAPSULATION_HLEN 0
#define ETH_PAD_SIZE            0

/*
 * Queues that wait for a neighbour's address copy what they keep, unless the bytes lie in lwIP's
 * own memory: bytes lent by an application are then named by segments and devices alone
 * (transmit.c).
 */
#define PBUF_NEEDS_COPY(p)      (!((p)->type_internal & PBUF_TYPE_FLAG_STRUCT_DATA_CONTIGUOUS))

/* ARP and IPv4. */
#define LWIP_IPV4               1
#define LWIP_ARP                1
#define ARP_TABLE_SIZE          32
#define ARP_QUEUEING            1
#define ARP_QUEUE_LEN           8
#define ETHARP_SUPPORT_STATIC_ENTRIES 0
#define IP_FORWARD              0
#define IP_REASSEMBLY           1
#define IP_REASS_MAX_PBUFS      64
#define IP_FRAG                 1
#define IP_SOF_BROADCAST        1
#define IP_SOF_BROADCAST_RECV   1
#define LWIP_MULTICAST_TX_OPTIONS 0
#define LWIP_ICMP               1
#define LWIP_BROADCAST_PING     0
#define LWIP_MULTICAST_PING     0

/* Name and address services. Without address conflict detection: it would add seconds to a boot. */
#define LWIP_DHCP               1
#define LWIP_ACD                0
#define LWIP_DHCP_DOES_ACD_CHECK 0
#define LWIP_AUTOIP             0
#define LWIP_DNS                1
#define DNS_MAX_SERVERS         3

/* IPv6 with stateless configuration. */
#define LWIP_IPV6               1
#define LWIP_IPV6_AUTOCONFIG    1
#define LWIP_IPV6_NUM_ADDRESSES 4
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS 1
#define LWIP_IPV6_MLD           1
#define LWIP_IPV6_FRAG          1
#define LWIP_IPV6_REASS         1
#define IPV6_FRAG_COPYHEADER    1   /* 64-bit pointers do not fit into the fragment header */
#define LWIP_IPV6_DHCP6         0
#define LWIP_IPV6_FORWARD       0
#define LWIP_IPV6_SCOPES        1
#define LWIP_ICMP6              1
#define LWIP_ND6_NUM_NEIGHBORS  32
#define LWIP_ND6_NUM_DESTINATIONS 64
#define LWIP_ND6_ALLOW_RA_UPDATES 1
#define LWIP_ND6_TCP_REACHABILITY_HINTS 1
#define LWIP_ND6_RDNSS_MAX_DNS_SERVERS 2
#define LWIP_ND6_QUEUEING       1
#define MEMP_NUM_ND6_QUEUE      64

/* UDP. */
#define LWIP_UDP                1
#define LWIP_UDPLITE            0
#define LWIP_NETBUF_RECVINFO    0

/*
 * TCP for throughput: a scaled window, selective acknowledgements, timers five times finer than
 * lwIP's usual ones (they run only while a connection needs them, see timers.c), so that a delayed
 * acknowledgement waits 50 ms and the shortest retransmission time-out is about 200 ms.
 */
#define LWIP_TCP                1
#define LWIP_CALLBACK_API       1
#define TCP_MSS                 1460
#define LWIP_WND_SCALE          1
#define TCP_RCV_SCALE           5
#define TCP_WND                 (CONFIG_NET_TCP_WINDOW_KIB * 1024)
#define TCP_SND_BUF             (CONFIG_NET_TCP_SEND_KIB * 1024)
#define TCP_SND_QUEUELEN        LWIP_MAX(512, 4 * (TCP_SND_BUF / TCP_MSS))
#define TCP_SNDLOWAT            (16 * 1024)
#define TCP_OVERSIZE            TCP_MSS
#define TCP_QUEUE_OOSEQ         1
#define TCP_OOSEQ_MAX_PBUFS     (TCP_WND / TCP_MSS)
#define TCP_OOSEQ_MAX_BYTES     TCP_WND
#define LWIP_TCP_SACK_OUT       1
#define LWIP_TCP_MAX_SACK_NUM   4
#define LWIP_TCP_TIMESTAMPS     0
#define LWIP_TCP_KEEPALIVE      1
#define TCP_TMR_INTERVAL        50
#define TCP_MSL                 15000UL
#define TCP_MAXRTX              10
#define TCP_SYNMAXRTX           6
#define LWIP_TCP_RTO_TIME       1000
#define TCP_LISTEN_BACKLOG      1
#define TCP_DEFAULT_LISTEN_BACKLOG 0xff
#define LWIP_TCP_PCB_NUM_EXT_ARGS 1
#define SO_REUSE                1
#define SO_REUSE_RXTOALL        0

#endif
