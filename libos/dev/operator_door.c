/*
 * The operator's door: the character port named kiln.ctl, and the thread that serves it.
 *
 * The thread exists once the port does. It reads lines, runs them one after the other, and writes
 * the answers. An operator who does not read is waited for PATIENCE_NS without progress; the rest
 * of that answer is then dropped, so a command always comes to its end. The unfinished line of one
 * who goes away is forgotten. Bytes and leaving come by different queues, so that the next one's
 * first bytes may be here before it is known that the last one has left: a program that wants to be
 * sure begins with LINE_KILL, and what follows that is not taken for the former's. For the same
 * reason an answer is not dropped because the peer is said to be gone.
 */
#include <core/errno.h>
#include <core/init.h>
#include <core/log.h>
#include <core/sync.h>
#include <core/thread.h>
#include <core/time.h>
#include <libos/charport.h>

#include "operator.h"

#define PATIENCE_NS (5 * NSEC_PER_SEC)
#define CHUNK       64u
#define LINE_KILL   '\x15' /* control-U, as on a terminal */

/*
 * Signals are latches: set by the port's owner calls, cleared by the door's thread before it looks.
 */
static struct door {
	struct charport *port;
	struct waitq changed;
	uint32_t readable, writable, left; /* atomic */
	bool dropping;                  /* the rest of this answer is not wanted */
	/* by LINE_KILL, after which nobody's leaving was told yet */
	bool cleared;
	struct operator_line line;
} door = { .changed = WAITQ_INIT(door.changed) };

enum operator_line_event operator_line_add(struct operator_line *l, char byte)
{
	enum operator_line_event event = LINE_COMPLETE;

	if (byte == '\r')
		return LINE_GROWS;
	if (byte == LINE_KILL) {
		operator_line_clear(l);
		return LINE_GROWS;
	}
	if (byte != '\n') {
		l->unprintable |= byte < ' ' || byte > '~';
		l->too_long |= l->len == OPERATOR_LINE_MAX;
		if (!l->too_long)
			l->text[l->len++] = byte;
		return LINE_GROWS;
	}
	if (l->too_long)
		event = LINE_TOO_LONG;
	else if (l->unprintable)
		event = LINE_UNPRINTABLE;
	l->text[l->len] = 0;
	return event;
}

void operator_line_clear(struct operator_line *l)
{
	l->len = 0;
	l->too_long = l->unprintable = false;
}

static void signal(uint32_t *latch)
{
	__atomic_store_n(latch, 1, __ATOMIC_RELEASE);
	waitq_wake_all(&door.changed);
}

static bool take(uint32_t *latch)
{
	return __atomic_exchange_n(latch, 0, __ATOMIC_ACQ_REL);
}

static void door_readable(struct charport *p)
{
	(void)p;
	signal(&door.readable);
}

static void door_writable(struct charport *p)
{
	(void)p;
	signal(&door.writable);
}

static void door_peer_changed(struct charport *p, bool open)
{
	(void)p;
	if (!open)
		signal(&door.left);
}

static const struct charport_owner door_owner = {
	.readable = door_readable,
	.writable = door_writable,
	.peer_changed = door_peer_changed,
};

static bool has(const uint32_t *latch)
{
	return __atomic_load_n(latch, __ATOMIC_ACQUIRE);
}

/* Waits for room. False: nobody reads any more. */
static bool wait_writable(void)
{
	uint64_t deadline = clock_ns() + PATIENCE_NS;
	int error = waitq_wait(&door.changed, has(&door.writable), deadline, false);

	return !error && take(&door.writable);
}

static void door_write(void *arg, const char *bytes, size_t len)
{
	struct charport *p = door.port;

	(void)arg;
	while (len && !door.dropping) {
		kssize_t n = p->ops->write(p, bytes, len);

		if (n < 0)
			door.dropping = true;
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
		if (len && !door.dropping && !wait_writable()) {
			door.dropping = true;
			log_warn("operator: nobody reads the answer; the rest is dropped");
		}
	}
}

static void say(const char *text)
{
	size_t len = 0;

	while (text[len])
		len++;
	door_write(NULL, text, len);
}

static void door_take(char byte)
{
	enum operator_line_event event = operator_line_add(&door.line, byte);

	door.cleared |= byte == LINE_KILL;
	if (event == LINE_GROWS)
		return;
	door.dropping = false;
	if (event == LINE_TOO_LONG)
		say("error: the line is too long\n");
	else if (event == LINE_UNPRINTABLE)
		say("error: the line holds characters that are not printable ASCII\n");
	else if (door.line.len)
		operator_run(door.line.text, door_write, NULL);
	operator_line_clear(&door.line);
}

static void forget_who_left(void)
{
	if (!door.cleared)
		operator_line_clear(&door.line);
	door.cleared = false;
}

static void door_main(void *arg)
{
	struct charport *p = door.port;
	char chunk[CHUNK];

	(void)arg;
	for (;;) {
		kssize_t n = p->ops->read(p, chunk, sizeof(chunk));

		if (take(&door.left))
			forget_who_left();
		for (kssize_t i = 0; i < n; i++)
			door_take(chunk[i]);
		if (n <= 0) {
			(void)waitq_wait(&door.changed, has(&door.readable) || has(&door.left),
					 DEADLINE_NEVER, false);
			take(&door.readable);
		}
	}
}

static void door_claimed(struct charport *p)
{
	static const struct thread_attr attr = {
		.name = "operator", .priority = THREAD_PRIORITY_KERNEL, .detached = true, .hart = -1
	};
	struct thread *t;

	door.port = p;
	if (thread_create(&attr, door_main, NULL, 0, &t)) {
		log_error("operator: no memory for its thread");
		return;
	}
	thread_start(t);
}

static struct charport_claim door_claim = {
	.name = "kiln.ctl", .owner = &door_owner, .claimed = door_claimed
};

static int operator_init(void)
{
	charport_claim(&door_claim);
	return 0;
}
INIT(INIT_SERVICES, operator_init);
