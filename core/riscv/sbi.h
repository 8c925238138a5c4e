/*
 * Calls to the firmware (RISC-V SBI specification 1.0). Any context, also before paging.
 */
#ifndef RISCV_SBI_H
#define RISCV_SBI_H

#include <core/types.h>

enum sbi_extension {
	SBI_LEGACY_PUTCHAR = 0x01,
	SBI_LEGACY_GETCHAR = 0x02,
	SBI_BASE = 0x10,
	SBI_TIME = 0x54494d45,
	SBI_IPI = 0x735049,
	SBI_RFENCE = 0x52464e43,
	SBI_HSM = 0x48534d,
	SBI_SRST = 0x53525354,
	SBI_DBCN = 0x4442434e,
};

enum { SBI_BASE_PROBE = 3, SBI_HSM_START = 0, SBI_RFENCE_FENCE_I = 0, SBI_RFENCE_VMA = 1 };
enum { SBI_DBCN_READ = 1, SBI_DBCN_WRITE_BYTE = 2 };
enum { SBI_SRST_SHUTDOWN = 0, SBI_SRST_COLD_REBOOT = 1 };
enum { SBI_SRST_NO_REASON = 0, SBI_SRST_FAILURE = 1 };

struct sbi_result {
	long error; /* 0 or a negative SBI error, which is not an errno */
	long value;
};

static inline struct sbi_result sbi_call(unsigned long extension, unsigned long function,
					 unsigned long arg0, unsigned long arg1,
					 unsigned long arg2)
{
	register unsigned long a0 __asm__("a0") = arg0;
	register unsigned long a1 __asm__("a1") = arg1;
	register unsigned long a2 __asm__("a2") = arg2;
	register unsigned long a3 __asm__("a3") = 0;
	register unsigned long a4 __asm__("a4") = 0;
	register unsigned long a6 __asm__("a6") = function;
	register unsigned long a7 __asm__("a7") = extension;

	__asm__ volatile("ecall"
			 : "+r"(a0), "+r"(a1)
			 : "r"(a2), "r"(a3), "r"(a4), "r"(a6), "r"(a7)
			 : "memory");
	return (struct sbi_result){ (long)a0, (long)a1 };
}

static inline bool sbi_has(enum sbi_extension extension)
{
	struct sbi_result r = sbi_call(SBI_BASE, SBI_BASE_PROBE, extension, 0, 0);

	return r.error == 0 && r.value != 0;
}

/* The firmware's console, a byte at a time; slow, works from the first instruction to the last. */
void sbi_console_put(const char *bytes, size_t len);
int sbi_console_get(void);

#endif
