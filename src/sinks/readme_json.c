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

#include "machine/clock.h"
#include "sinks/device_logs.h"
#include "sinks/sink.h"
#include "util/buf.h"
#include "util/jw.h"
#include "sinks/jsonfile.h"
#include "sinks/logkey.h"

static const char *const log_names[LOG_COUNT] = { "CPU", "GPU", "DRAM" };

struct readme {
	struct device_logs logs;
	struct logkey keys[LOG_COUNT];
	struct buf line;
};

/* "2023-08-25 05:50:57": {"cpu": "rapl-powercap", "gpu": null, "dram": null} */
static int note_sources(const struct sink *s, char *ret_note, size_t n)
{
	static const enum kind kinds[] = { KIND_CPU, KIND_GPU, KIND_DRAM };
	struct jsonfile *f;
	struct logkey last;
	struct buf b = BUF_INIT;
	struct jw j = JW_INIT(&b);
	char key[64];
	int r = jsonfile_open(&f, s->options.path, "sources", '{', ret_note, n);

	if (r < 0)
		return r;
	logkey_begin(&last, jsonfile_last_key(f));
	logkey_next(&last, clock_wall_ns(&clock_system), key, sizeof(key));
	jw_key(&j, key);
	jw_open(&j, '{');
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		jw_kv_string(&j, kind_name(kinds[i]), s->options.sources[kinds[i]].text);
	jw_close(&j, '}');
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
	struct readme *state;
	int r;

	*ret_why = '\0';
	s->types = 1u << RECORD_LINE;
	s->state = state = calloc(1, sizeof(*state));
	if (!state)
		return -ENOMEM;
	state->logs.names = log_names;
	state->logs.bracket = '{';
	r = note_sources(s, ret_why, n);
	if (r == 0)
		r = device_logs_open(&state->logs, s, LOG_CPU, ret_why, n);
	if (r == 0)
		r = device_logs_open(&state->logs, s, LOG_GPU, ret_why, n);
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
	jw_put_string(b, key, strlen(key));
	buf_str(b, ": ");
	if (r->who != WHO_PROCESS) {
		jw_put_micro(b, (int64_t) r->power_uw);
		return;
	}
	buf_char(b, '[');
	jw_put_micro(b, (int64_t) r->power_uw);
	buf_printf(b, ", \"%d\", ", (int) r->pid);
	jw_put_string(b, r->name, strlen(r->name));
	buf_char(b, ']');
}

/* The keys of a file that was just begun follow the last one in it. */
static struct logkey *key_of(struct readme *state, int which)
{
	struct logkey *key = &state->keys[which];

	if (state->logs.begun[which])
		logkey_begin(key, jsonfile_last_key(state->logs.files[which]));
	state->logs.begun[which] = false;
	return key;
}

static void readme_write(struct sink *s, const struct record *r)
{
	struct readme *state = s->state;
	int which = which_log(r);
	char key[64];

	if (which < 0 || !device_logs_need(&state->logs, s, which))
		return;
	if (logkey_must_turn_over(key_of(state, which), r->wall_ns))
		device_logs_turn_over(&state->logs, which);
	logkey_next(key_of(state, which), r->wall_ns, key, sizeof(key));
	put_entry(&state->line, key, r);
	device_logs_add(&state->logs, which, key, buf_text(&state->line), state->line.len);
}

static int readme_flush(struct sink *s, bool sync)
{
	struct readme *state = s->state;

	return device_logs_flush(&state->logs, s, sync);
}

static int readme_reopen(struct sink *s)
{
	struct readme *state = s->state;

	return device_logs_reopen(&state->logs);
}

static void readme_close(struct sink *s)
{
	struct readme *state = s->state;

	if (!state)
		return;
	device_logs_finish(&state->logs);
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
