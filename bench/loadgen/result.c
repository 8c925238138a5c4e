/*
 * What is counted, and the one JSON object that tells it.
 *
 * Latencies go into a histogram, exact below 2^STEPS_LOG2 ns and with 2^STEPS_LOG2 buckets per
 * power of two above: a percentile is wrong by less than 1.6 %. The greatest latency is kept as it
 * is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loadgen.h"

#define STEPS_LOG2     6
#define HISTOGRAM_SIZE (64u << STEPS_LOG2)

struct result result;
static uint64_t histogram[HISTOGRAM_SIZE], slowest_ns;

uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void die(const char *what)
{
	fprintf(stderr, "loadgen: %s: %s\n", what, strerror(errno));
	exit(2);
}

void result_clear(void)
{
	memset(&result, 0, sizeof(result));
	memset(histogram, 0, sizeof(histogram));
	slowest_ns = 0;
}

void result_error(const char *what, const char *bytes, size_t len)
{
	if (result.errors++)
		return;
	fprintf(stderr, "loadgen: %s: ", what);
	for (size_t i = 0; i < len && i < 80; i++)
		fprintf(stderr, bytes[i] < ' ' || bytes[i] > '~' ? "\\x%02x" : "%c",
			(unsigned char)bytes[i]);
	fputc('\n', stderr);
}

static unsigned bucket_of(uint64_t ns)
{
	if (ns < (1u << STEPS_LOG2))
		return (unsigned)ns;
	unsigned power = 63u - (unsigned)__builtin_clzll(ns);
	return ((power - STEPS_LOG2 + 1) << STEPS_LOG2) +
	       (unsigned)((ns >> (power - STEPS_LOG2)) & ((1u << STEPS_LOG2) - 1));
}

static uint64_t bucket_value(unsigned bucket)
{
	unsigned power = bucket >> STEPS_LOG2;
	uint64_t step = bucket & ((1u << STEPS_LOG2) - 1);
	return power == 0 ? step : ((1u << STEPS_LOG2) + step) << (power - 1);
}

void result_latency(uint64_t ns)
{
	histogram[bucket_of(ns)]++;
	if (ns > slowest_ns)
		slowest_ns = ns;
}

static double percentile_us(double fraction)
{
	uint64_t wanted = (uint64_t)((double)result.done * fraction), seen = 0;
	for (unsigned i = 0; i < HISTOGRAM_SIZE; i++) {
		seen += histogram[i];
		if (seen > wanted)
			return (double)bucket_value(i) / 1000.0;
	}
	return 0;
}

void result_print(double seconds)
{
	printf("{\"requests\": %lu, \"lost\": %lu, \"seconds\": %.6f, \"ops\": %.1f, \"gets\": %lu, \"sets\": %lu, \"hits\": %lu, "
	       "\"misses\": %lu, \"mismatches\": %lu, \"errors\": %lu, \"bytes_in\": %lu, \"p50_us\": %.1f, "
	       "\"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f",
	       result.done, result.lost, seconds, (double)result.done / seconds, result.gets,
	       result.sets, result.hits, result.misses, result.mismatches, result.errors,
	       result.bytes_in, percentile_us(0.5), percentile_us(0.99), percentile_us(0.999),
	       (double)slowest_ns / 1000.0);
	guest_print(seconds, (double)result.done);
	puts("}");
}
