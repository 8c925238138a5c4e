/*
 * The simulated device; model.h says what it is for.
 */
#include "model.h"

#include <core/arch.h>
#include <core/string.h>

#ifdef KILN_HOST
#define RAM_START HOST_RAM_START
#define RAM_BYTES HOST_RAM_BYTES
#else
#define RAM_START 0x80000000ull
#define RAM_BYTES GIB(1)
#endif

static struct model *model_of(struct virtio_device *d)
{
	return container_of(d, struct model, dev);
}

void *model_memory(paddr_t pa)
{
	return arch_direct_map(pa);
}

static void complain(struct model *m, const char *what)
{
	if (!m->complaint)
		m->complaint = what;
}

static uint8_t model_status(struct virtio_device *d)
{
	return model_of(d)->status;
}

static void model_reset(struct model *m)
{
	m->resets++;
	m->status = 0;
	m->accepted = 0;
	m->causes = 0;
	for (unsigned i = 0; i < MODEL_QUEUES; i++)
		m->queues[i] = (struct model_queue){ .size_max = m->queues[i].size_max };
}

static void model_set_status(struct virtio_device *d, uint8_t status)
{
	struct model *m = model_of(d);

	if (!status && m->stuck)
		return;
	if (!status) {
		model_reset(m);
		return;
	}
	if (m->refuses_features)
		status &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
	m->status = status;
}

static uint64_t model_features(struct virtio_device *d)
{
	return model_of(d)->offered;
}

static void model_set_features(struct virtio_device *d, uint64_t features)
{
	struct model *m = model_of(d);

	if (features & ~m->offered)
		complain(m, "accepts features that were not offered");
	m->accepted = features;
}

static uint32_t model_config_read(struct virtio_device *d, unsigned offset, unsigned width)
{
	struct model *m = model_of(d);
	uint32_t value = 0;

	if (offset % width || offset + width > MODEL_CONFIG)
		complain(m, "reads configuration that is not there");
	else
		memcpy(&value, m->config + offset, width);
	return value;
}

static void model_config_write(struct virtio_device *d, unsigned offset, unsigned width,
			       uint32_t value)
{
	(void)offset, (void)width, (void)value;
	complain(model_of(d), "writes configuration");
}

static uint32_t model_config_generation(struct virtio_device *d)
{
	struct model *m = model_of(d);

	return m->generation_runs ? m->generation++ : m->generation;
}

static unsigned model_queue_size_max(struct virtio_device *d, unsigned index)
{
	return index < MODEL_QUEUES ? model_of(d)->queues[index].size_max : 0;
}

static bool in_ram(paddr_t pa, size_t len)
{
	return pa >= RAM_START && len <= RAM_BYTES && pa - RAM_START <= RAM_BYTES - len;
}

static void model_queue_enable(struct virtio_device *d, unsigned index,
			       const struct virtio_queue_place *p)
{
	struct model *m = model_of(d);
	struct model_queue *q = &m->queues[index];

	if (!p->size || p->size & (p->size - 1) || p->size > q->size_max)
		complain(m, "a queue size that is no power of two, or too large");
	if (!in_ram(p->desc, p->size * 16) || !in_ram(p->avail, 6 + p->size * 2u) ||
	    !in_ram(p->used, 6 + p->size * 8u))
		complain(m, "a ring outside RAM");
	if (p->desc % 16 || p->avail % 2 || p->used % 4)
		complain(m, "a ring that is not aligned");
	q->place = *p;
	q->ready = true;
	q->avail_seen = q->used_idx = q->signalled_idx = 0;
}

static void model_notify(struct virtio_device *d, unsigned index)
{
	struct model *m = model_of(d);

	m->queues[index].notifications++;
	if (!(m->status & VIRTIO_STATUS_DRIVER_OK))
		complain(m, "notifies before DRIVER_OK");
	if (m->notified)
		m->notified(m, index);
}

static uint32_t model_take_interrupt(struct virtio_device *d)
{
	struct model *m = model_of(d);
	uint32_t causes = m->causes;

	m->causes = 0;
	return causes;
}

static void model_quiet_queues(struct virtio_device *d)
{
	model_of(d)->causes &= ~VIRTIO_INTERRUPT_QUEUE;
}

static const struct virtio_transport model_transport = {
	.status = model_status,
	.set_status = model_set_status,
	.features = model_features,
	.set_features = model_set_features,
	.config_read = model_config_read,
	.config_write = model_config_write,
	.config_generation = model_config_generation,
	.queue_size_max = model_queue_size_max,
	.queue_enable = model_queue_enable,
	.notify = model_notify,
	.take_interrupt = model_take_interrupt,
	.quiet_queues = model_quiet_queues,
};

void model_init(struct model *m, uint32_t id, uint64_t offered, unsigned queues,
		unsigned queue_size)
{
	*m = (struct model){ .offered = offered };
	m->dev.transport = &model_transport;
	m->dev.id = id;
	m->dev.legacy = !(offered & VIRTIO_F_VERSION_1);
	memcpy(m->dev.name, "model", 6);
	m->dev.lies = UINT32_MAX / 2; /* past what is logged */
	for (unsigned i = 0; i < queues; i++)
		m->queues[i].size_max = queue_size;
	virtq_set_ram(RAM_START, RAM_START + RAM_BYTES);
}

