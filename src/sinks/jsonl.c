// SPDX-License-Identifier: MIT
/*
 * The detailed record: one JSON object a line for each sample, domain and target, from which every
 * other output could be made. The lines of one domain with the same t_ns add up to what the domain
 * used in that interval, in whole microjoules. docs/record.md describes the keys.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "phases/phase_table.h"
#include "sinks/sink.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/jw.h"
#include "sinks/regular.h"
#include "util/timestamp.h"

/* Lines that wait for room on the disk, or for a reader: so many bytes at most. */
#define WAIT_MAX (4 * 1024 * 1024)

/* A pipe that has room at all has room for so much: more at once might block. */
#define PIPE_ROOM 4096

/* At the end a reader has so long to take the rest, of which 4 MiB may wait. */
#define CLOSE_TRIES 2000
#define CLOSE_TRY_MS 1

struct jsonl {
	int fd;
	bool stream; /* standard output: somebody may follow it, or not keep up, or go away */
	struct buf waiting;
	uint64_t n_waiting;
	bool unsynced;
};

static bool is_stream(const char *path)
{
	return strcmp(path, "-") == 0 || strcmp(path, "/dev/stdout") == 0;
}

static int open_stream(void)
{
	int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

	return fd < 0 ? -errno : fd;
}

static int open_file(const char *path)
{
	int fd = regular_open_named(path, O_RDWR | O_CREAT | O_APPEND, 0644);
	struct stat st;
	char last;

	if (fd < 0)
		return fd;
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
	s->types = 1u << RECORD_DETAIL | 1u << RECORD_PHASES | 1u << RECORD_MISSED;
	if (!state)
		return -ENOMEM;
	state->stream = is_stream(s->options.path);
	state->fd = state->stream ? open_stream() : open_file(s->options.path);
	if (state->fd < 0) {
		snprintf(ret_why, n, "%s: %s%s", s->options.path, regular_strerror(-state->fd),
			state->fd == -EISNAM ? "; --record - writes a stream to standard output"
					     : "");
		return state->fd;
	}
	return 0;
}

static void put_flags(struct jw *j, unsigned flags)
{
	jw_key(j, "flags");
	jw_open(j, '[');
	for (unsigned i = 0; i < FLAG_COUNT; i++)
		if (flags & (1u << i))
			jw_string(j, flag_name(i));
	jw_close(j, ']');
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
static void put_when(struct jw *j, const struct record *r)
{
	char time[TIMESTAMP_MAX];

	timestamp_rfc3339(r->wall_ns, time, sizeof(time));
	jw_kv_string(j, "time", time);
	jw_kv_u64(j, "t_ns", r->t_ns);
	jw_kv_u64(j, "interval_ns", r->interval_ns);
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
		struct jw j = JW_INIT(&state->waiting);
		size_t before = state->waiting.len;

		jw_open(&j, '{');
		put_when(&j, r);
		jw_kv_i64(&j, "pid", r->pid);
		jw_kv_string(&j, "process", r->name);
		jw_key(&j, "phase");
		jw_open(&j, '{');
		phase_line_json(&j, &r->phases->lines[i], "process_energy_j");
		jw_close(&j, '}');
		jw_close(&j, '}');
		end_line(s, before);
	}
}

static void write_missed(struct sink *s, const struct record *r)
{
	struct jsonl *state = s->state;
	struct jw j = JW_INIT(&state->waiting);
	size_t before = state->waiting.len;

	jw_open(&j, '{');
	put_when(&j, r);
	jw_kv_i64(&j, "pid", r->pid);
	jw_kv_string(&j, "name", r->name);
	jw_kv_string(&j, "missed", "the event waited");
	jw_close(&j, '}');
	end_line(s, before);
}

