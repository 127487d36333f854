// SPDX-License-Identifier: MIT
/*
 * The logs of camera-traps 0.4 and later: cpu.json, gpu.json and dram.json, each a list with one
 * element a tick, {"2023-08-25 05:50:59": [[watts, "pid"], ...]}. A device's power stands there
 * once for each process that is monitored for it, as the program that this one replaces had it.
 */
#include <errno.h>
#include <stdlib.h>

#include "sinks/device_logs.h"
#include "sinks/sink.h"
#include "util/buf.h"
#include "util/grow.h"
#include "util/jw.h"
#include "util/timestamp.h"

static const char *const log_names[LOG_COUNT] = { "cpu", "gpu", "dram" };
static const enum kind log_kinds[LOG_COUNT] = { KIND_CPU, KIND_GPU, KIND_DRAM };

/* A process under way, once for each of its sessions. */
struct running {
	uint32_t session_id;
	pid_t pid;
	uint32_t kinds;
};

/* What is collected for one file: the element of one tick. */
struct element {
	struct buf text; /* empty: none */
	int64_t wall_ns; /* the tick */
};

struct camera_traps {
	struct device_logs logs;
	struct element elements[LOG_COUNT];
	struct running *running;
	size_t n_running;
	size_t cap_running;
};

static int camera_traps_open(struct sink *s, char *ret_why, size_t n)
{
	struct camera_traps *state;
	int r;

	*ret_why = '\0';
	s->types = 1u << RECORD_LINE | 1u << RECORD_BEGIN | 1u << RECORD_END;
	s->state = state = calloc(1, sizeof(*state));
	if (!state)
		return -ENOMEM;
	state->logs.names = log_names;
	state->logs.bracket = '[';
	r = device_logs_open(&state->logs, s, LOG_CPU, ret_why, n);
	if (r == 0)
		r = device_logs_open(&state->logs, s, LOG_GPU, ret_why, n);
	return r;
}

/* The tick is over: its element goes into the file. */
static void finish_element(struct camera_traps *state, int which)
{
	struct element *e = &state->elements[which];
	char key[TIMESTAMP_MAX];

	if (e->text.len == 0)
		return;
	buf_str(&e->text, "]}");
	timestamp_local_second(e->wall_ns, key, sizeof(key));
	device_logs_add(&state->logs, which, key, buf_text(&e->text), e->text.len);
	buf_reset(&e->text);
}

static void add_pair(struct element *e, const struct record *r, pid_t pid)
{
	char key[TIMESTAMP_MAX];

	if (e->text.len == 0) {
		timestamp_local_second(r->wall_ns, key, sizeof(key));
		buf_printf(&e->text, "{\"%s\": [", key);
		e->wall_ns = r->wall_ns;
	} else {
		buf_str(&e->text, ", ");
	}
	buf_char(&e->text, '[');
	jw_put_micro(&e->text, (int64_t) r->power_uw);
	buf_printf(&e->text, ", \"%d\"]", (int) pid);
}

static bool was_before(const struct camera_traps *state, size_t i, uint32_t kind_bit)
{
	for (size_t k = 0; k < i; k++)
		if (state->running[k].pid == state->running[i].pid &&
			(state->running[k].kinds & kind_bit))
			return true;
	return false;
}

static void write_line(struct sink *s, const struct record *r)
{
	struct camera_traps *state = s->state;
	struct element *e;
	int which;

	for (which = 0; which < LOG_COUNT; which++)
		if (log_kinds[which] == r->kind)
			break;
	if (which == LOG_COUNT || !device_logs_need(&state->logs, s, which))
		return;
	e = &state->elements[which];
	if (e->text.len > 0 && e->wall_ns != r->wall_ns)
		finish_element(state, which);
	if (r->who == WHO_PROCESS) {
		add_pair(e, r, r->pid);
		return;
	}
	for (size_t i = 0; i < state->n_running; i++)
		if ((state->running[i].kinds & KIND_BIT(r->kind)) &&
			!was_before(state, i, KIND_BIT(r->kind)))
			add_pair(e, r, state->running[i].pid);
}

static void note_begin(struct camera_traps *state, const struct session_report *report)
{
	struct running *list = grow_list(
		state->running, state->n_running, &state->cap_running, sizeof(*list));

	if (!list)
		return;
	state->running = list;
	state->running[state->n_running++] = (struct running) {
		.session_id = report->session_id, .pid = report->pid, .kinds = report->kinds
	};
}

static void note_end(struct camera_traps *state, const struct session_report *report)
{
	for (size_t i = 0; i < state->n_running; i++) {
		if (state->running[i].session_id != report->session_id ||
			state->running[i].pid != report->pid)
			continue;
		state->running[i] = state->running[--state->n_running];
		return;
	}
}

static void camera_traps_write(struct sink *s, const struct record *r)
{
	switch (r->type) {
	case RECORD_LINE:
		write_line(s, r);
		break;
	case RECORD_BEGIN:
		note_begin(s->state, r->session);
		break;
	case RECORD_END:
		note_end(s->state, r->session);
		break;
	default:
		break;
	}
}

static int camera_traps_flush(struct sink *s, bool sync)
{
	struct camera_traps *state = s->state;

	for (int i = 0; i < LOG_COUNT; i++)
		finish_element(state, i);
	return device_logs_flush(&state->logs, s, sync);
}

static int camera_traps_reopen(struct sink *s)
{
	struct camera_traps *state = s->state;

	return device_logs_reopen(&state->logs);
}

static void camera_traps_close(struct sink *s)
{
	struct camera_traps *state = s->state;

	if (!state)
		return;
	device_logs_finish(&state->logs);
	for (int i = 0; i < LOG_COUNT; i++)
		buf_finish(&state->elements[i].text);
	free(state->running);
	free(state);
	s->state = NULL;
}

const struct sink_ops sink_camera_traps = {
	.name = "camera-traps",
	.open = camera_traps_open,
	.write = camera_traps_write,
	.flush = camera_traps_flush,
	.reopen = camera_traps_reopen,
	.close = camera_traps_close,
};
