/*
 * A model of a tree of files, as simple as can be, for vfs_fuzz.c: what Linux would answer, for
 * root, on a tmpfs. Paths have components of NAMES, "." and ".."; errors are negative errnos.
 */
#ifndef VFS_MODEL_H
#define VFS_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define MODEL_NAMES     5     /* "a" to "e" */
#define MODEL_NODES     64
#define MODEL_FILE_MAX  12288 /* three pages */
#define MODEL_TARGET    32

enum model_kind { MODEL_FREE, MODEL_DIR, MODEL_FILE, MODEL_LINK };

struct model_node {
	enum model_kind kind;
	int links, opens;             /* names; handles */
	int parent;                   /* of directories */
	int child[MODEL_NAMES];       /* 0: none */
	int size;
	uint8_t bytes[MODEL_FILE_MAX];
	char target[MODEL_TARGET];
};

extern struct model_node model[MODEL_NODES]; /* 1 is the root */

void model_reset(void);
bool model_is_full(void);
int model_walk(const char *path, bool follow);             /* a node */
int model_mkdir(const char *path);
int model_symlink(const char *target, const char *path);
int model_unlink(const char *path, bool directory);
int model_link(const char *from, const char *to);
int model_rename(const char *from, const char *to, bool no_replace, bool exchange);
/* a node, counted as open */
int model_open(const char *path, bool create, bool exclusive, bool truncate);
void model_close(int node);
void model_resize(int node, int size);
void model_write(int node, int offset, const uint8_t *bytes, int len);

#endif
