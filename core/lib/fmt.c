/*
 * The formatter behind fmt.h: one pass over the format, each directive turned into a sign or
 * prefix, padding zeros and digits (struct field), so that width and precision are handled in one
 * place.
 */
#include <core/fmt.h>
#include <core/string.h>

struct sink {
	fmt_put_t put;
	void *arg;
	size_t total;
};

struct spec {
	bool left, zero, plus, space, alternate, has_precision;
	size_t width, precision;
	char length; /* 'H' hh, 'h', 'l' (also ll j z t, all 64 bits), 0 */
};

static void emit(struct sink *s, const char *bytes, size_t len)
{
	if (len)
		s->put(s->arg, bytes, len);
	s->total += len;
}

static void pad(struct sink *s, char c, size_t count)
{
	char run[16];

	memset(run, c, sizeof(run));
	while (count) {
		size_t n = MIN(count, sizeof(run));

		emit(s, run, n);
		count -= n;
	}
}

/* One converted value: blanks, prefix, zeros, body, blanks. */
static void emit_field(struct sink *s, const struct spec *spec, const char *prefix, size_t zeros,
		       const char *body, size_t len)
{
	size_t used = str_length(prefix) + zeros + len;
	size_t blanks = spec->width > used ? spec->width - used : 0;

	if (!spec->left)
		pad(s, ' ', blanks);
	emit(s, prefix, str_length(prefix));
	pad(s, '0', zeros);
	emit(s, body, len);
	if (spec->left)
		pad(s, ' ', blanks);
}

static void emit_number(struct sink *s, const struct spec *spec, uint64_t value, unsigned base,
			bool upper, const char *prefix)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char buf[24];
	size_t at = sizeof(buf), len, zeros = 0;

	for (uint64_t v = value; v; v /= base)
		buf[--at] = digits[v % base];
	if (!value && !(spec->has_precision && spec->precision == 0))
		buf[--at] = '0';
	len = sizeof(buf) - at;

	if (spec->has_precision) {
		zeros = spec->precision > len ? spec->precision - len : 0;
	} else if (spec->zero && !spec->left) {
		size_t used = str_length(prefix) + len;

		zeros = spec->width > used ? spec->width - used : 0;
	}
	if (base == 8 && spec->alternate && zeros == 0 && (len == 0 || buf[at] != '0'))
		zeros = 1;
	emit_field(s, spec, prefix, zeros, buf + at, len);
}

static int64_t take_signed(const struct spec *spec, va_list *args)
{
	if (spec->length == 'l')
		return va_arg(*args, long long);
	if (spec->length == 'h')
		return (short)va_arg(*args, int);
	if (spec->length == 'H')
		return (signed char)va_arg(*args, int);
	return va_arg(*args, int);
}

static uint64_t take_unsigned(const struct spec *spec, va_list *args)
{
	if (spec->length == 'l')
		return va_arg(*args, unsigned long long);
	if (spec->length == 'h')
		return (unsigned short)va_arg(*args, unsigned int);
	if (spec->length == 'H')
		return (unsigned char)va_arg(*args, unsigned int);
	return va_arg(*args, unsigned int);
}

static void emit_signed(struct sink *s, const struct spec *spec, int64_t value)
{
	const char *sign = value < 0 ? "-" : spec->plus ? "+" : spec->space ? " " : "";
	uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;

	emit_number(s, spec, magnitude, 10, false, sign);
}

static void emit_text(struct sink *s, const struct spec *spec, const char *text)
{
	text = text ? text : "(null)";
	emit_field(s, spec, "", 0, text,
		   str_length_max(text, spec->has_precision ? spec->precision : SIZE_MAX));
}

static void emit_pointer(struct sink *s, const struct spec *spec, uintptr_t value)
{
	struct spec hex = *spec;

	hex.has_precision = false;
	emit_number(s, &hex, value, 16, false, "0x");
}

