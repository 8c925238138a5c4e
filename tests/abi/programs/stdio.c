/*
 * The C library on its own: formats, parsing, floating point, sorting, strings, time, locale "C".
 */
#define _GNU_SOURCE
#include "check.h"
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <wchar.h>

static int compare_ints(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static jmp_buf back;

static void jump(int value)
{
	longjmp(back, value);
}

int main(void)
{
	char buf[200];
	int n[50], i, a;
	double d;

	printf("%d %5d|%-5d|%05d %+d %x %X %#o %c %s %.3s %%\n", -7, 42, 42, 42, 42, 255, 255, 8,
	       'k', "kiln", "kilnfire");
	printf("%lld %llu %zu %td %hhd %hu %jd\n", -(1LL << 62), ~0ULL, sizeof(long), (ptrdiff_t)-3,
	       (signed char)-1, (unsigned short)65535, (intmax_t)-5);
	printf("%f %.3f %e %g %g %a %10.2f|%-10.2f|\n", 3.14159, 2.0 / 3, 12345.678, 1e-5, 1e20,
	       1.5, 2.5, 2.5);
	printf("%g %g %g %.17g %.0f %.0f\n", INFINITY, -INFINITY, fabs(NAN), 0.1, 0.5, 1.5);
	printf("%.10f %.10f %.10f %.10f\n", sin(1), exp(1), log(2), sqrt(2));
	printf("%.6Lf\n", (long double)1 / 3);
	volatile size_t room = 5;
	printf("%d\n", snprintf(buf, room, "%s", "truncated"));
	printf("%s\n", buf);
	printf("%d ", sscanf("12 -7 0x1f 3.5 word", "%d %d %x %lf %99s", &i, &a, (unsigned *)&n[0],
			     &d, buf));
	printf("%d %d %d %g %s\n", i, a, n[0], d, buf);
	printf("%ld %lu %ld %g\n", strtol("  -123abc", NULL, 10), strtoul("0777", NULL, 0),
	       strtol("zz", NULL, 36), strtod("1e3x", NULL));
	errno = 0;
	strtol("99999999999999999999", NULL, 10);
	printf("%s\n", errno_name(errno));
	for (i = 0; i < 50; i++)
		n[i] = i * 37 % 50;
	qsort(n, 50, sizeof(n[0]), compare_ints);
	for (i = 0; i < 50 && n[i] == i; i++)
		;
	printf("sorted up to %d\n", i);
	int key = 33;
	printf("found at %td\n", (int *)bsearch(&key, n, 50, sizeof(n[0]), compare_ints) - n);
	printf("%s %s %zu %d %d\n", strstr("haystack", "st"), strrchr("a/b/c", '/'),
	       strspn("aab", "a"), strcasecmp("KILN", "kiln"), memcmp("abc", "abd", 3) < 0);
	printf("%d %d %d\n", isalpha('x') != 0, isdigit('x') != 0, toupper('x'));
	time_t t = 1700000000;
	struct tm tm;
	gmtime_r(&t, &tm);
	strftime(buf, sizeof(buf), "%Y-%m-%d %H:%M:%S %j %a", &tm);
	printf("%s %lld\n", buf, (long long)timegm(&tm));
	if ((i = setjmp(back)) == 0)
		jump(42);
	printf("longjmp brought %d\n", i);
	setenv("KILN_TEST", "value", 1);
	printf("%s %s\n", getenv("KILN_TEST"), getenv("NOT_SET") ? "set" : "unset");
	srand(1);
	YES("rand repeats itself", (i = rand(), srand(1), i == rand()));
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	fprintf(f, "in memory %d", 5);
	fclose(f);
	printf("%s %zu\n", text, size);
	free(text);
	fprintf(stdout, "done\n");
	return 0;
}
