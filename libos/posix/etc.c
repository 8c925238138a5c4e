/*
 * The files in /etc that a C library's resolver reads: resolv.conf tells the name servers that the
 * network knows now, hosts knows localhost. Their text is made when they are opened.
 */
#include <core/errno.h>
#include <core/kmem.h>
#include <core/string.h>
#include <libos/abi.h>
#include <libos/net.h>

#include "open.h"

#define TEXT_BYTES 256

struct text {
	size_t len;
	char bytes[TEXT_BYTES];
};

static kssize_t text_read(struct file *f, struct uio *u)
{
	const struct text *t = f->object;

	if (u->offset >= (int64_t)t->len)
		return 0;
	return uio_copy_out(u, t->bytes + u->offset, t->len - (size_t)u->offset);
}

static int64_t text_seek(struct file *f, int64_t offset, int whence)
{
	const struct text *t = f->object;

	return file_seek(f, offset, whence, (int64_t)t->len);
}

static uint32_t text_poll(struct file *f)
{
	(void)f;
	return POLL_IN | POLL_OUT;
}

static int text_stat(struct file *f, struct kstat *st)
{
	st->mode = 0100444;
	st->size = (int64_t)((const struct text *)f->object)->len;
	return 0;
}

static void text_release(struct file *f)
{
	kfree(f->object);
	kfree(f);
}

static const struct file_ops text_ops = {
	.kind = "text", .read = text_read, .seek = text_seek, .poll = text_poll, .stat = text_stat,
	.release = text_release,
};

static void text_add(struct text *t, const char *line)
{
	size_t len = str_length(line);

	if (len > sizeof(t->bytes) - t->len)
		return;
	memcpy(t->bytes + t->len, line, len);
	t->len += len;
}

static void write_resolv_conf(struct text *t)
{
	char server[NET_ADDRESS_TEXT_MAX];

	for (unsigned i = 0; net_dns_server(i, server); i++) {
		text_add(t, "nameserver ");
		text_add(t, server);
		text_add(t, "\n");
	}
}

static void write_hosts(struct text *t)
{
	text_add(t, "127.0.0.1 localhost\n::1 localhost\n");
}

static const struct {
	const char *path;
	void (*write)(struct text *t);
} files[] = {
	{ "/etc/resolv.conf", write_resolv_conf },
	{ "/etc/hosts", write_hosts },
};

int etc_open(const char *path, uint32_t flags, struct file **out)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct text *t;

		if (!str_equal(path, files[i].path))
			continue;
		if ((flags & O_ACCMODE) != O_RDONLY)
			return -EACCES;
		t = kzalloc(sizeof(*t));
		if (!t)
			return -ENOMEM;
		files[i].write(t);
		*out = file_create(&text_ops, t, flags);
		if (*out)
			return 0;
		kfree(t);
		return -ENOMEM;
	}
	return -ENOENT;
}
