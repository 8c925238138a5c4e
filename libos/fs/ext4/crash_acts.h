/* File workloads for power cuts: what workers do, one act each. 0 or an errno. */
#ifndef EXT4_CRASH_ACTS_H
#define EXT4_CRASH_ACTS_H

#include <libos/file.h>

#include "crash_model.h"

int crash_make_folder(const char *path);
int crash_sync_file(struct file *f);
/* [from, to) of the file's bytes (crash_byte). */
int crash_write_bytes(struct file *f, unsigned worker, unsigned file, unsigned from, unsigned to);
int crash_change_size(const char *path, unsigned size);
int crash_allocate(struct file *f, int mode, unsigned from, unsigned to); /* fallocate */
int crash_set_label(const char *path, unsigned label);                   /* 0: none any more */
int crash_link_file(const char *from, const char *to);

#endif
