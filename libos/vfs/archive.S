/* The initial archive that the configuration names (CONFIG_INITRD_PATH); it may be empty. */
	.section .rodata.initrd_linked, "a"
	.balign 4
	.globl initrd_linked, initrd_linked_end
initrd_linked:
	.incbin "initrd.cpio"
initrd_linked_end:
	.byte 0
