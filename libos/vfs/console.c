/*
 * The console as a file: standard input, output and error.
 *
 * Output goes out before write() returns. Input is what core's console has kept; it arrives line by
 * line only if whoever types sends lines: there is no line discipline here.
 */
#include <core/console.h>
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>
#include <libos/abi.h>

#include "vfs.h"

#define CONSOLE_CHUNK 256

static struct poll_queue input;

static kssize_t console_file_read(struct file *f, struct uio *u)
{
	char buf[CONSOLE_CHUNK];
	size_t n;

	(void)f;
	if (!u->left)
		return 0;
	n = console_read(buf, MIN(sizeof(buf), u->left));
	return n ? uio_copy_out(u, buf, n) : -EAGAIN;
}

static kssize_t console_file_write(struct file *f, struct uio *u)
{
	char buf[CONSOLE_CHUNK];
	size_t done = 0;

	(void)f;
	while (u->left) {
		kssize_t n = uio_copy_in(u, buf, MIN(sizeof(buf), u->left));

		if (n <= 0)
			return done ? (kssize_t)done : n;
		console_write(buf, (size_t)n);
		done += (size_t)n;
	}
	return (kssize_t)done;
}

static uint32_t console_poll(struct file *f)
{
	(void)f;
	return POLL_OUT | (console_can_read() ? POLL_IN : 0);
}

static struct poll_queue *console_poll_queue(struct file *f)
{
	(void)f;
	return &input;
}

struct abi_winsize { uint16_t rows, columns, width, height; };
struct abi_termios { uint32_t input, output, control, local; uint8_t line, chars[19]; };

static int console_ioctl(struct file *f, unsigned long request, uintptr_t arg)
{
	struct abi_winsize size = { 24, 80, 0, 0 };
	struct abi_termios termios = { .control = 0xbf };

	(void)f;
	switch (request) {
	case TIOCGWINSZ:
		return user_write((void *)arg, &size, sizeof(size));
	case TCGETS:
		return user_write((void *)arg, &termios, sizeof(termios));
	case TCSETS:
	case TCSETS + 1:
	case TCSETS + 2:
		return 0; /* it is raw, and stays so */
	case FIONREAD:
		return user_write((void *)arg, &(int){ console_can_read() }, sizeof(int));
	default:
		return -ENOTTY;
	}
}

static int console_stat(struct file *f, struct kstat *st)
{
	(void)f;
	st->mode = S_IFCHR | 0620;
	st->rdev = 5 << 8 | 1;
	return 0;
}

static const struct file_ops console_ops = {
	.kind = "console",
	.read = console_file_read,
	.write = console_file_write,
	.poll = console_poll,
	.poll_queue = console_poll_queue,
	.ioctl = console_ioctl,
	.stat = console_stat,
};

static void console_notify(void)
{
	poll_notify(&input, POLL_IN);
}

struct file *console_open(void)
{
	if (!input.watches.next) {
		poll_queue_init(&input);
		console_set_notify(console_notify);
	}
	return file_create(&console_ops, NULL, O_RDWR);
}
