/*
 * Flags of meta commands: one letter, some with a token behind it, each at most once.
 */
#include "base64.h"
#include "meta.h"
#include "number.h"
#include "settings.h"

static const char BAD_TOKEN[] = "CLIENT_ERROR bad token in command line format\r\n";

static bool parse_ttl(struct word w, reltime_t *out)
{
	int32_t exptime;

	if (!number_parse_i32(w.text + 1, w.len - 1, &exptime))
		return false;
	*out = clock_from_exptime(exptime);
	return true;
}

static bool parse_u64(struct word w, uint64_t *out)
{
	return number_parse_u64(w.text + 1, w.len - 1, out);
}

static bool key_decode(struct meta *m)
{
	size_t len = base64_decode(m->key_bytes, m->key.text, m->key.len);

	m->key = (struct word){ m->key_bytes, len };
	m->key_is_binary = true;
	return len > 0;
}

/* Flags that are a switch and nothing more. False: not one of them. */
static bool parse_switch(char flag, struct meta *m)
{
	switch (flag) {
	case 'O': case 'P': case 'L': case 'k': case 's': case 't': case 'c': case 'f':
		return true;
	case 'l':
	case 'h':
		m->look_first = true;
		return true;
	case 'v':
		m->value = true;
		return true;
	case 'u':
		m->no_update = true;
		return true;
	case 'q':
		m->quiet = true;
		return true;
	case 'x':
		m->remove_value = true;
		return true;
	case 'I':
		m->invalidate = true;
		return true;
	}
	return false;
}

/* Flags with a token. NULL, or what is wrong. */
static const char *parse_token(struct word w, struct meta *m)
{
	switch (w.text[0]) {
	case 'b':
		return key_decode(m) ? NULL : "CLIENT_ERROR error decoding key\r\n";
	case 'N':
		m->vivify = m->look_first = true;
		return parse_ttl(w, &m->vivify_expires) ? NULL : BAD_TOKEN;
	case 'T':
		m->new_ttl = m->look_first = true;
		return parse_ttl(w, &m->expires) ? NULL : BAD_TOKEN;
	case 'R':
		m->look_first = true;
		return parse_ttl(w, &m->recache) ? NULL : BAD_TOKEN;
	case 'F':
		return number_parse_u32(w.text + 1, w.len - 1, &m->client_flags) ? NULL :
			"CLIENT_ERROR bad command line format\r\n";
	case 'C':
		m->has_cas = true;
		return parse_u64(w, &m->cas) ? NULL : BAD_TOKEN;
	case 'E':
		return parse_u64(w, &m->new_cas) ? NULL : BAD_TOKEN;
	case 'M':
		m->mode = w.len == 2 ? w.text[1] : 0;
		return w.len == 2 ? NULL : "CLIENT_ERROR incorrect length for M token\r\n";
	case 'J':
		return parse_u64(w, &m->initial) ? NULL
						 : "CLIENT_ERROR invalid numeric initial value\r\n";
	case 'D':
		return parse_u64(w, &m->delta) ? NULL
					       : "CLIENT_ERROR invalid numeric delta value\r\n";
	}
	return "CLIENT_ERROR invalid flag\r\n";
}

const char *meta_parse(const struct words *w, unsigned skip, struct meta *m)
{
	const char *error = NULL;
	bool seen[128] = { false };

	m->key = w->word[1];
	for (unsigned i = skip; i < w->count; i++) {
		uint8_t flag = (uint8_t)w->word[i].text[0];
		const char *wrong;

		if (flag >= 127 || seen[flag])
			return "CLIENT_ERROR duplicate flag\r\n";
		seen[flag] = true;
		if (parse_switch((char)flag, m))
			continue;
		wrong = parse_token(w->word[i], m);
		if (wrong)
			error = wrong;
		if (wrong && strstr(wrong, "invalid flag"))
			break; /* the others let a later mistake speak, as memcached does */
	}
	return error;
}

char *meta_put_char(char *to, char flag)
{
	*to++ = ' ';
	*to++ = flag;
	return to;
}

char *meta_put_number(char *to, char flag, uint64_t n)
{
	return number_format(meta_put_char(to, flag), n);
}

char *meta_put_ttl(char *to, const struct item *it)
{
	if (it->expires)
		return meta_put_number(to, 't', (uint32_t)(it->expires - clock_now));
	memcpy(to, " t-1", 4);
	return to + 4;
}

char *meta_put_key(char *to, const char *key, size_t len, bool binary)
{
	to = meta_put_char(to, 'k');
	if (binary)
		return meta_put_char(base64_encode(to, key, len), 'b');
	memcpy(to, key, len);
	return to + len;
}

bool meta_put_opaque(char **to, struct word opaque)
{
	if (opaque.len > META_OPAQUE_MAX)
		return false;
	*(*to)++ = ' ';
	memcpy(*to, opaque.text, opaque.len);
	*to += opaque.len;
	return true;
}

bool meta_put_echo(char **to, const struct words *w, const struct meta *m)
{
	for (unsigned i = 2; i < w->count; i++) {
		if (w->word[i].text[0] == 'O' && !meta_put_opaque(to, w->word[i]))
			return false;
		if (w->word[i].text[0] == 'k')
			*to = meta_put_key(*to, m->key.text, m->key.len, m->key_is_binary);
	}
	return true;
}
