/*
 * From the boot to main(): what a process finds on its stack when Linux starts it.
 *
 *   argv[0] ... argv[argc-1] NULL  envp[0] ... NULL  (type, value) ... (AT_NULL, 0)
 *
 * The program has no file, so AT_PHDR points to a program header made here, which describes the
 * initial image of thread-local storage. `env=` in bootargs may be given once, as NAME=value.
 */
#include <core/boot.h>
#include <core/kmem.h>
#include <core/types.h>
#include <libos/rng.h>

#include <elf.h>

#include "../posix/start.h"

BOOT_OPTION(env, "env=NAME=VALUE: a variable in the application's environment");
BOOT_OPTION(name, "name=WORD: argv[0] of the application");

int main(int argc, char **argv, char **envp);
int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void),
		      void (*fini)(void), void (*unused)(void));

extern char tls_data_start[], tls_data_end[], tls_end[];

#define TLS_ALIGN 64           /* as core/riscv/kiln.lds aligns it */
#define VECTOR_SPARE 64        /* words beside argv: environment and auxiliary vector */

struct vector {
	uintptr_t *words;
	size_t count;
};

static void vector_add(struct vector *v, uintptr_t word)
{
	v->words[v->count++] = word;
}

static void vector_add_aux(struct vector *v, uintptr_t type, uintptr_t value)
{
	vector_add(v, type);
	vector_add(v, value);
}

static void vector_add_environment(struct vector *v)
{
	const char *setting = boot_option("env");

	if (setting)
		vector_add(v, (uintptr_t)setting);
	vector_add(v, (uintptr_t)"HOME=/");
	vector_add(v, (uintptr_t)"TERM=dumb");
	vector_add(v, 0);
}

static const Elf64_Phdr *tls_header(void)
{
	static Elf64_Phdr header;

	header.p_type = PT_TLS;
	header.p_vaddr = (uintptr_t)tls_data_start;
	header.p_filesz = (size_t)(tls_data_end - tls_data_start);
	header.p_memsz = (size_t)(tls_end - tls_data_start);
	header.p_align = TLS_ALIGN;
	return &header;
}

static void vector_add_auxiliary(struct vector *v, const char *program)
{
	static uint8_t random[16];

	random_bytes(random, sizeof(random));
	vector_add_aux(v, AT_PHDR, (uintptr_t)tls_header());
	vector_add_aux(v, AT_PHENT, sizeof(Elf64_Phdr));
	vector_add_aux(v, AT_PHNUM, &tls_end[0] > &tls_data_start[0]);
	vector_add_aux(v, AT_PAGESZ, PAGE_SIZE);
	vector_add_aux(v, AT_HWCAP,
		       1 << 0 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 8 | 1 << 12); /* a c d f i m */
	vector_add_aux(v, AT_CLKTCK, 100);
	vector_add_aux(v, AT_UID, 0);
	vector_add_aux(v, AT_EUID, 0);
	vector_add_aux(v, AT_GID, 0);
	vector_add_aux(v, AT_EGID, 0);
	vector_add_aux(v, AT_SECURE, 0);
	vector_add_aux(v, AT_RANDOM, (uintptr_t)random);
	vector_add_aux(v, AT_EXECFN, (uintptr_t)program);
	vector_add_aux(v, AT_NULL, 0);
}

/* Called by core's main thread, which becomes the application's first thread. */
int boot_app_main(void)
{
	char *const *args;
	size_t count = boot_app_args(&args);
	const char *program = boot_option("name");
	struct vector v = { kmalloc((count + VECTOR_SPARE) * sizeof(uintptr_t)), 0 };

	if (!v.words || posix_start() < 0)
		return 127;
	if (!program)
		program = CONFIG_APP_NAME;
	vector_add(&v, (uintptr_t)program);
	for (size_t i = 0; i < count; i++)
		vector_add(&v, (uintptr_t)args[i]);
	vector_add(&v, 0);
	vector_add_environment(&v);
	vector_add_auxiliary(&v, program);
	return __libc_start_main(main, (int)count + 1, (char **)v.words, 0, 0, 0);
}
