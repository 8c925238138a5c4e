/*
 * Statistics on their way to a client: lines, and the sections that are made of them.
 */
#ifndef MEMCACHED_REPORT_H
#define MEMCACHED_REPORT_H

#include "text.h"

/* One name and its value, in the protocol of the connection. */
__attribute__((format(printf, 3, 4)))
void stat_line(struct conn *c, const char *name, const char *format, ...);
void stat_number(struct conn *c, const char *name, uint64_t n);
/* Numbers that are always 0 here. */
void stat_zeros(struct conn *c, const char *const *names);
/* Behind the last. */
void stat_end(struct conn *c);

#define ZEROS(c, ...) stat_zeros(c, (const char *const[]){ __VA_ARGS__, NULL })

/* The lines of a section, without their end. False: there is no such section. */
bool stats_show(struct conn *c, const char *section, size_t len);
void stats_show_general(struct conn *c);
void stats_show_settings(struct conn *c);
void stats_show_kiln(struct conn *c);

#endif
