/*
 * Random bytes: ChaCha20 with fast key erasure.
 *
 * The state is one key. Each request takes blocks of the key's stream: the first 32 bytes become
 * the next key, and only what follows is given out, so that who later reads the state learns
 * nothing about bytes given out before. A long request draws a key of its own and streams from it
 * outside the lock.
 *
 * Entropy is mixed in: 32 bytes at a time are added (exclusive or) to the key, which is then
 * replaced by its own stream. A source that knows or chooses what it delivers cannot steer the key
 * without knowing it; so sources are never trusted, only counted. Seeded means that sources have
 * claimed 128 bits. The clock at each delivery is mixed in too and counts for nothing.
 *
 * Sources are asked for more at boot and, when there is use, every five minutes; nothing ticks.
 *
 * Locks: random_lock, irq-safe, a leaf.
 */
#include <core/arch.h>
#include <core/init.h>
#include <core/log.h>
#include <core/string.h>
#include <core/sync.h>
#include <core/thread.h>
#include <core/time.h>
#include <libos/rng.h>

#include "chacha20.h"

#define SEEDED_BITS       128u
#define RESEED_NS         (300 * NSEC_PER_SEC)
#define SHORT_BYTES       32u  /* answered with the rest of the block that gives the next key */
#define BOOT_SEED_BYTES   64u

static struct spinlock random_lock = SPINLOCK_INIT;
static uint8_t key[CHACHA20_KEY_BYTES];  /* [random_lock] */
static unsigned credited_bits;           /* [random_lock] up to SEEDED_BITS */
static uint64_t reseed_at_ns;            /* [random_lock] */
static struct random_source *sources;    /* atomic; only ever extended */
static uint32_t seeded;                  /* atomic latch */
static struct waitq seeded_waiters = WAITQ_INIT(seeded_waiters);

static const uint8_t nonce_output[12] = "kiln output";
static const uint8_t nonce_mix[12] = "kiln mix in";
static const uint8_t nonce_stream[12] = "kiln stream";

/* What the compiler must not leave out. */
static void forget(void *p, size_t len)
{
	memset(p, 0, len);
	__asm__ volatile("" : : "r"(p) : "memory");
}

/* Up to SHORT_BYTES of output, and the next key. */
static void draw_locked(uint8_t *out, size_t len)
{
	uint8_t block[CHACHA20_BLOCK_BYTES];

	chacha20_block(block, key, 0, nonce_output);
	memcpy(key, block, sizeof(key));
	memcpy(out, block + sizeof(key), len);
	forget(block, sizeof(block));
}

static void mix_locked(const uint8_t *bytes, size_t len)
{
	uint8_t block[CHACHA20_BLOCK_BYTES];

	for (size_t i = 0; i < len; i++)
		key[i] ^= bytes[i];
	chacha20_block(block, key, (uint32_t)len, nonce_mix);
	memcpy(key, block, sizeof(key));
	forget(block, sizeof(block));
}

static void stream(uint8_t *out, size_t len, const uint8_t stream_key[CHACHA20_KEY_BYTES])
{
	uint8_t block[CHACHA20_BLOCK_BYTES];

	for (uint32_t counter = 0; len; counter++) {
		size_t n = MIN(len, sizeof(block));

		chacha20_block(block, stream_key, counter, nonce_stream);
		memcpy(out, block, n);
		out += n;
		len -= n;
	}
	forget(block, sizeof(block));
}

static void ask_sources(void)
{
	for (struct random_source *s = __atomic_load_n(&sources, __ATOMIC_ACQUIRE); s; s = s->next)
		s->request(s);
}

static void draw(uint8_t *out, size_t len)
{
	irqflags_t flags = spin_lock_irq(&random_lock);
	uint64_t now = clock_ns();
	bool due = now >= reseed_at_ns && sources;

	if (due)
		reseed_at_ns = now + RESEED_NS;
	draw_locked(out, len);
	spin_unlock_irq(&random_lock, flags);
	if (due)
		ask_sources();
}

void random_bytes(void *buf, size_t len)
{
	uint8_t stream_key[CHACHA20_KEY_BYTES];
	/* A key streams 256 GiB; no single request is that long. */

	if (len <= SHORT_BYTES) {
		draw(buf, len);
		return;
	}
	draw(stream_key, sizeof(stream_key));
	stream(buf, len, stream_key);
	forget(stream_key, sizeof(stream_key));
}

bool random_is_seeded(void)
{
	return __atomic_load_n(&seeded, __ATOMIC_ACQUIRE);
}

void random_add_entropy(const void *buf, size_t len, unsigned credit_bits)
{
	uint64_t now = clock_ns();
	const uint8_t *at = buf;
	irqflags_t flags = spin_lock_irq(&random_lock);
	bool enough;

	mix_locked((const uint8_t *)&now, sizeof(now));
	while (len) {
		size_t n = MIN(len, sizeof(key));

		mix_locked(at, n);
		at += n;
		len -= n;
	}
	credited_bits = MIN(credited_bits + MIN(credit_bits, SEEDED_BITS), SEEDED_BITS);
	enough = credited_bits == SEEDED_BITS;
	spin_unlock_irq(&random_lock, flags);
	if (enough && !__atomic_exchange_n(&seeded, 1, __ATOMIC_ACQ_REL))
		waitq_wake_all(&seeded_waiters);
}

void random_wait_seeded(void)
{
	if (likely(random_is_seeded()))
		return;
	ask_sources();
	(void)waitq_wait(&seeded_waiters, random_is_seeded(), DEADLINE_NEVER, false);
}

void random_source_add(struct random_source *s)
{
	s->next = __atomic_load_n(&sources, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&sources, &s->next, s, false, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
	s->request(s);
}

static int random_init(void)
{
	uint8_t seed[BOOT_SEED_BYTES];
	size_t len = arch_entropy(seed, sizeof(seed));
	uint64_t ticks = arch_ticks();

	random_add_entropy(&ticks, sizeof(ticks), 0);
	random_add_entropy(seed, len, (unsigned)len * 8);
	forget(seed, sizeof(seed));
	if (!random_is_seeded())
		log_debug("random: %zu bytes of seed at boot, waiting for a device", len);
	return 0;
}
INIT(INIT_CORE, random_init);
