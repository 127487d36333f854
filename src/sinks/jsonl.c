// SPDX-License-Identifier: MIT
/*
 * The detailed record: one JSON object a line for each sample, domain and target, from which every
 * other output could be made. The lines of one domain with the same t_ns add up to what the domain
 * used in that interval, in whole microjoules. docs/record.md describes the keys.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/phase_report.h"
#include "sinks/sink.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/json_out.h"
#include "util/timestamp.h"

/* Lines that wait for room on the disk: so many bytes at most. */
#define WAIT_MAX (4 * 1024 * 1024)

struct jsonl {
	int fd;
	struct buf waiting;
	uint64_t n_waiting;
	bool unsynced;
};

static int open_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	struct stat st;
	char last;

	if (fd < 0)
		return -errno;
	/* A line that was cut by a power failure must not swallow the next one. */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
		pread(fd, &last, 1, st.st_size - 1) == 1 && last != '\n' &&
		write(fd, "\n", 1) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

static int jsonl_open(struct sink *s, char *ret_why, size_t n)
{
	struct jsonl *state = s->state = calloc(1, sizeof(*state));

	*ret_why = '\0';
	s->types = 1u << RECORD_DETAIL | 1u << RECORD_PHASES;
	if (!state)
		return -ENOMEM;
	state->fd = open_file(s->options.path);
	if (state->fd < 0) {
		snprintf(ret_why, n, "%s: %s", s->options.path, strerror(-state->fd));
		return state->fd;
	}
	return 0;
}

static void put_flags(struct json *j, unsigned flags)
{
	json_key(j, "flags");
	json_open(j, '[');
	for (unsigned i = 0; i < FLAG_COUNT; i++)
		if (flags & (1u << i))
			json_string(j, flag_name(i));
	json_close(j, ']');
}

static const char *name_of(const struct record *r)
{
	switch (r->who) {
	case WHO_PROCESS:
		return r->name;
	case WHO_IDLE:
		return "idle";
	case WHO_OTHER:
		return "other";
	case WHO_REST:
		return "rest";
	default:
		return NULL;
	}
}

/* What all lines begin with. */
static void put_when(struct json *j, const struct record *r)
{
	char time[TIMESTAMP_MAX];

	timestamp_rfc3339(r->wall_ns, time, sizeof(time));
	json_kv_string(j, "time", time);
	json_kv_u64(j, "t_ns", r->t_ns);
	json_kv_u64(j, "interval_ns", r->interval_ns);
}

static void end_line(struct sink *s, size_t before)
{
	struct jsonl *state = s->state;

	buf_char(&state->waiting, '\n');
	if (state->waiting.failed) {
		state->waiting.failed = false;
		state->waiting.len = before;
		s->health.lost++;
		return;
	}
	state->n_waiting++;
}

/* A line for each of a session's phases. */
static void write_phases(struct sink *s, const struct record *r)
{
	struct jsonl *state = s->state;

	for (size_t i = 0; i < r->phases->n; i++) {
		struct json j = JSON_INIT(&state->waiting);
		size_t before = state->waiting.len;

		json_open(&j, '{');
		put_when(&j, r);
		json_kv_i64(&j, "pid", r->pid);
		json_kv_string(&j, "process", r->name);
		json_key(&j, "phase");
		json_open(&j, '{');
		phase_line_json(&j, &r->phases->lines[i], "process_energy_j");
		json_close(&j, '}');
		json_close(&j, '}');
		end_line(s, before);
	}
}

static void jsonl_write(struct sink *s, const struct record *r)
{
	struct jsonl *state = s->state;
	struct json j = JSON_INIT(&state->waiting);
	size_t before = state->waiting.len;

	if (before > WAIT_MAX) {
		s->health.lost++;
		return;
	}
	if (r->type == RECORD_PHASES) {
		write_phases(s, r);
		return;
	}
	json_open(&j, '{');
	put_when(&j, r);
	json_kv_string(&j, "sensor", r->domain->sensor);
	json_kv_string(&j, "domain", r->domain->name);
	json_kv_string(&j, "kind", kind_name(r->kind));
	json_kv_string(&j, "scope", r->domain->scope);
	json_kv_bool(&j, "counted", r->domain->counted);
	json_key(&j, "pid");
	if (r->who == WHO_PROCESS)
		json_i64(&j, r->pid);
	else
		json_null(&j);
	json_kv_string(&j, "name", name_of(r));
	json_kv_u64(&j, "energy_uj", r->energy.uj);
	json_kv_u64(&j, "low_uj", r->energy.low_uj);
	json_kv_u64(&j, "high_uj", r->energy.high_uj);
	json_kv_micro(&j, "power_w", (int64_t) r->power_uw);
	put_flags(&j, r->flags);
	json_kv_string(&j, "attribution", r->attribution);
	if (r->domain->model[0])
		json_kv_string(&j, "model", r->domain->model);
	json_close(&j, '}');
	end_line(s, before);
}

static int jsonl_flush(struct sink *s, bool sync)
{
	struct jsonl *state = s->state;
	int error = 0;

	while (state->waiting.len > 0) {
		ssize_t n = write(state->fd, state->waiting.data, state->waiting.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			error = -errno;
			break;
		}
		buf_consume(&state->waiting, (size_t) n);
		state->unsynced = true;
	}
	if (!error)
		state->n_waiting = 0;
	/* A pipe or terminal cannot be synced, and need not. */
	if (!error && sync && state->unsynced) {
		if (fdatasync(state->fd) < 0 && errno != EINVAL && errno != EROFS)
			error = -errno;
		state->unsynced = false;
	}
	s->health.error = error;
	s->health.waiting = state->n_waiting;
	return error;
}

static int jsonl_reopen(struct sink *s)
{
	struct jsonl *state = s->state;
	int fd = open_file(s->options.path);

	if (fd < 0)
		return fd;
	close(state->fd);
	state->fd = fd;
	return 0;
}

static void jsonl_close(struct sink *s)
{
	struct jsonl *state = s->state;

	if (!state)
		return;
	close_fd(&state->fd);
	buf_finish(&state->waiting);
	free(state);
	s->state = NULL;
}

const struct sink_ops sink_jsonl = {
	.name = "jsonl",
	.open = jsonl_open,
	.write = jsonl_write,
	.flush = jsonl_flush,
	.reopen = jsonl_reopen,
	.close = jsonl_close,
};
