/*
 * A memcached without TLS: its options are errors, and its settings show memcached's defaults.
 */
#include "tls.h"

#include <string.h>

#include "options.h"
#include "report.h"

int tls_enable(void)
{
	return option_refuse("this build has no", "TLS (-Z)");
}

bool tls_option(const char *name, const char *value, int *result)
{
	(void)value;
	if (strncmp(name, "ssl_", 4) != 0)
		return false;
	*result = option_refuse("this build has no TLS for -o", name);
	return true;
}

int tls_start(void)
{
	return 0;
}

bool tls_filter(char **text, const struct stream_filter **filter)
{
	(void)text;
	*filter = NULL;
	return true;
}

const char *tls_refresh(void)
{
	return "ERROR\r\n";
}

void tls_show_stats(struct conn *c)
{
	(void)c;
}

void tls_show_settings(struct conn *c)
{
	static const char *const none[][2] = {
		{ "ssl_enabled", "no" }, { "ssl_chain_cert", "(null)" }, { "ssl_key", "(null)" },
		{ "ssl_verify_mode", "0" }, { "ssl_keyformat", "1" }, { "ssl_ciphers", "NULL" },
		{ "ssl_ca_cert", "NULL" }, { "ssl_wbuf_size", "16384" },
		{ "ssl_session_cache", "no" }, { "ssl_kernel_tls", "no" },
		{ "ssl_min_version", "tlsv1.2" },
	};

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		stat_line(c, none[i][0], "%s", none[i][1]);
}
