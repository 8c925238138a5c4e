/*
 * A laboratory for the stack's tests: a network device whose wire leads into a mirror.
 *
 * The mirror answers ARP and neighbour solicitations for one far address and sends every other
 * packet back with source and destination exchanged. (The checksums stay right: sums do not care
 * for order.) So a connection to the far address arrives at our own listener, and one stack plays
 * both ends over a real device. The wire has delay and, by a seeded chance, loses, doubles, delays
 * and damages frames. Time is the laboratory's: it jumps to the next event.
 */
#ifndef NET_LAB_H
#define NET_LAB_H

#include <core/types.h>
#include <libos/netdev.h>
#include <libos/stream.h>

#define LAB_OWN_IP4 "10.0.0.1"
#define LAB_FAR_IP4 "10.0.0.9"
#define LAB_OWN_IP6 "fec0::1"
#define LAB_FAR_IP6 "fec0::9"

struct lab_wire {
	unsigned lose_permille, double_permille, delay_permille, damage_permille;
	uint64_t delay_ns;            /* each frame's; delayed ones take up to 16 times as long */
	bool slow_completion;         /* the device keeps sent frames until lab_complete() */
	/* bytes behind each frame that arrives which are its own, too */
	unsigned frame_room;
	unsigned ring_room;           /* frames the device takes before -EAGAIN; 0: no limit */
	bool is_cut;                  /* everything is lost */
};
extern struct lab_wire lab_wire;
extern struct netdev lab_netdev;

struct lab_counts {
	uint64_t sent, delivered, lost, longest_frame, lent, kicks;
};
extern struct lab_counts lab_counts;

void lab_start(void);                            /* once per program; then a quiet wire each time */
uint64_t lab_now(void);
/* Lets everything happen that happens until `ns` from now; runs the loops given to lab_use(). */
void lab_run(uint64_t ns);
/* The same, until the condition holds; false after `ns`. */
bool lab_run_until(bool (*condition)(void *arg), void *arg, uint64_t ns);
void lab_use(struct stream_loop *loop);          /* NULL: none */
void lab_offload(uint32_t features);             /* enum netdev_feature: what the device can do */
void lab_inject(const void *frame, size_t len);  /* a frame arrives from the wire */
void lab_complete(void);                         /* with slow_completion: the device lets go */
/* Sees every frame we send, before the wire's fate for it; NULL: nobody. */
extern void (*lab_tap)(const uint8_t *frame, size_t len, const struct netbuf *b);
/* Sees every frame that arrives. */
extern void (*lab_arrival_tap)(const uint8_t *frame, size_t len);

#endif
