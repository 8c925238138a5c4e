/*
 * Reading an HTTP request's head.
 *
 * Pages here take no content, so a request with any is refused, and with it goes the question where
 * the next request begins. Lines end with CR LF; a lone LF, a control character, a folded field, a
 * blank before a colon or a second Host are errors (RFC 9112, sections 2.2, 3.2, 5.1, 5.2).
 */
#include "http.h"

enum field_bits { FIELD_HOST = 1, FIELD_LENGTH = 2 };

struct reader {
	const char *at, *end;   /* the head, without the empty line that ends it */
	struct http_request *request;
	unsigned seen;          /* enum field_bits */
};

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

bool http_word_is(struct http_word w, const char *text)
{
	size_t i = 0;

	while (i < w.len && text[i] && w.at[i] == text[i])
		i++;
	return i == w.len && !text[i];
}

/* The same whatever the case of letters; `text` is in lower case. */
static bool word_is_like(struct http_word w, const char *text)
{
	size_t i = 0;

	while (i < w.len && text[i] && lower(w.at[i]) == text[i])
		i++;
	return i == w.len && !text[i];
}

/* Cuts off what stands before the first `end`; the whole rest when there is none. */
static struct http_word cut(struct http_word *rest, char end)
{
	struct http_word w = { rest->at, 0 };

	while (w.len < rest->len && w.at[w.len] != end)
		w.len++;
	rest->at += w.len;
	rest->len -= w.len;
	if (rest->len) {
		rest->at++;
		rest->len--;
	}
	return w;
}

