/*
 * What the machine told us at boot: the device tree and its bootargs.
 *
 * bootargs are words separated by blanks, with '...' and "..." quoting; words before a lone `--`
 * are Kiln's own options (name or name=value), those after it are the application's argv[1..].
 * Without `--`, words that match no Kiln option are the application's.
 */
#ifndef CORE_BOOT_H
#define CORE_BOOT_H

#include <core/fdt.h>
#include <core/types.h>

const struct fdt *boot_fdt(void);                  /* [I] after INIT_EARLY */

/* The value of option `name` ("" when given without one), or NULL when it was not given. */
const char *boot_option(const char *name);

/* The application's arguments without argv[0]; they live for ever. */
size_t boot_app_args(char *const **argv);

/*
 * The application: whatever carries it (libos for a POSIX program, the selftest runner) implements
 * this. Runs on the main thread after INIT_APP; the machine powers off with the status it returns.
 */
int boot_app_main(void);

/* Every option of the image, one line each, by print. */
void boot_options_print(void (*print)(const char *line, void *arg), void *arg);

/*
 * Declares an option so that it is recognised and listed by `help` on the console.
 * BOOT_OPTION(ip, "ip=ADDR/PREFIX: static IPv4 address instead of DHCP");
 */
struct boot_option_def { const char *name, *help; };
#define BOOT_OPTION(id, text) BOOT_OPTION_NAMED(id, #id, text)
/* For a name that is no identifier. */
#define BOOT_OPTION_NAMED(id, name, text)                                           \
	static const struct boot_option_def boot_option_##id                        \
	    __attribute__((used, section(".boot_options"), aligned(8))) = { name, text }

#endif
