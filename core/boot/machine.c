/*
 * What the machine told us, kept for whoever asks: the device tree and its bootargs.
 */
#include <core/arch.h>
#include <core/assert.h>
#include <core/boot.h>
#include <core/log.h>
#include <core/string.h>
#include "boot.h"

#define ARGS_MAX  64
#define WORDS_MAX 2048

extern const struct boot_option_def __start_boot_options[], __stop_boot_options[];

static struct fdt fdt;                 /* [I] after boot_args_init() */
static char words[WORDS_MAX];          /* [I] */
static char *args[ARGS_MAX + 1]; /* [I] options first, then perhaps "--", then the application's */
static size_t option_count, app_first, arg_count;

const struct fdt *boot_fdt(void)
{
	return &fdt;
}

static bool name_is(const char *name, size_t len, const char *id)
{
	/* Identifiers cannot hold '-' and '.': an underscore stands for them. */
	for (size_t i = 0; i < len; i++) {
		if (name[i] != id[i] && !(id[i] == '_' && (name[i] == '-' || name[i] == '.')))
			return false;
	}
	return id[len] == '\0';
}

static bool is_option(const char *name, size_t len)
{
	for (const struct boot_option_def *o = __start_boot_options; o < __stop_boot_options; o++) {
		if (name_is(name, len, o->name))
			return true;
	}
	return false;
}

static void warn_unknown(void)
{
	for (size_t i = 0; i < option_count; i++) {
		const char *equals = str_find(args[i], '=');

		if (!is_option(args[i], equals ? (size_t)(equals - args[i]) : str_length(args[i])))
			log_warn("boot: there is no option `%s`; it is ignored", args[i]);
	}
}

void boot_args_init(void)
{
	size_t size;
	const void *blob = arch_device_tree(&size);
	const char *line;
	bool cut;

	if (fdt_open(&fdt, blob, size))
		panic("the device tree was damaged between its two readings");
	line = fdt_string(&fdt, fdt_find(&fdt, "/chosen"), "bootargs");
	arg_count = bootargs_split(line ? line : "", words, sizeof(words), args, ARGS_MAX, &cut);
	option_count = bootargs_sort(args, arg_count, is_option);
	app_first = option_count;
	if (app_first < arg_count && str_equal(args[app_first], "--"))
		app_first++;
	log_init();
	if (cut)
		log_warn("boot: bootargs are longer than %u words or %u bytes; the rest is ignored",
			 ARGS_MAX, WORDS_MAX);
	warn_unknown();
}

const char *boot_option(const char *name)
{
	size_t len = str_length(name);

	for (size_t i = 0; i < option_count; i++) {
		if (!str_starts_with(args[i], name))
			continue;
		if (args[i][len] == '=')
			return args[i] + len + 1;
		if (args[i][len] == '\0')
			return args[i] + len;
	}
	return NULL;
}

size_t boot_app_args(char *const **argv)
{
	*argv = &args[app_first];
	return arg_count - app_first;
}

void boot_options_print(void (*print)(const char *line, void *arg), void *arg)
{
	for (const struct boot_option_def *o = __start_boot_options; o < __stop_boot_options; o++)
		print(o->help, arg);
}
