/*
 * What runs where no application was linked: nothing, so the machine powers off. Apart from main.c
 * and from link-time optimisation, which would otherwise prefer this definition to the C library's.
 */
#include <core/boot.h>

__attribute__((weak)) int boot_app_main(void)
{
	return 0;
}
