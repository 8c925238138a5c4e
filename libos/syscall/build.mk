# Doors are generated from the table; musl is compiled against syscall_direct.h, too.
objs-$(CONFIG_POSIX) += direct.o missing.o
cflags-y += -I$(O)/include/generated -Ilibos/syscall
# libc and the compiler call doors by name after link-time optimisation has chosen what to keep.
nolto-y += direct.o missing.o

$(O)/include/generated/syscall_direct.c: libos/syscall/syscalls.tbl libos/syscall/generate
	$(Q)libos/syscall/generate $< $(@D) && touch $@
$(addprefix $(O)/obj/libos/syscall/,direct.o missing.o): $(O)/include/generated/syscall_direct.c
