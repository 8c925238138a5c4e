# What musl has in assembler around a trap, and the way from boot to main(). Compiled with musl's
# internal headers. Not part of link-time optimisation: musl's objects refer to all of it.
objs-$(CONFIG_APP_LIBC) += start.o clone.o cancel.o

musl-internal := -iquote libos/libc/musl -iquote $(O)/include/generated -D_XOPEN_SOURCE=700 -w \
	-I$(MUSL_SRC)/arch/riscv64 -I$(MUSL_SRC)/arch/generic -I$(MUSL_SRC)/src/include -I$(MUSL_SRC)/src/internal
$(O)/obj/libos/libc/clone.o $(O)/obj/libos/libc/cancel.o: private flags/hosted := $(common_flags) $(musl-internal) $(musl_include)
$(O)/obj/libos/libc/start.o: private cflags/libos/libc += -Icore/include -Icore/riscv/include
$(addprefix $(O)/obj/libos/libc/,start.o clone.o cancel.o): $(O)/include/generated/syscall_direct.c
nolto-y += start.o clone.o cancel.o