/* Up to 18 digits, which fit; false for anything else. */
static bool read_number(struct http_word w, uint64_t *value)
{
	uint64_t n = 0;

	if (!w.len || w.len > 18)
		return false;
	for (size_t i = 0; i < w.len; i++) {
		if (w.at[i] < '0' || w.at[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(w.at[i] - '0');
	}
	*value = n;
	return true;
}

bool http_query_has(struct http_word query, const char *name, uint64_t *value)
{
	while (query.len) {
		struct http_word one = cut(&query, '&'), key = cut(&one, '=');

		if (!http_word_is(key, name))
			continue;
		if (value)
			(void)read_number(one, value);
		return true;
	}
	return false;
}

static bool is_token_char(char c)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";

	if ((lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9'))
		return true;
	for (const char *m = marks; *m; m++) {
		if (c == *m)
			return true;
	}
	return false;
}

static bool is_token(struct http_word w)
{
	for (size_t i = 0; i < w.len; i++) {
		if (!is_token_char(w.at[i]))
			return false;
	}
	return w.len > 0;
}

static struct http_word trim(struct http_word w)
{
	while (w.len && (w.at[0] == ' ' || w.at[0] == '\t')) {
		w.at++;
		w.len--;
	}
	while (w.len && (w.at[w.len - 1] == ' ' || w.at[w.len - 1] == '\t'))
		w.len--;
	return w;
}

/* The next line of the head, which is known to have only CR LF as line ends. */
static struct http_word next_line(struct reader *r)
{
	struct http_word line = { r->at, 0 };

	while (r->at + line.len < r->end && line.at[line.len] != '\r')
		line.len++;
	r->at += line.len + 2;
	return line;
}

/*
 * "/path?query", also behind "http://host" (RFC 9112, section 3.2.2). Nothing but printable ASCII.
 */
static unsigned read_target(struct http_word target, struct http_request *out)
{
	static const char scheme[] = "http://";
	struct http_word rest = target;

	for (size_t i = 0; i < target.len; i++) {
		if (target.at[i] < '!' || target.at[i] > '~')
			return 400;
	}
	if (target.len > sizeof(scheme) - 1 &&
	    word_is_like((struct http_word){ target.at, sizeof(scheme) - 1 }, scheme)) {
		rest.at += sizeof(scheme) - 1;
		rest.len -= sizeof(scheme) - 1;
		while (rest.len && rest.at[0] != '/') {
			rest.at++;
			rest.len--;
		}
	}
	if (!rest.len || rest.at[0] != '/')
		return 400;
	out->path = cut(&rest, '?');
	out->query = rest;
	return 0;
}

static unsigned read_request_line(struct http_word line, struct http_request *out)
{
	struct http_word target;

	out->method = cut(&line, ' ');
	target = cut(&line, ' ');
	if (!is_token(out->method) || line.len != 8 ||
	    !word_is_like((struct http_word){ line.at, 5 }, "http/"))
		return 400;
	if (line.at[5] != '1' || line.at[6] != '.' || line.at[7] < '0' || line.at[7] > '9')
		return 505;
	out->is_1_1 = line.at[7] != '0';
	out->keep_alive = out->is_1_1;
	return read_target(target, out);
}

static void read_connection(struct http_word value, struct http_request *out)
{
	while (value.len) {
		struct http_word option = trim(cut(&value, ','));

		if (word_is_like(option, "close"))
			out->keep_alive = false;
	}
}

static unsigned read_length(struct reader *r, struct http_word value)
{
	uint64_t bytes;

	if (r->seen & FIELD_LENGTH || !read_number(value, &bytes))
		return 400;
	r->seen |= FIELD_LENGTH;
	return bytes ? 413 : 0;
}

static unsigned read_field(struct reader *r, struct http_word line)
{
	struct http_word name = cut(&line, ':'), value = trim(line);

	if (!is_token(name) || name.at + name.len == line.at)
		return 400;
	if (word_is_like(name, "connection"))
		read_connection(value, r->request);
	if (word_is_like(name, "transfer-encoding"))
		return 413;
	if (word_is_like(name, "content-length"))
		return read_length(r, value);
	if (word_is_like(name, "host")) {
		if (r->seen & FIELD_HOST)
			return 400;
		r->seen |= FIELD_HOST;
	}
	return 0;
}

static unsigned read_head(struct reader *r)
{
	unsigned status = read_request_line(next_line(r), r->request);

	while (!status && r->at < r->end)
		status = read_field(r, next_line(r));
	if (!status && r->request->is_1_1 && !(r->seen & FIELD_HOST))
		status = 400;
	return status;
}

/*
 * Length of the head with the empty line behind it. 0: not all there. *bad: no head will come of
 * it.
 */
static size_t head_length(const uint8_t *data, size_t len, bool *bad)
{
	for (size_t i = 0; i < len; i++) {
		bool ends_line = data[i] == '\n' && i && data[i - 1] == '\r';
		bool is_lone_cr = i && data[i - 1] == '\r' && data[i] != '\n';

		*bad = is_lone_cr || data[i] == 127 ||
		       (data[i] < ' ' && data[i] != '\r' && data[i] != '\t' && !ends_line);
		if (*bad)
			return 0;
		if (ends_line && i >= 3 && data[i - 2] == '\n')
			return i + 1;
	}
	return 0;
}

static size_t refuse(struct http_request *out, unsigned status, size_t len)
{
	out->status = status;
	out->keep_alive = false;
	return len;
}

size_t http_parse(const uint8_t *data, size_t len, struct http_request *out)
{
	struct reader r = { .request = out };
	size_t blank = 0, head;
	bool bad = false;

	*out = (struct http_request){ 0 };
	while (blank + 1 < len && blank < HTTP_HEAD_MAX && data[blank] == '\r' &&
	       data[blank + 1] == '\n')
		blank += 2;          /* empty lines before a request are ignored (section 2.2) */
	head = head_length(data + blank, (len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX) - blank, &bad);
	if (bad)
		return refuse(out, 400, len);
	if (!head)
		return len < HTTP_HEAD_MAX ? 0 : refuse(out, 431, len);
	r.at = (const char *)data + blank;
	r.end = r.at + head - 2;
	out->status = read_head(&r);
	return out->status ? refuse(out, out->status, len) : blank + head;
}

const char *http_reason(unsigned status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 413:
		return "Content Too Large";
	case 431:
		return "Request Header Fields Too Large";
	case 503:
		return "Service Unavailable";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return "Error";
	}
}
