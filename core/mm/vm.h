/*
 * Between vm.c (ranges and their places) and vm_anon.c (what applications map).
 */
#ifndef MM_VM_H
#define MM_VM_H

#include <core/sync.h>
#include <core/tree.h>
#include <core/vm.h>

enum { VM_READ = 1, VM_WRITE = 2, VM_EXEC = 4 }; /* PROT_* */

/*  Locks:  v vm_lock   I set once before publication */
struct vm_range {
	struct tree_node node;  /* [v] */
	vaddr_t start, end;     /* [v] whole pages, guards not included */
	enum vm_kind kind;      /* [I] */
	unsigned prot;          /* [v] of VM_ANON */
	bool dying;             /* [v] being taken apart: not to be touched nor found free */
};

extern struct spinlock vm_lock;

struct vm_range *vm_range_alloc(enum vm_kind kind, unsigned prot);
void vm_range_free(struct vm_range *r);

/* With vm_lock held from here on. */

/* Enters [start, end) as r; the caller knows that it is free. */
void vm_range_insert(struct vm_range *r, vaddr_t start, vaddr_t end);
void vm_range_remove(struct vm_range *r);
/* Finds a free place with guard pages and enters r there. False: the area is full. */
bool vm_range_place(struct vm_range *r, size_t len_bytes);
/* True if nothing lies in [start, end) but `except`. */
bool vm_is_free(vaddr_t start, vaddr_t end, const struct vm_range *except);
/* The range that holds va, or the first one behind it, or NULL. */
struct vm_range *vm_range_at_or_after(vaddr_t va);
struct vm_range *vm_range_next(const struct vm_range *r);
bool vm_in_area(vaddr_t va, size_t len_bytes);

/* Without the lock: unmaps and frees the frames of [start, end), a few at a time. */
void vm_frames_free(vaddr_t start, vaddr_t end);

#endif
