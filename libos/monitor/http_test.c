/*
 * Request heads: what is taken, what is refused and with which status, and that no bytes do harm.
 */
#include <core/string.h>
#include <core/test.h>

#include "http.h"

static struct http_request request;

static size_t parse(const char *text)
{
	return http_parse((const uint8_t *)text, str_length(text), &request);
}

#define HOST "Host: x\r\n"

static bool is_refused(const char *text, unsigned status)
{
	size_t len = str_length(text);

	return parse(text) == len && request.status == status && !request.keep_alive;
}

TEST(http_reads_a_request)
{
	const char *text = "GET /trace?ms=50&x HTTP/1.1\r\n" HOST "Accept: */*\r\n\r\nGET";

	CHECK_EQ(parse(text), str_length(text) - 3);
	CHECK_EQ(request.status, 0);
	CHECK(request.is_1_1 && request.keep_alive);
	CHECK(http_word_is(request.method, "GET") && http_word_is(request.path, "/trace"));
	CHECK(http_word_is(request.query, "ms=50&x"));
}

TEST(http_waits_for_the_whole_head)
{
	const char *text = "\r\nGET / HTTP/1.1\r\n" HOST "\r\n";

	for (size_t len = 0; len < str_length(text); len++)
		CHECK_EQ(http_parse((const uint8_t *)text, len, &request), 0);
	CHECK_EQ(parse(text), str_length(text));
	CHECK_EQ(request.status, 0);
}

TEST(http_knows_when_a_connection_ends)
{
	CHECK(parse("GET / HTTP/1.0\r\n\r\n") && !request.keep_alive && !request.is_1_1 && !request.status);
	CHECK(parse("GET / HTTP/1.1\r\n" HOST "Connection: TE, Close\r\n\r\n") && !request.keep_alive);
	CHECK(parse("GET / HTTP/1.1\r\n" HOST "connection: keep-alive\r\n\r\n") && request.keep_alive);
}

TEST(http_takes_a_target_with_a_host)
{
	CHECK(parse("GET HTTP://host:9100/a?b=c HTTP/1.1\r\n" HOST "\r\n") && !request.status);
	CHECK(http_word_is(request.path, "/a") && http_word_is(request.query, "b=c"));
}

TEST(http_refuses_what_is_no_request)
{
	CHECK(is_refused("GET / HTTP/1.1\nHost: x\n\n", 400));
	CHECK(is_refused("GET /\r\n\r\n", 400));
	CHECK(is_refused("GET  / HTTP/1.1\r\n" HOST "\r\n", 400));
	CHECK(is_refused("G(T / HTTP/1.1\r\n" HOST "\r\n", 400));
	CHECK(is_refused("GET a HTTP/1.1\r\n" HOST "\r\n", 400));
	CHECK(is_refused("GET http://host HTTP/1.1\r\n" HOST "\r\n", 400));
	CHECK(is_refused("GET / HTTP/1.1\r\n\r\n", 400));
	CHECK(is_refused("GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400));
	CHECK(is_refused("GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400));
	CHECK(is_refused("GET / HTTP/1.1\r\n" HOST " folded\r\n\r\n", 400));
	CHECK(is_refused("GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n", 400));
	CHECK(is_refused("GET /\x7f HTTP/1.1\r\n", 400));
	CHECK(is_refused("GET / HTTP/1.1\rHost: x\r\n", 400));
	CHECK(is_refused("GET / HTTP/2.0\r\n" HOST "\r\n", 505));
	CHECK(is_refused("\x16\x03\x01\x02", 400));
}

TEST(http_refuses_content)
{
	CHECK(is_refused("GET / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello", 413));
	CHECK(is_refused("GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 413));
	CHECK(is_refused("GET / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n", 400));
	CHECK(is_refused("GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\nContent-Length: 0\r\n\r\n", 400));
	CHECK(parse("GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n") && !request.status);
}

TEST(http_bounds_a_head)
{
	static char text[HTTP_HEAD_MAX + 1];

	memset(text, 'a', HTTP_HEAD_MAX);
	CHECK_EQ(http_parse((uint8_t *)text, HTTP_HEAD_MAX - 1, &request), 0);
	CHECK_EQ(http_parse((uint8_t *)text, HTTP_HEAD_MAX, &request), HTTP_HEAD_MAX);
	CHECK_EQ(request.status, 431);
}

TEST(http_finds_words_of_a_query)
{
	struct http_word query = { "seconds=12&raw&ms=&seconds=13", 29 };
	uint64_t n = 7;

	CHECK(http_query_has(query, "seconds", &n) && n == 12);
	CHECK(http_query_has(query, "raw", NULL));
	n = 7;
	CHECK(http_query_has(query, "ms", &n) && n == 7);
	CHECK(!http_query_has(query, "sec", &n) && !http_query_has(query, "", &n));
	query = (struct http_word){ "n=99999999999999999999", 22 };
	CHECK(http_query_has(query, "n", &n) && n == 7);
}

/* Whatever comes, the answer is about bytes that were given, and never less than nothing. */
TEST(http_survives_noise)
{
	static const char alphabet[] = "GET / HTTP/1.1\r\n\r\nHost: x?&=%\t\x80\x01";
	uint8_t text[120];

	for (unsigned round = 0; round < 50000; round++) {
		size_t len = test_random_below(sizeof(text)), taken;

		for (size_t i = 0; i < len; i++)
			text[i] = (uint8_t)
				alphabet[(i + (test_random_below(8) ? 0 : test_random())) %
					 (sizeof(alphabet) - 1)];
		taken = http_parse(text, len, &request);
		CHECK(taken <= len);
		if (taken && !request.status)
			CHECK(request.path.len && request.path.at[0] == '/');
	}
}
