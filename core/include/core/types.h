/*
 * The words every file of Kiln may use: fixed-width integers, address types and a few macros.
 * Compiles alone, on the host and for the machine; includes nothing but the compiler's own headers.
 */
#ifndef CORE_TYPES_H
#define CORE_TYPES_H

#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t paddr_t; /* physical address */
typedef uint64_t vaddr_t; /* virtual address, where a pointer would claim too much */
typedef uint32_t hart_t;  /* dense number 0..hart_count()-1, not the SBI hart id */

typedef intptr_t kssize_t; /* a byte count or a negative errno */

#define PAGE_SHIFT 12
#define PAGE_SIZE  (1UL << PAGE_SHIFT)
#define PAGE_MASK  (~(PAGE_SIZE - 1))

#define KIB(n) ((size_t)(n) << 10)
#define MIB(n) ((size_t)(n) << 20)
#define GIB(n) ((size_t)(n) << 30)

#define NSEC_PER_SEC  1000000000ULL
#define NSEC_PER_MSEC 1000000ULL
#define NSEC_PER_USEC 1000ULL

#define ARRAY_SIZE(a)          (sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(x, a)         (((x) + (__typeof__(x))(a)-1) & ~((__typeof__(x))(a)-1))
#define ALIGN_DOWN(x, a)       ((x) & ~((__typeof__(x))(a)-1))
#define IS_ALIGNED(x, a)       (((x) & ((__typeof__(x))(a)-1)) == 0)
#define DIV_ROUND_UP(n, d)     (((n) + (d)-1) / (d))
/*
 * Both are evaluated once. One signed and one unsigned is an error of the compiler
 * (-Wsign-compare), constants too.
 */
#define MIN(a, b)              ({ __auto_type a_ = (a); __auto_type b_ = (b); a_ < b_ ? a_ : b_; })
#define MAX(a, b)              ({ __auto_type a_ = (a); __auto_type b_ = (b); a_ > b_ ? a_ : b_; })
#define CLAMP(x, lo, hi)       MIN(MAX(x, lo), hi)
#define container_of(p, t, m)  ((t *)((char *)(p)-offsetof(t, m)))

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
#define NORETURN                __attribute__((noreturn))
#define WARN_UNUSED             __attribute__((warn_unused_result))
#define CACHE_LINE              64
#define CACHE_ALIGNED           __attribute__((aligned(CACHE_LINE)))

/*
 * IS_ENABLED(CONFIG_X) is 1 when Kconfig selected X and 0 otherwise, usable in `if` so that both
 * branches are compiled. The generated header defines a selected bool as 1 and nothing otherwise.
 */
#define KCONFIG_ARG_1           0,
#define KCONFIG_SECOND(_, v, ...) v
#define KCONFIG_PICK(arg_or_junk) KCONFIG_SECOND(arg_or_junk 1, 0, 0)
#define KCONFIG_PASTE(value)    KCONFIG_PICK(KCONFIG_ARG_##value)
#define IS_ENABLED(option)      KCONFIG_PASTE(option)

/*
 * Planted bugs: checks that a test build leaves out, one at a time (-DKILN_PLANT_FDT_PROP=1 and so
 * on), to show that the tests against hostile input notice. tests/host/test_planted.py builds them.
 */
#define planted(bug) IS_ENABLED(KILN_PLANT_##bug)

#endif
