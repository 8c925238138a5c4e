/*
 * What the options said: one structure, written by options*.c before anything runs, read
 * everywhere. Some of it changes while the server runs, by commands (verbosity, lru, slabs,
 * lru_crawler, ...).
 */
#ifndef MEMCACHED_SETTINGS_H
#define MEMCACHED_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMCACHED_VERSION "1.6.38"    /* the memcached whose behaviour this is */

enum { KEY_MAX = 250 };

enum { PORT_ANY = -1 };               /* any port that is free; 0 is none at all */

enum protocol { PROTOCOL_AUTO, PROTOCOL_ASCII, PROTOCOL_BINARY };

struct settings {
	/* ---- network ---- */
	int port;                  /* -p */
	int udp_port;              /* -U */
	const char *listen;        /* -l: addresses separated by commas, NULL for all */
	unsigned connections;      /* -c */
	unsigned threads;          /* -t */
	unsigned requests_per_event; /* -R */
	unsigned backlog;          /* -b */
	enum protocol protocol;    /* -B */
	const char *auth_file;     /* -Y, or NULL */
	bool refuse_fast;          /* -o maxconns_fast */
	unsigned idle_timeout;     /* -o idle_timeout, in seconds; 0: never */
	size_t read_buffers_max;   /* -o read_buf_mem_limit, in bytes; 0: no limit */

	/* ---- memory and items ---- */
	size_t memory_limit;       /* -m, in bytes; changed by cache_memlimit */
	size_t item_size_max;      /* -I */
	double factor;             /* -f */
	unsigned chunk_size;       /* -n: smallest space for key, value and flags */
	size_t slab_chunk_max;     /* -o slab_chunk_max: larger items are made of pieces */
	const char *slab_sizes;    /* -o slab_sizes: "100-200-300", or NULL */
	const char *memory_file;   /* -e, or NULL */
	unsigned hash_power;       /* -o hashpower: 2^n buckets to begin with; 0: as seems fit */
	bool hash_grows;           /* !-o no_hashexpand */
	bool use_cas;              /* !-C */
	bool evict;                /* !-M */
	bool track_sizes;          /* -o track_sizes */

	/* ---- who is old, and who has to go ---- */
	bool lru_maintainer;       /* !-o no_lru_maintainer */
	bool lru_segmented;        /* `lru mode` */
	unsigned hot_lru_pct, warm_lru_pct;      /* -o, `lru tune` */
	double hot_max_factor, warm_max_factor;
	bool temp_lru;             /* -o temporary_ttl, `lru temp_ttl` */
	int32_t temporary_ttl;     /* items with less to live are listed apart */
	unsigned tail_repair_time; /* -o; 0: never */
	bool lru_crawler;          /* !-o no_lru_crawler, `lru_crawler enable` */
	uint32_t lru_crawler_sleep;   /* microseconds between items */
	uint32_t lru_crawler_tocrawl; /* items for each class and run; 0: all */
	bool slab_reassign;        /* !-o no_slab_reassign */
	unsigned slab_automove;    /* 0 never, 1 slowly, 2 at every eviction */
	double slab_automove_ratio, slab_automove_freeratio;
	uint32_t slab_automove_window;

	/* ---- what clients may do, and what is told about them ---- */
	bool flush_enabled;        /* !-F */
	bool dump_enabled;         /* !-X */
	bool watch_enabled;        /* !-W */
	bool shutdown_command;     /* -A */
	char prefix_delimiter;     /* -D */
	bool detail_enabled;       /* -D, `stats detail on` */
	unsigned verbose;          /* -v */
	/* -o watcher_logbuf_size: bytes that one watcher may be behind */
	uint32_t watcher_buffer;
	uint32_t worker_buffer;    /* -o worker_logbuf_size */
	const char *hash_algorithm;   /* -o hash_algorithm */
};

extern struct settings settings;

#endif
