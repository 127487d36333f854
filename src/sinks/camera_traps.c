// SPDX-License-Identifier: MIT
/*
 * The logs of camera-traps 0.4 and later: cpu.json, gpu.json and dram.json, each a list with one
 * element a tick, {"2023-08-25 05:50:59": [[watts, "pid"], ...]}. A device's power stands there
 * once for each process that is monitored for it, as the program that this one replaces had it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/sink.h"
#include "util/buf.h"
#include "util/json_out.h"
#include "util/jsonfile.h"
#include "util/timestamp.h"

enum { LOG_CPU, LOG_GPU, LOG_DRAM, LOG_COUNT };

static const char *const log_names[LOG_COUNT] = { "cpu", "gpu", "dram" };
static const enum kind log_kinds[LOG_COUNT] = { KIND_CPU, KIND_GPU, KIND_DRAM };

/* A process under way, once for each of its sessions. */
struct running {
	uint32_t session_id;
	pid_t pid;
	uint32_t kinds;
};

struct log {
	struct jsonfile *file; /* NULL: not there yet */
	struct buf element;    /* of the tick that is being collected; empty: none */
	int64_t wall_ns;       /* the tick */
};

struct camera_traps {
	struct log logs[LOG_COUNT];
	struct running *running;
	size_t n_running;
	size_t cap_running;
	int pending_error;
	uint64_t lost; /* lines for which there was no file */
	bool unsynced;
};

static int open_log(struct sink *s, int which, char *ret_note, size_t n)
{
	struct camera_traps *state = s->state;

	return jsonfile_open(
		&state->logs[which].file, s->options.path, log_names[which], '[', ret_note, n);
}

static int camera_traps_open(struct sink *s, char *ret_why, size_t n)
{
	char note[SINK_WHY_MAX];
	int r;

	*ret_why = '\0';
	s->types = 1u << RECORD_LINE | 1u << RECORD_BEGIN | 1u << RECORD_END;
	s->state = calloc(1, sizeof(struct camera_traps));
	if (!s->state)
		return -ENOMEM;
	r = open_log(s, LOG_CPU, ret_why, n);
	if (r < 0)
		return r;
	r = open_log(s, LOG_GPU, note, sizeof(note));
	if (*note) {
		size_t len = strlen(ret_why);

		snprintf(ret_why + len, n - len, "%s%s", len ? "; " : "", note);
	}
	return r;
}

/* The tick is over: its element goes into the file. */
static void finish_element(struct sink *s, int which)
{
	struct camera_traps *state = s->state;
	struct log *log = &state->logs[which];
	char key[TIMESTAMP_MAX];

	if (log->element.len == 0)
		return;
	buf_str(&log->element, "]}");
	timestamp_local_second(log->wall_ns, key, sizeof(key));
	jsonfile_add(log->file, key, buf_text(&log->element), log->element.len);
	buf_reset(&log->element);
	state->unsynced = true;
}

static void add_pair(struct log *log, const struct record *r, pid_t pid)
{
	char key[TIMESTAMP_MAX];

	if (log->element.len == 0) {
		timestamp_local_second(r->wall_ns, key, sizeof(key));
		buf_printf(&log->element, "{\"%s\": [", key);
		log->wall_ns = r->wall_ns;
	} else {
		buf_str(&log->element, ", ");
	}
	buf_char(&log->element, '[');
	json_put_micro(&log->element, (int64_t) r->power_uw);
	buf_printf(&log->element, ", \"%d\"]", (int) pid);
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
	struct log *log = NULL;
	char note[SINK_WHY_MAX];
	int which;

	for (which = 0; which < LOG_COUNT; which++)
		if (log_kinds[which] == r->kind)
			break;
	if (which == LOG_COUNT)
		return;
	log = &state->logs[which];
	if (!log->file) {
		int error = open_log(s, which, note, sizeof(note));

		if (error < 0) {
			state->pending_error = error;
			state->lost++;
			return;
		}
	}
	if (log->element.len > 0 && log->wall_ns != r->wall_ns)
		finish_element(s, which);
	if (r->who == WHO_PROCESS) {
		add_pair(log, r, r->pid);
		return;
	}
	for (size_t i = 0; i < state->n_running; i++)
		if ((state->running[i].kinds & KIND_BIT(r->kind)) &&
			!was_before(state, i, KIND_BIT(r->kind)))
			add_pair(log, r, state->running[i].pid);
}

static void note_begin(struct camera_traps *state, const struct session_report *report)
{
	if (state->n_running == state->cap_running) {
		size_t cap = state->cap_running ? state->cap_running * 2 : 16;
		struct running *list = realloc(state->running, cap * sizeof(*list));

		if (!list)
			return;
		state->running = list;
		state->cap_running = cap;
	}
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
	uint64_t waiting = 0, lost = state->lost;
	int error = state->pending_error;

	state->pending_error = 0;
	for (int i = 0; i < LOG_COUNT; i++) {
		struct jsonfile *f = state->logs[i].file;
		int r;

		if (!f)
			continue;
		finish_element(s, i);
		r = jsonfile_flush(f);
		if (r == 0 && s->options.max_bytes && jsonfile_size(f) > s->options.max_bytes)
			r = jsonfile_turn_over(f);
		if (r == 0 && sync && state->unsynced)
			r = jsonfile_sync(f);
		if (r < 0)
			error = r;
		waiting += jsonfile_waiting(f);
		lost += jsonfile_lost(f);
	}
	if (sync && !error)
		state->unsynced = false;
	s->health.error = error;
	s->health.waiting = waiting;
	s->health.lost = lost;
	return error;
}

static int camera_traps_reopen(struct sink *s)
{
	struct camera_traps *state = s->state;
	int error = 0;

	for (int i = 0; i < LOG_COUNT; i++) {
		int r = state->logs[i].file ? jsonfile_reopen(state->logs[i].file) : 0;

		if (r < 0)
			error = r;
	}
	return error;
}

static void camera_traps_close(struct sink *s)
{
	struct camera_traps *state = s->state;

	if (!state)
		return;
	for (int i = 0; i < LOG_COUNT; i++) {
		jsonfile_close(state->logs[i].file);
		buf_finish(&state->logs[i].element);
	}
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
