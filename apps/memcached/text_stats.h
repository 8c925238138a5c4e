/*
 * Lines of statistics, and the sections other than the general one.
 */
#ifndef MEMCACHED_TEXT_STATS_H
#define MEMCACHED_TEXT_STATS_H

#include "text.h"

__attribute__((format(printf, 3, 4)))
void stat_line(struct conn *c, const char *name, const char *format, ...);
void stat_number(struct conn *c, const char *name, uint64_t n);
/* Numbers that are always 0 here. */
void stat_zeros(struct conn *c, const char *const *names);

#define ZEROS(c, ...) stat_zeros(c, (const char *const[]){ __VA_ARGS__, NULL })

void stats_show_settings(struct conn *c);
void stats_show_slabs(struct conn *c);
void stats_show_items(struct conn *c);
void stats_show_sizes(struct conn *c);
void stats_show_conns(struct conn *c);

#endif
