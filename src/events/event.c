// SPDX-License-Identifier: MIT
#include "events/event.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/clock.h"
#include "meter/domain.h"
#include "util/cleanup.h"
#include "util/parse.h"
#include "util/timestamp.h"

#define CPU KIND_BIT(KIND_CPU)
#define GPU KIND_BIT(KIND_GPU)
#define DRAM KIND_BIT(KIND_DRAM)

static const uint32_t numberings[][5] = {
	[MONITOR_TYPES_README] = { CPU | GPU, CPU, GPU, DRAM, DRAM },
	[MONITOR_TYPES_EVENTS] = { CPU | GPU, CPU | GPU | DRAM, CPU, GPU, DRAM },
};

uint32_t monitor_type_kinds(int type, enum monitor_types numbering)
{
	if (type < 0 || (size_t) type >= ARRAY_SIZE(numberings[0]))
		return 0;
	return numberings[numbering][type];
}

static int8_t number_of(uint32_t kinds, enum monitor_types numbering)
{
	for (size_t i = 0; i < ARRAY_SIZE(numberings[0]); i++)
		if (numberings[numbering][i] == kinds)
			return (int8_t) i;
	return -1;
}

int monitor_type_parse(const char *name, enum monitor_types numbering, int8_t ret[3])
{
	static const struct {
		const char *name;
		uint32_t kinds;
	} names[] = { { "cpu", CPU }, { "gpu", GPU }, { "dram", DRAM } };
	int64_t number;

	if (strcmp(name, "all") == 0) {
		ret[0] = number_of(CPU | GPU | DRAM, numbering);
		if (ret[0] >= 0)
			return 1;
		ret[0] = number_of(CPU | GPU, numbering);
		ret[1] = number_of(DRAM, numbering);
		return 2;
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(name, names[i].name) == 0) {
			ret[0] = number_of(names[i].kinds, numbering);
			return 1;
		}
	}
	/* Any number is sent as it stands: whether it means anything is the receiver's to say. */
	if (parse_i64(name, &number) < 0 || number < INT8_MIN || number > INT8_MAX)
		return -EINVAL;
	ret[0] = (int8_t) number;
	return 1;
}

/* Keeps a text that fits and is printable; anything else becomes "". */
static void keep_text(struct wire_text text, char *ret, size_t n)
{
	*ret = '\0';
	if (text.n >= n)
		return;
	for (size_t i = 0; i < text.n; i++)
		if (text.at[i] < 0x20 || text.at[i] > 0x7e)
			return;
	if (text.n > 0) /* of an event that has no such text there is not even an empty one */
		memcpy(ret, text.at, text.n);
	ret[text.n] = '\0';
}

__attribute__((format(printf, 3, 4))) static int refuse(
	char *why, size_t n, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, n, format, args);
	va_end(args);
	return -EBADMSG;
}

static int take_pids(const struct wire_event *w, struct request *e, char *why, size_t n)
{
	if (w->n_pids == 0)
		return refuse(why, n, "the event names no pids");
	if (w->n_pids > REQUEST_MAX_PIDS)
		return refuse(
			why, n, "%zu pids in one event, more than %d", w->n_pids, REQUEST_MAX_PIDS);
	memcpy(e->pids, w->pids, w->n_pids * sizeof(e->pids[0]));
	e->n_pids = w->n_pids;
	return 0;
}

static int take_types(const struct wire_event *w, enum monitor_types numbering, struct request *e,
	char *why, size_t n)
{
	if (w->n_types == 0)
		return refuse(why, n, "the event names no monitor types");
	if (w->n_types > EVENT_MAX_TYPES)
		return refuse(why, n, "%zu monitor types in one event, more than %d", w->n_types,
			EVENT_MAX_TYPES);
	for (size_t i = 0; i < w->n_types; i++) {
		uint32_t kinds = monitor_type_kinds(w->types[i], numbering);

		if (!kinds)
			return refuse(why, n, "%d is no monitor type: there are 0 to %zu",
				w->types[i], ARRAY_SIZE(numberings[0]) - 1);
		e->kinds |= kinds;
	}
	return 0;
}

static int take_start_time(const struct wire_event *w, struct request *e, char *why, size_t n)
{
	char shown[REQUEST_TS_MAX];

	e->start_now = w->start_ts.n == 0;
	if (e->start_now)
		return 0;
	if (timestamp_parse(w->start_ts.at, w->start_ts.n, &e->start_wall_ns) == 0)
		return 0;
	keep_text(w->start_ts, shown, sizeof(shown));
	return refuse(why, n, "monitor_start_ts \"%s\" is no time", shown);
}

