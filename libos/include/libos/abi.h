/*
 * The shapes and numbers of Linux's riscv64 system call interface, as far as the handlers use them.
 * Source: Linux's uapi headers, which musl's public headers repeat. libos sees no libc header.
 */
#ifndef LIBOS_ABI_H
#define LIBOS_ABI_H

#include <core/types.h>

/* Codes of interrupted calls; they never leave the door (libos/syscall/door.h). */
#define ERESTARTSYS    512  /* start again if every handler that ran has SA_RESTART */
#define ERESTARTNOHAND 514  /* start again only if no handler ran */

#define O_ACCMODE   3
#define O_RDONLY    0
#define O_WRONLY    1
#define O_RDWR      2
#define O_CREAT     0100
#define O_EXCL      0200
#define O_NOCTTY    0400
#define O_TRUNC     01000
#define O_APPEND    02000
#define O_NONBLOCK  04000
#define O_DSYNC     010000
#define O_DIRECT    040000
#define O_LARGEFILE 0100000
#define O_DIRECTORY 0200000
#define O_NOFOLLOW  0400000
#define O_NOATIME   01000000
#define O_CLOEXEC   02000000
#define O_SYNC      04010000
#define O_PATH      010000000
#define O_TMPFILE   020200000

#define AT_FDCWD    (-100)

#define AT_SYMLINK_NOFOLLOW 0x100
#define AT_REMOVEDIR        0x200
#define AT_EACCESS          0x200
#define AT_SYMLINK_FOLLOW   0x400
#define AT_EMPTY_PATH       0x1000

#define BLKROGET     0x125e
#define BLKGETSIZE   0x1260
#define BLKFLSBUF    0x1261
#define BLKSSZGET    0x1268
#define BLKDISCARD   0x1277
#define BLKPBSZGET   0x127b
#define BLKZEROOUT   0x127f
#define BLKGETSIZE64 0x80081272

#define FIONREAD    0x541b
#define FIONBIO     0x5421
#define FIOCLEX     0x5451
#define FITRIM      0xc0185879u
#define FIONCLEX    0x5450
#define TCGETS      0x5401
#define TCSETS      0x5402
#define TIOCGWINSZ  0x5413

struct abi_timespec  { int64_t sec, nsec; };
struct abi_timeval   { int64_t sec, usec; };
struct abi_itimerspec { struct abi_timespec interval, value; };
struct abi_itimerval { struct abi_timeval interval, value; };
struct abi_pollfd    { int fd; int16_t events, revents; };
struct abi_epoll_event { uint32_t events; uint64_t data; };
struct abi_rlimit    { uint64_t soft, hard; };

struct abi_msghdr {
	void *name;
	uint32_t name_len;
	struct uio_vec *vecs;
	size_t vec_count;
	void *control;
	size_t control_len;
	int flags;
};

struct kstat {
	uint64_t dev, ino;
	uint32_t mode, nlink, uid, gid;
	uint64_t rdev, pad;
	int64_t size;
	int32_t blksize, pad2;
	int64_t blocks;
	struct abi_timespec atime, mtime, ctime;
	uint32_t unused[2];
};

#define S_IFMT   0170000
#define S_IFIFO  0010000
#define S_IFCHR  0020000
#define S_IFDIR  0040000
#define S_IFBLK  0060000
#define S_IFREG  0100000
#define S_IFLNK  0120000
#define S_IFSOCK 0140000
#define S_ISUID  04000
#define S_ISGID  02000
#define S_ISVTX  01000

#define MS_RDONLY      1u
#define MS_NOSUID      2u
#define MS_NODEV       4u
#define MS_NOEXEC      8u
#define MS_SYNCHRONOUS 0x10u
#define MS_REMOUNT     0x20u
#define MS_DIRSYNC     0x80u
#define MS_NOSYMFOLLOW 0x100u
#define MS_NOATIME     0x400u
#define MS_NODIRATIME  0x800u
#define MS_BIND        0x1000u
#define MS_MOVE        0x2000u
#define MS_REC         0x4000u
#define MS_PRIVATE     0x40000u
#define MS_RELATIME    0x200000u
#define MS_STRICTATIME 0x1000000u

struct abi_statfs {
	int64_t type, block_bytes;
	uint64_t blocks, blocks_free, blocks_available, files, files_free;
	int32_t fsid[2];
	int64_t name_max, fragment_bytes, flags, spare[4];
};

/* Signals. */
#define SIGHUP   1
#define SIGINT   2
#define SIGQUIT  3
#define SIGILL   4
#define SIGTRAP  5
#define SIGBUS   7
#define SIGKILL  9
#define SIGSEGV  11
#define SIGPIPE  13
#define SIGALRM  14
#define SIGTERM  15
#define SIGCHLD  17
#define SIGCONT  18
#define SIGSTOP  19
#define SIGURG   23
#define SIGWINCH 28
#define SIGNALS  64
#define SIGRTMIN 32

#define SA_SIGINFO   4ul
#define SA_RESTART   0x10000000ul
#define SA_NODEFER   0x40000000ul
#define SA_RESETHAND 0x80000000ul

#define SI_USER   0
#define SI_KERNEL 128
#define SI_QUEUE  (-1)
#define SI_TIMER  (-2)
#define SI_TKILL  (-6)

struct abi_sigaction {
	uintptr_t handler;      /* 0 default, 1 ignore */
	unsigned long flags;
	uint64_t mask;
	uintptr_t unused;       /* the restorer of other machines; not part of riscv64's */
};

struct abi_siginfo {
	int signo, error, code, pad;
	union {
		struct { int pid; uint32_t uid; uint64_t value; } sender;
		struct { uintptr_t address; } fault;
		uint8_t room[112];
	};
};
_Static_assert(sizeof(struct abi_siginfo) == 128, "siginfo_t has 128 bytes");

struct abi_ucontext {
	unsigned long flags;
	struct abi_ucontext *link;
	struct { void *sp; int flags; size_t size; } stack;
	uint64_t mask[16];
	uint64_t gregs[32] __attribute__((aligned(16))); /* gregs[0] is the pc */
	uint8_t fpregs[528] __attribute__((aligned(16)));
};

#define CLOCK_REALTIME           0
#define CLOCK_MONOTONIC          1
#define CLOCK_PROCESS_CPUTIME_ID 2
#define CLOCK_THREAD_CPUTIME_ID  3
#define CLOCK_MONOTONIC_RAW      4
#define CLOCK_REALTIME_COARSE    5
#define CLOCK_MONOTONIC_COARSE   6
#define CLOCK_BOOTTIME           7
#define TIMER_ABSTIME            1

#endif
