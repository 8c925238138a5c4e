/*
 * The DNS client against answers that are right, wrong and malformed.
 */
#include <core/errno.h>
#include <core/test.h>

#include <string.h>

#include "lab.h"
#include "lwip/dns.h"
#include "stack.h"

static struct {
	size_t len;
	uint8_t bytes[600];
} query;

/* The mirror sends our own query back from the server's address; what we want is an answer. */
static void catch_query(const uint8_t *f, size_t len, const struct netbuf *b)
{
	(void)b;
	if (len < 60 || len > sizeof(query.bytes) || f[23] != 17 || f[36] != 0 || f[37] != 53)
		return;
	query.len = len;
	memcpy(query.bytes, f, len);
}

/* Makes the answer to the caught query: one A record, addresses exchanged. */
static size_t make_answer(uint8_t *f)
{
	static const uint8_t record[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7 };
	size_t len = query.len + sizeof(record), ip_len = len - 14, udp_len = len - 34;

	memcpy(f, query.bytes, query.len);
	memcpy(f + query.len, record, sizeof(record));
	memcpy(f, query.bytes + 6, 6);
	memcpy(f + 6, query.bytes, 6);
	memcpy(f + 26, query.bytes + 30, 4);
	memcpy(f + 30, query.bytes + 26, 4);
	memcpy(f + 34, query.bytes + 36, 2);
	memcpy(f + 36, query.bytes + 34, 2);
	f[16] = (uint8_t)(ip_len >> 8), f[17] = (uint8_t)ip_len;
	f[38] = (uint8_t)(udp_len >> 8), f[39] = (uint8_t)udp_len;
	f[40] = f[41] = 0;             /* UDP over IPv4 may go without a checksum */
	f[44] = 0x81, f[45] = 0x80;
	f[49] = 1;                     /* one answer */
	f[24] = f[25] = 0;
	return len;
}

static void seal(uint8_t *f)
{
	uint16_t sum = (uint16_t)~net_checksum(f + 14, 20);

	memcpy(f + 24, &sum, 2);
}

static struct {
	bool is_done;
	uint8_t last;
} answer;

static void found(const char *name, const ip_addr_t *ip, void *arg)
{
	(void)name, (void)arg;
	answer.is_done = true;
	answer.last = ip ? ip4_addr4(ip_2_ip4(ip)) : 0;
}

static bool ask(const char *name)
{
	ip_addr_t server = IPADDR4_INIT_BYTES(10, 0, 0, 9), ip;
	err_t err;

	memset(&answer, 0, sizeof(answer));
	query.len = 0;
	lab_tap = catch_query;
	net_enter();
	dns_setserver(0, &server);
	net_timer_need(NET_TIMER_DNS, 30 * NSEC_PER_SEC);
	err = dns_gethostbyname(name, &ip, found, NULL);
	net_leave();
	lab_run(NSEC_PER_MSEC);
	return err == ERR_INPROGRESS && query.len;
}

TEST(resolve_takes_the_right_answer)
{
	static uint8_t f[700];
	size_t len;

	lab_start();
	CHECK(ask("one.example"));
	len = make_answer(f);
	seal(f);
	lab_inject(f, len);
	lab_run(NSEC_PER_SEC);
	CHECK(answer.is_done);
	CHECK_EQ(answer.last, 7);
}

TEST(resolve_ignores_answers_to_other_questions_and_gives_up)
{
	static uint8_t f[700];
	size_t len;

	lab_start();
	CHECK(ask("two.example"));
	len = make_answer(f);
	f[42] ^= 0x55;                 /* another identifier */
	seal(f);
	lab_inject(f, len);
	lab_run(NSEC_PER_SEC);
	CHECK(!answer.is_done);
	lab_run(60 * NSEC_PER_SEC);
	CHECK(answer.is_done);
	CHECK_EQ(answer.last, 0);
}

TEST(resolve_survives_malformed_answers)
{
	static uint8_t f[700];
	char name[] = "aaaa.example";

	lab_start();
	test_seed(53);
	for (int i = 0; i < 3000; i++) {
		for (int k = 0; k < 4; k++)
			name[k] = (char)('a' + test_random() % 26);
		if (!ask(name)) {
			lab_run(60 * NSEC_PER_SEC);
			continue;
		}
		for (int k = 0; k < 10; k++) {
			size_t len = make_answer(f);

			for (unsigned n = 1 + test_random() % 3; n; n--)
				f[44 + test_random() % (len - 44)] = (uint8_t)test_random();
			if (test_random() % 4 == 0)
				f[39] = (uint8_t)(8 + test_random() % (len - 42));
			seal(f);
			lab_inject(f, len);
			lab_run(NSEC_PER_USEC);
		}
	}
	lab_run(60 * NSEC_PER_SEC);
	CHECK_EQ(lab_counts.lent, 0);
}