/* How long an event was on its way, or the time for which it asked has passed. Only a time stamp of when it
 * was made tells: who asks for a time in the past means at once. */
static uint64_t waited_ns(const struct wire_event *w, const struct request *e)
{
	int64_t now_ns = clock_wall_ns(&clock_system), since_ns, waited;

	if (timestamp_parse(w->create_ts.at, w->create_ts.n, &since_ns) < 0)
		return 0;
	if (!e->start_now && e->start_wall_ns > since_ns)
		since_ns = e->start_wall_ns;
	/* The sender's time may be any that a time stamp can hold. */
	if (__builtin_sub_overflow(now_ns, since_ns, &waited) || waited < 0 ||
		(uint64_t) waited < REQUEST_WAITED_MIN_NS ||
		(uint64_t) waited > REQUEST_WAITED_MAX_NS)
		return 0;
	return (uint64_t) waited;
}

static int to_event(const struct wire_event *w, enum monitor_types numbering, struct request *ret,
	char *why, size_t n)
{
	int r = 0;

	ret->n_pids = 0;
	ret->kinds = 0;
	ret->sender = ret->waited_ns = 0;
	keep_text(w->create_ts, ret->create_ts, sizeof(ret->create_ts));
	switch (w->type) {
	case WIRE_MONITOR_START:
		ret->kind = REQUEST_START;
		ret->seconds = w->seconds;
		r = take_pids(w, ret, why, n);
		if (r == 0)
			r = take_types(w, numbering, ret, why, n);
		if (r == 0)
			r = take_start_time(w, ret, why, n);
		if (r == 0)
			ret->waited_ns = waited_ns(w, ret);
		return r;
	case WIRE_MONITOR_STOP:
		ret->kind = REQUEST_STOP;
		return take_pids(w, ret, why, n);
	case WIRE_PLUGIN_TERMINATE:
		ret->kind = REQUEST_TERMINATE;
		keep_text(w->name, ret->name, sizeof(ret->name));
		keep_text(w->uuid, ret->uuid, sizeof(ret->uuid));
		return 0;
	default:
		refuse(why, n, "%s is not for a power meter", codec_type_name(w->type));
		return -ENOMSG;
	}
}

int event_decode(const void *message, size_t n, enum monitor_types numbering, struct request *ret,
	char *ret_why, size_t why_size)
{
	CLEANUP_FREE char *copy = NULL;
	struct wire_event w;
	int r;

	ret->create_ts[0] = '\0';
	if (n > EVENT_MAX_BYTES)
		return refuse(ret_why, why_size, "%zu bytes, more than %d", n, EVENT_MAX_BYTES);
	/* The buffer begins behind the two prefix bytes: put them right before an aligned place. */
	copy = malloc(n + 8);
	if (!copy)
		return refuse(ret_why, why_size, "out of memory");
	if (n > 0)
		memcpy(copy + 6, message, n);
	r = codec_decode(copy + 6, n, &w, ret_why, why_size);
	if (r < 0)
		return r;
	return to_event(&w, numbering, ret, ret_why, why_size);
}

bool event_take(struct source *s, struct request *room, const void *message, size_t n)
{
	char why[REQUEST_WHY_MAX] = "";
	int r = event_decode(message, n, s->options.monitor_types, room, why, sizeof(why));

	if (r == -ENOMSG) /* a good event for somebody else */
		return false;
	if (r < 0) {
		s->owner.refused(s->owner.ctx, room->create_ts, why);
		return false;
	}
	if (room->kind == REQUEST_TERMINATE &&
		!event_is_for(room, s->options.plugin_name, s->options.plugin_uuid))
		return false;
	s->owner.take(s->owner.ctx, room, why, sizeof(why));
	return room->kind == REQUEST_TERMINATE;
}

int event_about_self(const struct source_options *self, enum wire_type type, void *ret, size_t max)
{
	char created[TIMESTAMP_MAX];
	struct wire_event event = { .type = type };

	timestamp_utc_naive(clock_wall_ns(&clock_system), created, sizeof(created));
	event.create_ts = (struct wire_text) { created, strlen(created) };
	event.name = (struct wire_text) { self->plugin_name, strlen(self->plugin_name) };
	event.uuid = (struct wire_text) { self->plugin_uuid, strlen(self->plugin_uuid) };
	return codec_encode(&event, ret, max);
}

bool event_is_for(const struct request *event, const char *name, const char *uuid)
{
	return strcmp(event->name, "*") == 0 || strcmp(event->uuid, "*") == 0 ||
		strcmp(event->name, name) == 0 || strcmp(event->uuid, uuid) == 0;
}