static void walk(struct model *m, struct model_chain *c, const struct virtq_desc *table,
		 unsigned size, uint16_t at)
{
	for (unsigned steps = 0; steps < size; steps++) {
		struct virtq_desc d;

		if (at >= size) {
			complain(m, "a descriptor that is not in its table");
			return;
		}
		d = table[at];
		if (d.flags & VIRTQ_DESC_F_INDIRECT) {
			if (!(m->accepted & VIRTIO_F_INDIRECT_DESC) || d.len % 16 ||
			    !in_ram(d.addr, d.len))
				complain(m, "a bad indirect table");
			else
				walk(m, c, model_memory(d.addr), d.len / 16, 0);
			return;
		}
		if (!d.len || !in_ram(d.addr, d.len) || c->count == MODEL_SEGMENTS) {
			complain(m, "a segment outside RAM, an empty one, or one too many");
			return;
		}
		c->segs[c->count++] = (struct virtq_seg){ d.addr, d.len };
		if (d.flags & VIRTQ_DESC_F_WRITE) {
			c->in_bytes += d.len;
		} else {
			if (c->out != c->count - 1)
				complain(m, "a readable segment behind a writable one");
			c->out = c->count;
			c->out_bytes += d.len;
		}
		if (!(d.flags & VIRTQ_DESC_F_NEXT))
			return;
		at = d.next;
	}
	complain(m, "a chain without end");
}

bool model_pop(struct model *m, unsigned queue, struct model_chain *c)
{
	struct model_queue *q = &m->queues[queue];
	struct virtq_avail *avail;

	*c = (struct model_chain){ 0 };
	if (!q->ready || !(m->status & VIRTIO_STATUS_DRIVER_OK))
		return false;
	avail = model_memory(q->place.avail);
	if (q->avail_seen == __atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE))
		return false;
	if ((uint16_t)(avail->idx - q->avail_seen) > q->place.size)
		complain(m, "more chains than descriptors");
	c->head = avail->ring[q->avail_seen++ & (q->place.size - 1)];
	if (m->accepted & VIRTIO_F_EVENT_IDX) /* notify about the next one again */
		*(uint16_t *)&model_used(m, queue)->ring[q->place.size] = q->avail_seen;
	walk(m, c, model_memory(q->place.desc), q->place.size, c->head);
	return true;
}

void model_fill(struct model *m, unsigned queue, unsigned ahead, uint16_t head, uint32_t written)
{
	struct model_queue *q = &m->queues[queue];

	model_used(m, queue)->ring[(uint16_t)(q->used_idx + ahead) & (q->place.size - 1)] =
		(struct virtq_used_elem){ head, written };
}

void model_flush(struct model *m, unsigned queue, unsigned count)
{
	struct model_queue *q = &m->queues[queue];

	if (!q->ready)
		return;
	q->used_idx = (uint16_t)(q->used_idx + count);
	__atomic_store_n(&model_used(m, queue)->idx, q->used_idx, __ATOMIC_RELEASE);
}

void model_push(struct model *m, unsigned queue, uint16_t head, uint32_t written)
{
	model_fill(m, queue, 0, head, written);
	model_flush(m, queue, 1);
}

void model_lie(struct model *m, unsigned queue, uint32_t id, uint32_t len, uint16_t index_step)
{
	struct model_queue *q = &m->queues[queue];

	if (!q->ready)
		return;
	model_used(m, queue)->ring[q->used_idx & (q->place.size - 1)] =
		(struct virtq_used_elem){ id, len };
	model_flush(m, queue, index_step);
}

size_t model_read(const struct model_chain *c, void *to, size_t max)
{
	size_t done = 0;

	for (unsigned i = 0; i < c->out && done < max; i++) {
		size_t n = MIN(max - done, c->segs[i].len);

		memcpy((uint8_t *)to + done, model_memory(c->segs[i].addr), n);
		done += n;
	}
	return done;
}

size_t model_write(const struct model_chain *c, const void *from, size_t len)
{
	size_t done = 0;

	for (unsigned i = c->out; i < c->count && done < len; i++) {
		size_t n = MIN(len - done, c->segs[i].len);

		memcpy(model_memory(c->segs[i].addr), (const uint8_t *)from + done, n);
		done += n;
	}
	return done;
}

void model_config_changed(struct model *m)
{
	m->generation++;
	m->causes |= VIRTIO_INTERRUPT_CONFIG;
}

/* [2.7.7.2, 2.7.10.1] */
static bool queue_interrupts(struct model *m, unsigned queue)
{
	struct model_queue *q = &m->queues[queue];
	struct virtq_avail *avail;
	uint16_t before = q->signalled_idx, event;

	if (!q->ready || before == q->used_idx)
		return false;
	avail = model_memory(q->place.avail);
	q->signalled_idx = q->used_idx;
	if (!(m->accepted & VIRTIO_F_EVENT_IDX))
		return !(avail->flags & VIRTQ_AVAIL_F_NO_INTERRUPT);
	event = avail->ring[q->place.size];
	return (uint16_t)(q->used_idx - event - 1) < (uint16_t)(q->used_idx - before);
}

bool model_interrupt(struct model *m)
{
	uint32_t causes;

	for (unsigned i = 0; i < MODEL_QUEUES; i++) {
		if (queue_interrupts(m, i))
			m->causes |= VIRTIO_INTERRUPT_QUEUE;
	}
	if (!m->causes)
		return false;
	m->interrupts++;
	causes = model_take_interrupt(&m->dev);
	m->dev.driver->interrupt(&m->dev, causes);
	return true;
}
