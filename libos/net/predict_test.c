/*
 * Header prediction must change nothing but the cost: the same conversations over the same bad
 * wire, with prediction and without, must bring every connection through the same states.
 *
 * Each conversation runs in a child process made at the same point, so that sequence numbers,
 * ports, the phase of the timers and all chances are the same. The child leaves one word for each
 * frame that arrived: a digest of the frame and of every field of every connection that it found.
 * The first difference names the frame.
 */
#include <core/kmem.h>
#include <core/test.h>

#include <string.h>

#include "lab.h"
#include "lwip/priv/tcp_priv.h"
#include "predict.h"
#include "stream_lwip.h"
#include "template.h"

/* The host's, by hand: this directory is built without the C library's headers. */
int fork(void);
int waitpid(int pid, int *status, int options);
void host_memory_detach(void);
void _exit(int status) __attribute__((noreturn));
void *mmap(void *at, size_t len, int protection, int flags, int fd, long offset);
int munmap(void *at, size_t len);
enum { READ_WRITE = 3, SHARED_ANONYMOUS = 0x21 };

#define TALKERS     3
#define BYTES       KIB(150)
#define RECORDS_MAX 200000
#define PORT        7301

/* What a child leaves behind. */
struct trace {
	size_t count;
	bool is_complete, is_wrong;
	uint64_t predicted;
	uint64_t digest[RECORDS_MAX];
};

static struct trace *trace;
static struct stream_loop *loop;
static struct talker {
	struct stream *stream;
	size_t sent, got;
	bool is_done;
} talkers[TALKERS];

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15;
	return h ^ h >> 29;
}

static uint64_t mix_bytes(uint64_t h, const uint8_t *p, size_t len)
{
	for (; len; p++, len--)
		h = mix(h, *p);
	return h;
}

static uint64_t mix_segments(uint64_t h, const struct tcp_seg *s)
{
	for (; s; s = s->next)
		h = mix(mix(h, s->tcphdr->seqno), s->len);
	return mix(h, 1);
}

static uint64_t digest_of(const struct tcp_pcb *p)
{
	const uint64_t fields[] = {
		p->state, p->flags, p->local_port, p->remote_port, p->polltmr, tcp_ticks - p->tmr,
		p->rcv_nxt, p->rcv_wnd, p->rcv_ann_wnd, p->rcv_ann_right_edge, (uint64_t)p->rtime,
		p->mss, p->rttest, p->rtseq, (uint64_t)p->sa, (uint64_t)p->sv, (uint64_t)p->rto,
		p->nrtx, p->dupacks, p->lastack, p->cwnd, p->ssthresh, p->rto_end, p->snd_nxt,
		p->snd_wl1, p->snd_wl2, p->snd_lbb, p->snd_wnd, p->snd_wnd_max, p->snd_buf,
		p->snd_queuelen, p->unsent_oversize, p->bytes_acked, p->refused_data != NULL,
		p->persist_cnt, p->persist_backoff, p->persist_probe, p->keep_cnt_sent,
	};
	uint64_t h = 1;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		h = mix(h, fields[i]);
	h = mix_bytes(h, (const uint8_t *)p->rcv_sacks, sizeof(p->rcv_sacks));
	return mix_segments(mix_segments(mix_segments(h, p->unsent), p->unacked), p->ooseq);
}

/*
 * lwIP's list has the connection that last received something in front; prediction leaves it where
 * it is. The timers go through the list, so its order decides which of two acknowledgements leaves
 * first. Here it is the order of ports, whenever the stack looks at the clock.
 */
static uint64_t clock_that_sorts(void)
{
	struct tcp_pcb *left = tcp_active_pcbs, *sorted = NULL, **at;

	while (left) {
		struct tcp_pcb *p = left;

		left = p->next;
		for (at = &sorted; *at && (*at)->local_port + (*at)->remote_port * 3u <
						  p->local_port + p->remote_port * 3u;
		     at = &(*at)->next)
			continue;
		p->next = *at;
		*at = p;
	}
	tcp_active_pcbs = sorted;
	return lab_now();
}

static void record(const uint8_t *frame, size_t len)
{
	uint64_t sum = 0;

	for (const struct tcp_pcb *p = tcp_active_pcbs; p; p = p->next)
		sum += digest_of(p);
	if (trace->count < RECORDS_MAX)
		trace->digest[trace->count++] = mix(mix_bytes(lab_now(), frame, len), sum);
}

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 13 + (i >> 9));
}

static void say_more(struct talker *t)
{
	uint8_t chunk[3000];

	while (t->sent < BYTES && stream_backlog(t->stream) < KIB(20)) {
		size_t n = 1 + test_random() % sizeof(chunk);

		if (n > BYTES - t->sent)
			n = BYTES - t->sent;
		for (size_t i = 0; i < n; i++)
			chunk[i] = pattern(t->sent + i);
		if (stream_write(t->stream, chunk, n))
			return;
		t->sent += n;
	}
}

static int talker_opened(struct stream *s)
{
	struct talker *t = stream_user(s);

	t->stream = s;
	say_more(t);
	return 0;
}

