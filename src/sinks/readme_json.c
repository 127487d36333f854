// SPDX-License-Identifier: MIT
/*
 * The log that the plugin's README promises: CPU.json with each process's watts, GPU.json and
 * DRAM.json with the whole device's, one JSON object a file. Their form has no place for where a
 * figure comes from, so sources.json beside them tells, from each start of the plugin on.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "sinks/sink.h"
#include "util/buf.h"
#include "util/json_out.h"
#include "util/jsonfile.h"
#include "util/logkey.h"

enum { LOG_CPU, LOG_GPU, LOG_DRAM, LOG_COUNT };

static const char *const log_names[LOG_COUNT] = { "CPU", "GPU", "DRAM" };

struct readme {
	struct {
		struct jsonfile *file; /* NULL: not there yet */
		struct logkey key;
	} logs[LOG_COUNT];
	struct buf line;
	bool unsynced;
	int pending_error; /* of a turn-over in write(), told by the next flush */
	uint64_t lost;     /* lines for which there was no file */
};

static int open_log(struct sink *s, int which, char *ret_note, size_t n)
{
	struct readme *state = s->state;
	int r = jsonfile_open(
		&state->logs[which].file, s->options.path, log_names[which], '{', ret_note, n);

	if (r < 0)
		return r;
	logkey_begin(&state->logs[which].key, jsonfile_last_key(state->logs[which].file));
	return 0;
}

/* Several files may have something to tell; the notes follow each other. */
static int open_and_note(struct sink *s, int which, char *ret_why, size_t n)
{
	char note[SINK_WHY_MAX];
	size_t len = strlen(ret_why);
	int r = open_log(s, which, note, sizeof(note));

	if (*note && len < n)
		snprintf(ret_why + len, n - len, "%s%s", len ? "; " : "", note);
	return r;
}

/* "2023-08-25 05:50:57": {"cpu": "rapl-powercap", "gpu": null, "dram": null} */
static int note_sources(const struct sink *s, char *ret_note, size_t n)
{
	static const enum kind kinds[] = { KIND_CPU, KIND_GPU, KIND_DRAM };
	struct jsonfile *f;
	struct logkey last;
	struct buf b = BUF_INIT;
	struct json j = JSON_INIT(&b);
	char key[64];
	int r = jsonfile_open(&f, s->options.path, "sources", '{', ret_note, n);

	if (r < 0)
		return r;
	logkey_begin(&last, jsonfile_last_key(f));
	logkey_next(&last, clock_wall_ns(&clock_system), key, sizeof(key));
	json_key(&j, key);
	json_open(&j, '{');
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		json_kv_string(&j, kind_name(kinds[i]), s->options.sources[kinds[i]]);
	json_close(&j, '}');
	jsonfile_add(f, key, buf_text(&b), b.len);
	r = jsonfile_flush(f);
	if (r < 0)
		snprintf(ret_note, n, "%s/sources.json: %s", s->options.path, strerror(-r));
	jsonfile_close(f);
	buf_finish(&b);
	return r;
}

static int readme_open(struct sink *s, char *ret_why, size_t n)
{
	int r;

	*ret_why = '\0';
	s->types = 1u << RECORD_LINE;
	s->state = calloc(1, sizeof(struct readme));
	if (!s->state)
		return -ENOMEM;
	r = note_sources(s, ret_why, n);
	if (r == 0)
		r = open_and_note(s, LOG_CPU, ret_why, n);
	if (r == 0)
		r = open_and_note(s, LOG_GPU, ret_why, n);
	return r;
}

static int which_log(const struct record *r)
{
	switch (r->kind) {
	case KIND_CPU:
		return r->who == WHO_PROCESS ? LOG_CPU : -1;
	case KIND_GPU:
		return LOG_GPU;
	case KIND_DRAM:
		return LOG_DRAM;
	default:
		return -1;
	}
}

/* "2023-08-25 05:50:59": [8.369286, "337263", "python"]   or   "2023-08-25 05:50:57": 48.570000 */
static void put_entry(struct buf *b, const char *key, const struct record *r)
{
	buf_reset(b);
	json_put_string(b, key, strlen(key));
	buf_str(b, ": ");
	if (r->who != WHO_PROCESS) {
		json_put_micro(b, (int64_t) r->power_uw);
		return;
	}
	buf_char(b, '[');
	json_put_micro(b, (int64_t) r->power_uw);
	buf_printf(b, ", \"%d\", ", (int) r->pid);
	json_put_string(b, r->name, strlen(r->name));
	buf_char(b, ']');
}

static void turn_over(struct readme *state, int which)
{
	int r = jsonfile_turn_over(state->logs[which].file);

	if (r < 0)
		state->pending_error = r;
	else
		logkey_begin(&state->logs[which].key, "");
}

static void readme_write(struct sink *s, const struct record *r)
{
	struct readme *state = s->state;
	int which = which_log(r);
	char key[64];

	if (which < 0)
		return;
	if (!state->logs[which].file) {
		char note[SINK_WHY_MAX];
		int error = open_log(s, which, note, sizeof(note));

		if (error < 0) {
			state->pending_error = error;
			state->lost++;
			return;
		}
	}
	if (logkey_must_turn_over(&state->logs[which].key, r->wall_ns))
		turn_over(state, which);
	logkey_next(&state->logs[which].key, r->wall_ns, key, sizeof(key));
	put_entry(&state->line, key, r);
	jsonfile_add(state->logs[which].file, key, buf_text(&state->line), state->line.len);
	state->unsynced = true;
}

static int readme_flush(struct sink *s, bool sync)
{
	struct readme *state = s->state;
	uint64_t waiting = 0, lost = state->lost;
	int error = state->pending_error;

	state->pending_error = 0;
	for (int i = 0; i < LOG_COUNT; i++) {
		struct jsonfile *f = state->logs[i].file;
		int r;

		if (!f)
			continue;
		r = jsonfile_flush(f);
		if (r == 0 && s->options.max_bytes && jsonfile_size(f) > s->options.max_bytes)
			turn_over(state, i);
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

static int readme_reopen(struct sink *s)
{
	struct readme *state = s->state;
	int error = 0;

	for (int i = 0; i < LOG_COUNT; i++) {
		int r = state->logs[i].file ? jsonfile_reopen(state->logs[i].file) : 0;

		if (r < 0)
			error = r;
	}
	return error;
}

static void readme_close(struct sink *s)
{
	struct readme *state = s->state;

	if (!state)
		return;
	for (int i = 0; i < LOG_COUNT; i++)
		jsonfile_close(state->logs[i].file);
	buf_finish(&state->line);
	free(state);
	s->state = NULL;
}

const struct sink_ops sink_readme = {
	.name = "readme",
	.open = readme_open,
	.write = readme_write,
	.flush = readme_flush,
	.reopen = readme_reopen,
	.close = readme_close,
};