static void jsonl_write(struct sink *s, const struct record *r)
{
	struct jsonl *state = s->state;
	struct jw j = JW_INIT(&state->waiting);
	size_t before = state->waiting.len;

	if (s->health.gone)
		return;
	if (before > WAIT_MAX) {
		s->health.lost++;
		return;
	}
	if (r->type == RECORD_PHASES) {
		write_phases(s, r);
		return;
	}
	if (r->type == RECORD_MISSED) {
		write_missed(s, r);
		return;
	}
	jw_open(&j, '{');
	put_when(&j, r);
	jw_kv_string(&j, "sensor", r->domain->sensor);
	jw_kv_string(&j, "domain", r->domain->name);
	jw_kv_string(&j, "kind", kind_name(r->kind));
	jw_kv_string(&j, "scope", r->domain->scope);
	jw_kv_bool(&j, "counted", r->domain->counted);
	jw_key(&j, "pid");
	if (r->who == WHO_PROCESS && r->pid) /* a control group has none */
		jw_i64(&j, r->pid);
	else
		jw_null(&j);
	jw_kv_string(&j, "name", name_of(r));
	jw_kv_u64(&j, "energy_uj", r->energy.uj);
	jw_kv_u64(&j, "low_uj", r->energy.low_uj);
	jw_kv_u64(&j, "high_uj", r->energy.high_uj);
	jw_kv_micro(&j, "power_w", (int64_t) r->power_uw);
	put_flags(&j, r->flags);
	jw_kv_string(&j, "attribution", r->attribution);
	if (r->domain->model[0])
		jw_kv_string(&j, "model", r->domain->model);
	jw_close(&j, '}');
	end_line(s, before);
}

/* How much can be written without waiting for a reader who does not keep up: measuring never does. */
static size_t room_for(const struct jsonl *state)
{
	struct pollfd fd = { .fd = state->fd, .events = POLLOUT };

	if (!state->stream)
		return state->waiting.len;
	if (poll(&fd, 1, 0) <= 0)
		return 0;
	return state->waiting.len < PIPE_ROOM ? state->waiting.len : PIPE_ROOM;
}

static void give_up_stream(struct sink *s)
{
	struct jsonl *state = s->state;

	s->health.gone = true;
	buf_reset(&state->waiting);
	state->n_waiting = 0;
}

/* The file was deleted, perhaps with its directory: what is written to it nobody will read. */
static bool is_deleted(const struct jsonl *state)
{
	struct stat st;

	return !state->stream && fstat(state->fd, &st) == 0 && st.st_nlink == 0;
}

/* A line of which a part was written is not there either. */
static uint64_t lines_in(const struct buf *b)
{
	uint64_t n = 0;

	for (size_t i = 0; i < b->len; i++)
		n += b->data[i] == '\n';
	return n;
}

static int jsonl_reopen(struct sink *s)
{
	struct jsonl *state = s->state;
	int fd = state->stream ? open_stream() : open_file(s->options.path);

	if (fd < 0)
		return fd;
	close(state->fd);
	state->fd = fd;
	return 0;
}

static int jsonl_flush(struct sink *s, bool sync)
{
	struct jsonl *state = s->state;
	int error = is_deleted(state) ? jsonl_reopen(s) : 0;
	size_t before = state->waiting.len;
	size_t room;

	while (!error && state->waiting.len > 0 && (room = room_for(state)) > 0) {
		ssize_t n = write(state->fd, state->waiting.data, room);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EPIPE && state->stream) {
			give_up_stream(s);
			break;
		}
		if (n < 0) {
			error = -errno;
			break;
		}
		buf_consume(&state->waiting, (size_t) n);
		state->unsynced = true;
	}
	if (state->waiting.len < before)
		state->n_waiting = lines_in(&state->waiting);
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

/* The last lines: a reader that is alive gets them, one that is stuck holds nobody up for long. */
static void finish_stream(struct sink *s)
{
	struct jsonl *state = s->state;
	struct pollfd fd = { .fd = state->fd, .events = POLLOUT };

	for (int i = 0; i < CLOSE_TRIES && state->waiting.len > 0; i++)
		if (poll(&fd, 1, CLOSE_TRY_MS) > 0 && jsonl_flush(s, false) < 0)
			break;
}

static void jsonl_close(struct sink *s)
{
	struct jsonl *state = s->state;

	if (!state)
		return;
	if (state->stream && state->fd >= 0)
		finish_stream(s);
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