static size_t talker_received(struct stream *s, const uint8_t *data, size_t len)
{
	struct talker *t = stream_user(s);

	for (size_t i = 0; i < len; i++)
		trace->is_wrong |= data[i] != pattern(t->got + i);
	t->got += len;
	say_more(t);
	if (t->got == BYTES)
		stream_close(s);
	return len;
}

static void talker_closed(struct stream *s, int error)
{
	struct talker *t = stream_user(s);

	(void)error;
	t->is_done = true;
}

static const struct stream_ops talker_ops = { talker_opened, talker_received, NULL, NULL,
					      talker_closed };

/* An echo that now and then stops reading for long enough to close its window. */
struct pause {
	struct stream_timer timer;
	struct stream *stream;
};

static void pause_ends(struct stream_timer *t)
{
	struct pause *p = container_of(t, struct pause, timer);

	stream_pause(p->stream, false);
}

static int echo_opened(struct stream *s)
{
	struct pause *p = kzalloc(sizeof(*p));

	p->stream = s;
	stream_set_user(s, p);
	return 0;
}

static size_t echo_received(struct stream *s, const uint8_t *data, size_t len)
{
	struct pause *p = stream_user(s);
	size_t most = 1 + test_random() % 4000;

	if (len > most)
		len = most;
	if (stream_write(s, data, len))
		stream_abort(s);
	if (test_random() % 50 == 0) {
		stream_pause(s, true);
		stream_timer_arm(loop, &p->timer,
				 stream_now_ns() + test_random() % (2 * NSEC_PER_SEC), pause_ends);
	}
	return len;
}

static void echo_closed(struct stream *s, int error)
{
	struct pause *p = stream_user(s);

	(void)error;
	stream_timer_cancel(loop, &p->timer);
	kfree(p);
}

static const struct stream_ops echo_ops = { echo_opened, echo_received, NULL, NULL, echo_closed };

static bool all_done(void *arg)
{
	(void)arg;
	for (int i = 0; i < TALKERS; i++)
		if (!talkers[i].is_done)
			return false;
	return true;
}

static const struct sockaddr *address(bool is_v6, uint8_t last)
{
	static uint8_t four[16] = { 2, 0, PORT >> 8, PORT & 255, 10 },
		       six[28] = { 10, 0, PORT >> 8, PORT & 255 };

	four[7] = last;
	six[8] = 0xfe, six[9] = 0xc0, six[23] = last;
	return (struct sockaddr *)(is_v6 ? six : four);
}

static void converse(void)
{
	static const uint8_t any6[28] = { 10, 0, PORT >> 8, PORT & 255 };
	struct stream_listener *l;

	if (stream_loop_create(&loop) ||
	    stream_listen(loop, (const struct sockaddr *)any6, 28, &echo_ops, NULL, NULL, &l))
		return;
	lab_use(loop);
	lab_arrival_tap = record;
	for (int i = 0; i < TALKERS; i++)
		stream_connect(loop, address(i == 1, 9), i == 1 ? 28 : 16, &talker_ops, NULL,
			       &talkers[i], &talkers[i].stream);
	trace->is_complete = lab_run_until(all_done, NULL, 1000 * NSEC_PER_SEC);
	for (int i = 0; i < TALKERS; i++)
		trace->is_complete &= talkers[i].got == BYTES;
	lab_run(70 * NSEC_PER_SEC);
}

static struct trace *in_a_child(bool prediction, uint64_t seed, unsigned bad)
{
	uint64_t before = net_predicted();
	int pid, status = 1;

	trace = mmap(NULL, sizeof(*trace), READ_WRITE, SHARED_ANONYMOUS, -1, 0);
	pid = fork();
	if (pid == 0) {
		host_memory_detach();
		net_prediction = prediction;
		net_clock = clock_that_sorts;
		test_seed(seed);
		lab_wire.lose_permille = lab_wire.double_permille = lab_wire.damage_permille = bad;
		lab_wire.delay_permille = 4 * bad;
		converse();
		trace->predicted = net_predicted() - before;
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		trace->is_complete = false;
	return trace;
}

static void compare(uint64_t seed, unsigned bad)
{
	struct trace *with = in_a_child(true, seed, bad), *without = in_a_child(false, seed, bad);
	size_t i = 0;

	CHECK(with->is_complete && without->is_complete);
	CHECK(!with->is_wrong && !without->is_wrong);
	while (i < with->count && with->digest[i] == without->digest[i])
		i++;
	CHECK_EQ(i, without->count);
	CHECK_EQ(with->count, without->count);
	CHECK(with->count < RECORDS_MAX && with->predicted > with->count / 4);
	CHECK_EQ(without->predicted, 0);
	munmap(with, sizeof(*with));
	munmap(without, sizeof(*without));
}

TEST(prediction_changes_nothing_on_a_good_wire)
{
	lab_start();
	compare(1, 0);
}

TEST(prediction_changes_nothing_on_a_bad_wire)
{
	lab_start();
	for (uint64_t seed = 1; seed <= 6; seed++)
		compare(seed, 2 + (unsigned)seed * 4);
}
