/*
 * The trace as JSON, a line at a time, so that no more memory is needed than for one record of each
 * hart.
 *
 * In the Trace Event Format a track is a thread of a process. Two processes are made up: in "harts"
 * a track is a hart, on it the threads it runs and the interrupts it takes; in "threads" a track is
 * a thread with what it marked. Times are microseconds with three places.
 *
 * The rings begin in the middle of things: an end whose begin was overwritten is left out, and at
 * the end of the document everything still open is closed. For that the depth of each track is
 * counted. Of threads beyond THREADS_MAX (those that began after the document, or too many) only
 * instants are shown.
 */
#include <core/arch.h>
#include <core/fmt.h>
#include <core/hart.h>
#include <core/kmem.h>
#include <core/string.h>
#include <core/thread.h>
#include <core/trace.h>

#define THREADS_MAX    64
#define INTERRUPTS_MAX 4   /* one in the other; a switch closes them all in one line */

enum process { HARTS = 1, THREADS = 2 };

struct track_thread {
	uint32_t id, depth;
	char name[THREAD_NAME_SIZE];
};

struct track_hart {
	struct trace_record next;    /* the oldest not shown yet, if has_next */
	bool has_next, is_running;   /* is_running: a thread's slice is open */
	uint64_t position;
	uint32_t depth;              /* interrupts open, on top of that slice */
};

enum stage { HEAD, HART_NAMES, THREAD_NAMES, EVENTS, OPEN_HARTS, OPEN_THREADS, TAIL, DONE };

struct trace_json {
	enum stage stage;
	uint32_t index;              /* within the stage */
	uint64_t last_ns;            /* of the newest event shown */
	struct track_hart harts[HARTS_MAX];
	uint32_t thread_count;
	struct track_thread threads[THREADS_MAX];
};

/* A line being written. */
struct out {
	char *at;
	size_t len;
};