/* False when `conversion` is none of ours; nothing is printed and no argument taken then. */
static bool convert(struct sink *s, const struct spec *spec, char conversion, va_list *args)
{
	uint64_t value;
	char c;

	switch (conversion) {
	case 'd':
	case 'i':
		emit_signed(s, spec, take_signed(spec, args));
		return true;
	case 'u':
		emit_number(s, spec, take_unsigned(spec, args), 10, false, "");
		return true;
	case 'o':
		emit_number(s, spec, take_unsigned(spec, args), 8, false, "");
		return true;
	case 'x':
	case 'X':
		value = take_unsigned(spec, args);
		emit_number(s, spec, value, 16, conversion == 'X',
			    !spec->alternate || !value ? "" : conversion == 'X' ? "0X" : "0x");
		return true;
	case 'c':
		c = (char)va_arg(*args, int);
		emit_field(s, spec, "", 0, &c, 1);
		return true;
	case 's':
		emit_text(s, spec, va_arg(*args, const char *));
		return true;
	case 'p':
		emit_pointer(s, spec, (uintptr_t)va_arg(*args, void *));
		return true;
	case '%':
		emit(s, "%", 1);
		return true;
	}
	return false;
}

static const char *parse_flags(const char *f, struct spec *spec)
{
	for (;; f++) {
		if (*f == '-')
			spec->left = true;
		else if (*f == '0')
			spec->zero = true;
		else if (*f == '+')
			spec->plus = true;
		else if (*f == ' ')
			spec->space = true;
		else if (*f == '#')
			spec->alternate = true;
		else
			return f;
	}
}

/* A number or `*`; a negative `*` is reported through *negative. */
static const char *parse_count(const char *f, size_t *count, bool *negative, va_list *args)
{
	*count = 0;
	*negative = false;
	if (*f == '*') {
		int n = va_arg(*args, int);

		*negative = n < 0;
		*count = n < 0 ? -(size_t)n : (size_t)n;
		return f + 1;
	}
	for (; *f >= '0' && *f <= '9'; f++)
		*count = MIN(*count * 10 + (size_t)(*f - '0'), (size_t)INT32_MAX);
	return f;
}

static const char *parse_length(const char *f, struct spec *spec)
{
	if (f[0] == 'h') {
		spec->length = f[1] == 'h' ? 'H' : 'h';
		return f + (f[1] == 'h' ? 2 : 1);
	}
	while (*f && str_find("ljzt", *f)) {
		spec->length = 'l';
		f++;
	}
	return f;
}

static const char *parse_spec(const char *f, struct spec *spec, va_list *args)
{
	bool negative;

	*spec = (struct spec){ 0 };
	f = parse_flags(f, spec);
	f = parse_count(f, &spec->width, &negative, args);
	spec->left |= negative;
	if (*f == '.') {
		f = parse_count(f + 1, &spec->precision, &negative, args);
		spec->has_precision = !negative;
	}
	return parse_length(f, spec);
}

size_t fmt_emit(fmt_put_t put, void *arg, const char *fmt, va_list args)
{
	struct sink s = { put, arg, 0 };
	const char *f = fmt;
	va_list rest;

	va_copy(rest, args);
	while (*f) {
		const char *start = f;
		struct spec spec;

		while (*f && *f != '%')
			f++;
		emit(&s, start, (size_t)(f - start));
		if (!*f)
			break;
		start = f;
		f = parse_spec(f + 1, &spec, &rest);
		if (*f && convert(&s, &spec, *f, &rest))
			f++;
		else
			emit(&s, start, (size_t)(f - start));
	}
	va_end(rest);
	return s.total;
}

struct buffer {
	char *at;
	size_t room; /* without the terminating zero */
};

static void buffer_put(void *arg, const char *bytes, size_t len)
{
	struct buffer *b = arg;
	size_t n = MIN(len, b->room);

	if (n == 0)
		return;
	memcpy(b->at, bytes, n);
	b->at += n;
	b->room -= n;
}

size_t fmt_vprint(char *buf, size_t size, const char *fmt, va_list args)
{
	struct buffer b = { buf, size ? size - 1 : 0 };
	size_t total = fmt_emit(buffer_put, &b, fmt, args);

	if (size)
		*b.at = '\0';
	return total;
}

size_t fmt_print(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	size_t total;

	va_start(args, fmt);
	total = fmt_vprint(buf, size, fmt, args);
	va_end(args);
	return total;
}
