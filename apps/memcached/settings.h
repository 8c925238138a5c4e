/*
 * What the options said: one structure, written by options.c before anything runs, read everywhere.
 */
#ifndef MEMCACHED_SETTINGS_H
#define MEMCACHED_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMCACHED_VERSION "1.6.38"    /* the memcached whose behaviour this is */

enum { KEY_MAX = 250 };

struct settings {
	size_t memory_limit;       /* -m, in bytes */
	unsigned port;             /* -p; 0: any free port */
	unsigned udp_port;         /* -U */
	const char *listen;        /* -l: addresses separated by commas, NULL for all */
	unsigned connections;      /* -c */
	unsigned threads;          /* -t */
	unsigned requests_per_event; /* -R */
	unsigned backlog;          /* -b */
	size_t item_size_max;      /* -I */
	double factor;             /* -f */
	unsigned chunk_size;       /* -n: smallest space for key, value and flags */
	bool use_cas;              /* !-C */
	bool evict;                /* !-M */
	bool flush_enabled;        /* !-F */
	bool dump_enabled;         /* !-X */
	bool watch_enabled;        /* !-W */
	bool shutdown_command;     /* -A */
	bool refuse_fast;          /* -o maxconns_fast */
	bool track_sizes;          /* -o track_sizes */
	char prefix_delimiter;     /* -D */
	bool detail_enabled;
	unsigned idle_timeout;     /* -o idle_timeout, in seconds; 0: never */
	unsigned verbose;          /* -v */
};

extern struct settings settings;

#endif