static void add(struct out *o, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void add(struct out *o, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	o->len += fmt_vprint(o->at + o->len, TRACE_JSON_LINE_MAX - o->len, fmt, args);
	va_end(args);
	o->len = MIN(o->len, (size_t)TRACE_JSON_LINE_MAX - 1);
}

/* A name, cut at 48 bytes; what is not printable ASCII becomes a question mark. */
static void add_name(struct out *o, const char *name)
{
	add(o, "\"");
	for (size_t i = 0; name[i] && i < 48; i++) {
		if (name[i] == '"' || name[i] == '\\')
			add(o, "\\");
		add(o, "%c", name[i] < ' ' || name[i] > '~' ? '?' : name[i]);
	}
	add(o, "\"");
}

/* ---- tracks ---- */

static void note_thread(const struct thread_info *info, void *arg)
{
	struct trace_json *j = arg;
	struct track_thread *t = &j->threads[j->thread_count];

	if (j->thread_count == THREADS_MAX)
		return;
	j->thread_count++;
	t->id = (uint32_t)info->id;
	str_copy(t->name, sizeof(t->name), info->name);
}

static struct track_thread *thread_find(struct trace_json *j, uint32_t id)
{
	for (struct track_thread *t = j->threads; t < j->threads + j->thread_count; t++) {
		if (t->id == id)
			return t;
	}
	return NULL;
}

static void add_track_name(struct out *o, enum process process, uint32_t id, const char *name)
{
	add(o,
	    ",\n{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":%u,\"tid\":%u,\"args\":{\"name\":",
	    process, id);
	add_name(o, name);
	add(o, "}}");
}

/* ---- events ---- */

static void add_event(struct trace_json *j, struct out *o, const char *phase, enum process process,
		      uint32_t track, uint64_t time_ns)
{
	add(o, ",\n{\"ph\":\"%s\",\"pid\":%u,\"tid\":%u,\"ts\":%llu.%03u", phase, process, track,
	    (unsigned long long)(time_ns / 1000), (unsigned)(time_ns % 1000));
	j->last_ns = time_ns;
}

static void add_named(struct trace_json *j, struct out *o, const char *phase, enum process process,
		      const struct trace_record *r)
{
	add_event(j, o, phase, process, process == HARTS ? r->hart : r->thread_id, r->time_ns);
	add(o, ",\"name\":");
	add_name(o, r->name);
	add(o, *phase == 'i' ? ",\"s\":\"t\"" : "");
	if (r->value || *phase == 'C')
		add(o, ",\"args\":{\"value\":%llu}", (unsigned long long)r->value);
	add(o, "}");
}

static void add_end(struct trace_json *j, struct out *o, enum process process, uint32_t track,
		    uint64_t time_ns)
{
	add_event(j, o, "E", process, track, time_ns);
	add(o, "}");
}

static void show_switch(struct trace_json *j, struct out *o, const struct trace_record *r)
{
	struct track_hart *hart = &j->harts[r->hart];
	const struct track_thread *t = thread_find(j, (uint32_t)r->value);
	char number[24];

	for (hart->depth += hart->is_running; hart->depth; hart->depth--)
		add_end(j, o, HARTS, r->hart, r->time_ns);
	hart->is_running = true;
	fmt_print(number, sizeof(number), "thread %llu", (unsigned long long)r->value);
	add_event(j, o, "B", HARTS, r->hart, r->time_ns);
	add(o, ",\"name\":");
	add_name(o, t ? t->name : number);
	add(o, "}");
}

static void show_begin(struct trace_json *j, struct out *o, const struct trace_record *r,
		       enum process process, uint32_t *depth)
{
	if (!depth || (process == HARTS && *depth == INTERRUPTS_MAX))
		return;
	++*depth;
	add_named(j, o, "B", process, r);
}

static void show_end(struct trace_json *j, struct out *o, const struct trace_record *r,
		     enum process process, uint32_t *depth)
{
	if (!depth || !*depth)
		return;
	--*depth;
	add_end(j, o, process, process == HARTS ? r->hart : r->thread_id, r->time_ns);
}

static void show(struct trace_json *j, struct out *o, const struct trace_record *r)
{
	struct track_thread *t = thread_find(j, r->thread_id);
	uint32_t *thread_depth = t ? &t->depth : NULL, *hart_depth = &j->harts[r->hart].depth;

	switch (r->kind) {
	case TRACE_INSTANT:
		add_named(j, o, "i", THREADS, r);
		break;
	case TRACE_COUNTER:
		add_named(j, o, "C", HARTS, r);
		break;
	case TRACE_BEGIN:
		show_begin(j, o, r, THREADS, thread_depth);
		break;
	case TRACE_END:
		show_end(j, o, r, THREADS, thread_depth);
		break;
	case TRACE_HART_BEGIN:
		show_begin(j, o, r, HARTS, hart_depth);
		break;
	case TRACE_HART_END:
		show_end(j, o, r, HARTS, hart_depth);
		break;
	case TRACE_SWITCH:
		show_switch(j, o, r);
		break;
	}
}

/* Records from before tracing was switched on lie in the ring, too. */
static void fetch(struct track_hart *hart, hart_t h)
{
	while (!hart->has_next && trace_read(h, &hart->position, &hart->next, 1))
		hart->has_next = hart->next.time_ns >= trace_since_ns();
}

/* The oldest record that any hart still has, taken off; false when there is none. */
static bool take_oldest(struct trace_json *j, struct trace_record *out)
{
	struct track_hart *first = NULL;

	for (hart_t h = 0; h < HARTS_MAX; h++) {
		struct track_hart *hart = &j->harts[h];

		fetch(hart, h);
		if (hart->has_next && (!first || hart->next.time_ns < first->next.time_ns))
			first = hart;
	}
	if (!first)
		return false;
	*out = first->next;
	first->has_next = false;
	return true;
}

/* ---- the document ---- */

/* At the end of the document: closes the innermost slice that is open; false when there is none. */
static bool close_one(struct trace_json *j, struct out *o, enum process process, uint32_t track,
		      uint32_t *depth)
{
	if (!*depth)
		return false;
	--*depth;
	add_end(j, o, process, track, j->last_ns);
	return true;
}

/* Some of the stage; false when nothing is left of it. It may add nothing and not be over. */
static bool stage_write(struct trace_json *j, struct out *o)
{
	struct trace_record r;
	struct track_hart *hart;
	struct track_thread *t;
	char name[16];

	switch (j->stage) {
	case HEAD:
		add(o,
		    "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n"
		    "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":1,\"args\":{\"name\":\"harts\"}},\n"
		    "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":2,\"args\":{\"name\":\"threads\"}}");
		return false;
	case HART_NAMES:
		if (j->index == hart_count())
			return false;
		fmt_print(name, sizeof(name), "hart %u", j->index);
		add_track_name(o, HARTS, j->index, name);
		break;
	case THREAD_NAMES:
		if (j->index == j->thread_count)
			return false;
		add_track_name(o, THREADS, j->threads[j->index].id, j->threads[j->index].name);
		break;
	case EVENTS:
		if (!take_oldest(j, &r))
			return false;
		show(j, o, &r);
		break;
	case OPEN_HARTS:
		if (j->index == HARTS_MAX)
			return false;
		hart = &j->harts[j->index];
		if (close_one(j, o, HARTS, j->index, &hart->depth))
			return true;
		if (hart->is_running)
			add_end(j, o, HARTS, j->index, j->last_ns);
		break;
	case OPEN_THREADS:
		if (j->index == j->thread_count)
			return false;
		t = &j->threads[j->index];
		if (close_one(j, o, THREADS, t->id, &t->depth))
			return true;
		break;
	case TAIL:
		add(o, "\n]}\n");
		return false;
	case DONE:
		break;
	}
	j->index++;
	return true;
}

size_t trace_json_line(struct trace_json *j, char line[TRACE_JSON_LINE_MAX])
{
	struct out o = { .at = line };

	while (!o.len && j->stage != DONE) {
		if (stage_write(j, &o))
			continue;
		j->stage++;
		j->index = 0;
	}
	return o.len;
}

struct trace_json *trace_json_begin(void)
{
	struct trace_json *j = kzalloc(sizeof(*j));

	if (j)
		thread_for_each(note_thread, j);
	return j;
}

void trace_json_end(struct trace_json *j)
{
	kfree(j);
}
