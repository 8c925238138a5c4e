/*
 * The 16550 UART (National Semiconductor PC16550D data sheet), the serial port of most machines.
 *
 * Found as /chosen stdout-path or the first ns16550a, and taken only if its scratch register keeps
 * what is written: a console that swallows everything would be worse than the firmware's, which it
 * replaces. The firmware has set its speed. Output is polled: an empty transmitter takes a whole
 * FIFO of 16 bytes at once. Input comes by interrupt.
 */
#include <core/boot.h>
#include <core/errno.h>
#include <core/init.h>
#include <core/irq.h>
#include <core/log.h>
#include <core/string.h>
#include <core/vm.h>
#include "console.h"

enum { REG_DATA = 0, REG_IER = 1, REG_FCR = 2, REG_MCR = 4, REG_LSR = 5, REG_SCRATCH = 7 };

#define IER_RECEIVE   0x01
#define FCR_ENABLE    0x01
#define MCR_OUT2      0x08 /* lets interrupts out, on boards that gate them */
#define MCR_LOOP      0x10
#define LSR_DATA      0x01
#define LSR_THR_EMPTY 0x20
#define FIFO_BYTES    16
#define POLLS_MAX     1000000u /* a transmitter that never drains must not hold the machine up */

static volatile uint8_t *registers; /* [I] */
static unsigned shift;              /* [I] log2 of the distance between registers */

static uint8_t reg_read(unsigned reg)
{
	return registers[reg << shift];
}

static void reg_write(unsigned reg, uint8_t value)
{
	registers[reg << shift] = value;
}

static void wait_empty(void)
{
	for (unsigned i = 0; i < POLLS_MAX; i++) {
		if (reg_read(REG_LSR) & LSR_THR_EMPTY)
			return;
	}
}

static void ns16550_put(const char *bytes, size_t len)
{
	unsigned room = 0;

	for (size_t i = 0; i < len; i++) {
		if (room < 2) {
			wait_empty();
			room = FIFO_BYTES;
		}
		if (bytes[i] == '\n') {
			reg_write(REG_DATA, '\r');
			room--;
		}
		reg_write(REG_DATA, (uint8_t)bytes[i]);
		room--;
	}
}

static void ns16550_interrupt(void *unused)
{
	(void)unused;
	/* Bounded, so that a line that is stuck cannot keep the hart here. */
	for (unsigned i = 0; i < 4 * FIFO_BYTES && reg_read(REG_LSR) & LSR_DATA; i++)
		console_input(reg_read(REG_DATA));
	console_input_done();
}

static const struct console_driver driver = { "ns16550", ns16550_put };

/*
 * The node of stdout-path, whose options behind ':' do not matter, if it is a 16550; else the first
 * one.
 */
static fdt_node_t find_node(const struct fdt *f)
{
	const char *path = fdt_string(f, fdt_find(f, "/chosen"), "stdout-path");
	fdt_node_t n = -1, wanted = -1;
	char buf[64];

	if (path && path[0] == '/' && str_copy(buf, sizeof(buf), path)) {
		for (char *c = buf; *c; c++) {
			if (*c == ':')
				*c = '\0';
		}
		wanted = fdt_find(f, buf);
	}
	while ((n = fdt_next_compatible(f, n, "ns16550a")) >= 0) {
		if (n == wanted || wanted < 0)
			return n;
	}
	return fdt_next_compatible(f, -1, "ns16550a");
}

/* Is there a UART behind the registers? */
static bool answers(void)
{
	static const uint8_t patterns[] = { 0x55, 0xaa };

	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
		reg_write(REG_SCRATCH, patterns[i]);
		if (reg_read(REG_SCRATCH) != patterns[i])
			return false;
	}
	return true;
}

static int ns16550_init(void)
{
	const struct fdt *f = boot_fdt();
	fdt_node_t n = find_node(f);
	uint64_t addr, size;
	uint32_t reg_shift = 0;

	if (n < 0 || !fdt_reg(f, n, 0, &addr, &size))
		return 0; /* the firmware's console goes on */
	fdt_u32(f, n, "reg-shift", &reg_shift);
	if (reg_shift > 4 || size < (8u << reg_shift))
		return -EINVAL;
	registers = vm_map_device(addr, 8u << reg_shift);
	if (!registers)
		return -ENOMEM;
	shift = reg_shift;
	if (!answers()) {
		log_warn("uart: nothing answers at 0x%lx; the firmware's console goes on",
			 (unsigned long)addr);
		registers = NULL;
		return 0;
	}
	reg_write(REG_FCR, FCR_ENABLE);
	console_register(&driver);
	return 0;
}
INIT(INIT_EARLY, ns16550_init);

bool ns16550_loop(bool on)
{
	if (registers)
		reg_write(REG_MCR, MCR_OUT2 | (on ? MCR_LOOP : 0));
	return registers;
}

static int ns16550_input_init(void)
{
	const struct fdt *f = boot_fdt();
	uint32_t irq;
	int err;

	if (!registers || !fdt_u32(f, find_node(f), "interrupts", &irq))
		return 0;
	err = irq_request(irq, ns16550_interrupt, NULL, "uart");
	if (err)
		return err;
	reg_write(REG_MCR, MCR_OUT2);
	reg_write(REG_IER, IER_RECEIVE);
	return 0;
}
INIT(INIT_DRIVERS, ns16550_input_init);
