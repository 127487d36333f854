// SPDX-License-Identifier: MIT
/*
 * phases_<pid>.json in the log directory: what a process used in each of the phases that it marked,
 * of its last session that ended. Replaced whole.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "phases/phase_table.h"
#include "sinks/sink.h"
#include "sinks/atomicfile.h"
#include "util/buf.h"
#include "util/grow.h"
#include "util/jw.h"
#include "session/schema.h"
#include "util/timestamp.h"

/* As many files as may wait for room on the disk. */
#define WAIT_MAX 4096

struct file {
	pid_t pid;
	struct buf text;
};

struct phases_json {
	struct file *waiting;
	size_t n;
	size_t cap;
};

static int phases_open(struct sink *s, char *ret_why, size_t n)
{
	s->state = calloc(1, sizeof(struct phases_json));
	s->types = 1u << RECORD_PHASES;
	snprintf(ret_why, n, "%s", s->state ? "" : "out of memory");
	return s->state ? 0 : -ENOMEM;
}

static void put(struct buf *b, const struct record *r)
{
	struct jw j = JW_INIT(b);
	char start[TIMESTAMP_MAX], end[TIMESTAMP_MAX];

	timestamp_rfc3339(r->session->start_wall_ns, start, sizeof(start));
	timestamp_rfc3339(r->session->end_wall_ns, end, sizeof(end));
	jw_open(&j, '{');
	jw_kv_u64(&j, "schema_version", SCHEMA_PHASES);
	jw_kv_i64(&j, "pid", r->pid);
	jw_kv_string(&j, "name", r->name);
	jw_kv_string(&j, "start_time", start);
	jw_kv_string(&j, "end_time", end);
	jw_kv_micro(&j, "elapsed_s", (int64_t) (r->interval_ns / 1000));
	jw_kv_string(&j, "ending", session_ending_text(r->session->ending));
	phase_table_json(&j, r->phases, "process_energy_j");
	jw_close(&j, '}');
	buf_char(b, '\n');
}

static struct file *file_of(struct phases_json *state, pid_t pid)
{
	struct file *list;

	for (size_t i = 0; i < state->n; i++)
		if (state->waiting[i].pid == pid)
			return &state->waiting[i];
	list = state->n < WAIT_MAX ? grow_list(state->waiting, state->n, &state->cap, sizeof(*list))
				   : NULL;
	if (!list)
		return NULL;
	state->waiting = list;
	list[state->n] = (struct file) { .pid = pid };
	return &list[state->n++];
}

static void phases_write(struct sink *s, const struct record *r)
{
	struct phases_json *state = s->state;
	struct buf text = BUF_INIT;
	struct file *file;

	/* Who marks nothing gets no file. */
	if (r->phases->n == 0)
		return;
	file = file_of(state, r->pid);
	put(&text, r);
	if (!file || text.failed) {
		s->health.lost++;
		buf_finish(&text);
		return;
	}
	buf_finish(&file->text);
	file->text = text;
}

static int phases_flush(struct sink *s, bool sync)
{
	struct phases_json *state = s->state;
	size_t kept = 0;

	s->health.error = 0;
	for (size_t i = 0; i < state->n; i++) {
		struct file *file = &state->waiting[i];
		char name[64];
		int r;

		snprintf(name, sizeof(name), "phases_%d.json", (int) file->pid);
		r = file->text.len == 0 ? 0
					: atomicfile_write(s->options.path, name, file->text.data,
						  file->text.len, sync);
		if (r == 0) {
			buf_finish(&file->text);
			continue;
		}
		s->health.error = r;
		state->waiting[kept++] = *file;
	}
	state->n = kept;
	s->health.waiting = kept;
	return s->health.error;
}

static int phases_reopen(struct sink *s)
{
	(void) s;
	return 0;
}

static void phases_close(struct sink *s)
{
	struct phases_json *state = s->state;

	if (!state)
		return;
	for (size_t i = 0; i < state->n; i++)
		buf_finish(&state->waiting[i].text);
	free(state->waiting);
	free(state);
	s->state = NULL;
}

const struct sink_ops sink_phases_json = {
	.name = "phases",
	.open = phases_open,
	.write = phases_write,
	.flush = phases_flush,
	.reopen = phases_reopen,
	.close = phases_close,
};
