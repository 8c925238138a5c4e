/*
 * What arch_poweroff() needs to know about the machine.
 */
#ifndef RISCV_POWER_H
#define RISCV_POWER_H

/* Registers of a sifive,test1 device, mapped for ever. */
void power_set_test_device(void *registers);

#endif
