// SPDX-License-Identifier: MIT
/*
 * What camera-traps keeps beside its logs: metadata_<start>.json, rewritten whenever a session
 * begins or ends, and power_summary_report.json, which appears when the plugin ends; its readers
 * take it as soon as they see it. They add its numbers up unchecked, and a plugin's CPU number
 * must be above 0, so nothing is ever null, and a true 0 is a millionth of a watt. Their schema lists the
 * names of plugins and accepts further keys: whatever else was measured stands in lists of its own, of the
 * same form.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine/clock.h"
#include "meter/power.h"
#include "sinks/camera_traps_sums.h"
#include "sinks/sink.h"
#include "sinks/atomicfile.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/jw.h"
#include "session/schema.h"
#include "util/timestamp.h"

#define SUMMARY_NAME CAMERA_TRAPS_SUMMARY
#define OWN_NAME "power_monitor_plugin"
#define LEAST_UW 1

#define COMMAND_LINE_MAX 4096

struct reports {
	char metadata_name[80];
	int64_t start_wall_ns;
	struct sums sums;
	bool stale;  /* metadata has to be written */
	bool opened; /* the earlier run's summary is gone */
};

/* ---- who is who ------------------------------------------------------------------------- */

/* A process's arguments, each with its NUL; empty of one that has gone. */
struct arguments {
	char text[COMMAND_LINE_MAX];
	size_t n;
};

static void read_arguments(pid_t pid, struct arguments *ret)
{
	CLEANUP_FD int fd = -1;
	char path[40];
	ssize_t got;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int) pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? 0 : read(fd, ret->text, sizeof(ret->text) - 1);
	ret->n = got > 0 ? (size_t) got : 0;
	while (ret->n > 0 && ret->text[ret->n - 1] == '\0')
		ret->n--;
	ret->text[ret->n] = '\0';
	ret->n += ret->n > 0;
}

/* With a blank between the arguments. */
static char *command_line_of(const struct arguments *a)
{
	char *line = strdup(a->text);
	char *longer = a->n > 1 ? realloc(line, a->n) : NULL;

	if (!longer)
		return line;
	memcpy(longer, a->text, a->n - 1);
	for (size_t i = 0; i + 1 < a->n; i++)
		if (!longer[i])
			longer[i] = ' ';
	longer[a->n - 1] = '\0';
	return longer;
}

static const char *file_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_interpreter(const char *program)
{
	static const char *const names[] = { "python", "pypy", "sh", "bash", "dash", "busybox" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strncmp(program, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* The file whose program a process runs: of an interpreter its script, "" where that is no file. */
static const char *program_of(const struct arguments *a)
{
	const char *at = a->text, *end = a->text + a->n;

	if (a->n == 0 || !is_interpreter(file_name(at)))
		return file_name(at);
	for (at += strlen(at) + 1; at < end && *at == '-'; at += strlen(at) + 1) {
		if (strcmp(at, "-c") == 0 || strcmp(at, "-") == 0)
			return "";
		if (strcmp(at, "-W") == 0 || strcmp(at, "-X") == 0) /* these have a value */
			at += strlen(at) + 1;
	}
	return at < end ? file_name(at) : "";
}

/* The plugin whose program a process runs; NULL: none that the readers' schema lists. */
static const char *plugin_of(pid_t pid, const struct arguments *a)
{
	static const struct {
		const char *program, *plugin;
	} known[] = {
		{ "image_generating_plugin", "image_generating_plugin" },
		{ "image_scoring_plugin", "image_scoring_plugin" },
		{ "image_scoring_plugin_server", "image_scoring_plugin" },
		{ "oracle_plugin", "oracle_plugin" },
		{ "power_measuring_plugin", OWN_NAME },
		{ "engine", "engine" },
	};
	const char *program = program_of(a);
	size_t n = strlen(program);

	if (pid == getpid())
		return OWN_NAME;
	if (n > 3 && strcmp(program + n - 3, ".py") == 0)
		n -= 3;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strlen(known[i].program) == n && strncmp(program, known[i].program, n) == 0)
			return known[i].plugin;
	return NULL;
}

static struct process_sum *process_of(struct reports *state, const struct session_report *report)
{
	bool is_new;
	struct process_sum *p = sums_process(&state->sums, report, &is_new);
	struct arguments arguments;
	const char *plugin;

	if (!p || !is_new)
		return p;
	read_arguments(p->pid, &arguments);
	plugin = plugin_of(p->pid, &arguments);
	if (sums_name(&state->sums, p, plugin ? plugin : report->name, plugin,
		    command_line_of(&arguments)) < 0)
		return NULL;
	return p;
}

/* ---- metadata --------------------------------------------------------------------------- */

static void put_plugin(struct jw *j, const struct sink *s, size_t plugin)
{
	const struct reports *state = s->state;
	const struct plugin_sum *of = &state->sums.plugins[plugin];
	static const enum kind devices[] = { KIND_CPU, KIND_GPU };

	jw_open(j, '{');
	jw_kv_string(j, "name", of->name);
	jw_key(j, "pids");
	jw_open(j, '[');
	for (size_t i = 0; i < state->sums.n; i++) {
		const struct process_sum *p = &state->sums.processes[i];

		if (p->plugin == plugin && !p->pid_again)
			jw_i64(j, p->pid);
	}
	jw_close(j, ']');
	jw_key(j, "devices_measured");
	jw_open(j, '[');
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
		if ((of->kinds & KIND_BIT(devices[i])) && s->options.sources[devices[i]].text)
			jw_string(j, kind_name(devices[i]));
	jw_close(j, ']');
	jw_kv_string(j, "command_line", of->command_line ? of->command_line : "");
	jw_close(j, '}');
}

static void put_plugins(struct jw *j, const struct sink *s, const char *key, bool known)
{
	const struct reports *state = s->state;

	jw_key(j, key);
	jw_open(j, '[');
	for (size_t i = 0; i < state->sums.n_plugins; i++)
		if (state->sums.plugins[i].known == known)
			put_plugin(j, s, i);
	jw_close(j, ']');
}

/* The readers know four names of tools; the real sensors stand in the parameters. */
static void put_tool(struct jw *j, const struct sink *s, enum kind kind, const char *tool)
{
	const struct sink_source *source = &s->options.sources[kind];
	const char *type = kind_name(kind);
	char text[400];

	jw_open(j, '{');
	jw_kv_string(j, "device_type", type);
	jw_kv_string(j, "tool_name", source->known_tool ? source->known_tool : tool);
	snprintf(text, sizeof(text), "powermeasure: %s", source->text ? source->text : "no sensor");
	jw_kv_string(j, "tool_params", text);
	jw_kv_string(j, "power_units", "watts");
	snprintf(text, sizeof(text), "%.360s/%s.json", s->options.path, type);
	jw_kv_string(j, "measurement_log_path", text);
	jw_close(j, '}');
}

static void put_time(struct jw *j, const char *key, int64_t wall_ns)
{
	char text[TIMESTAMP_MAX];

	timestamp_rfc3339(wall_ns, text, sizeof(text));
	jw_kv_string(j, key, text);
}

static int write_metadata(struct sink *s, bool sync)
{
	struct reports *state = s->state;
	struct buf b = BUF_INIT;
	struct jw j = JW_INIT(&b);
	int r = -ENOMEM;

	jw_open(&j, '{');
	put_plugins(&j, s, "plugins", true);
	put_plugins(&j, s, "other_processes", false);
	jw_key(&j, "tools");
	jw_open(&j, '{');
	jw_key(&j, "devices");
	jw_open(&j, '[');
	put_tool(&j, s, KIND_CPU, "scaphandre");
	put_tool(&j, s, KIND_GPU, "nvidia-smi");
	jw_close(&j, ']');
	jw_close(&j, '}');
	put_time(&j, "start_time", state->start_wall_ns);
	put_time(&j, "last_update_time", clock_wall_ns(&clock_system));
	jw_close(&j, '}');
	buf_char(&b, '\n');
	if (!b.failed)
		r = atomicfile_write(s->options.path, state->metadata_name, b.data, b.len, sync);
	buf_finish(&b);
	if (r == 0)
		state->stale = false;
	return r;
}

/* ---- summary ---------------------------------------------------------------------------- */

static const char *quality_of(const struct sink *s, enum kind kind, const struct amount *a)
{
	const struct sink_source *source = &s->options.sources[kind];

	return !a->known || !source->text    ? "none"
		: source->simulated          ? "simulated"
		: a->flags & FLAG_ESTIMATED  ? "estimated"
		: a->flags & FLAG_INTEGRATED ? "integrated"
					     : "measured";
}

static void put_micro(struct jw *j, const char *kind, const char *key, uint64_t value)
{
	char name[64];

	snprintf(name, sizeof(name), "%s_%s", kind, key);
	jw_kv_micro(j, name, (int64_t) value);
}

/* What no reader of old looks at: what stands behind a mean, where there is one. */
static void put_more(struct jw *j, const struct sink *s, enum kind kind, const struct amount *a)
{
	const char *name = kind_name(kind);
	char key[64];

	snprintf(key, sizeof(key), "%s_quality", name);
	jw_kv_string(j, key, quality_of(s, kind, a));
	if (!a->known)
		return;
	put_micro(j, name, "seconds", a->ns / NS_PER_US);
	put_micro(j, name, "energy_joules", a->energy.uj);
	put_micro(j, name, "energy_low_joules", a->energy.low_uj);
	put_micro(j, name, "energy_high_joules", a->energy.high_uj);
	if (!a->own_known)
		return;
	put_micro(j, name, "own_power_consumption", power_uw(a->own.uj, a->ns));
	put_micro(j, name, "own_energy_joules", a->own.uj);
	put_micro(j, name, "own_energy_low_joules", a->own.low_uj);
	put_micro(j, name, "own_energy_high_joules", a->own.high_uj);
}

/* The part that is the same for a process and a plugin: first what is read, then the rest. */
static void put_amounts(
	struct jw *j, const struct sink *s, uint32_t kinds, const struct amount amounts[KIND_COUNT])
{
	const struct amount *cpu = &amounts[KIND_CPU], *gpu = &amounts[KIND_GPU];
	uint64_t cpu_uw = power_uw(cpu->energy.uj, cpu->ns);
	uint64_t gpu_uw = power_uw(s->options.own_gpu ? gpu->own.uj : gpu->energy.uj, gpu->ns);

	if ((kinds & KIND_BIT(KIND_CPU)) && cpu_uw < LEAST_UW)
		cpu_uw = LEAST_UW;
	jw_kv_micro(j, "cpu_power_consumption", (int64_t) cpu_uw);
	jw_kv_micro(j, "gpu_power_consumption", (int64_t) gpu_uw);
	for (int k = 0; k < KIND_COUNT; k++)
		if (kinds & KIND_BIT(k))
			put_more(j, s, (enum kind) k, &amounts[k]);
}

static void put_plugin_summary(struct jw *j, const struct sink *s, size_t plugin)
{
	const struct reports *state = s->state;
	const struct plugin_sum *of = &state->sums.plugins[plugin];
	struct amount amounts[KIND_COUNT];
	uint64_t samples = of->forgotten_samples;
	size_t n = of->n_forgotten;

	for (int k = 0; k < KIND_COUNT; k++)
		sums_of_plugin(&state->sums, plugin, (enum kind) k, &amounts[k]);
	for (size_t i = 0; i < state->sums.n; i++) {
		if (state->sums.processes[i].plugin != plugin)
			continue;
		samples += state->sums.processes[i].samples;
		n++;
	}
	jw_open(j, '{');
	jw_kv_string(j, "plugin", of->name);
	put_amounts(j, s, of->kinds, amounts);
	jw_kv_u64(j, "samples", samples);
	jw_kv_u64(j, "processes", n);
	jw_close(j, '}');
}

static void put_plugin_summaries(struct jw *j, const struct sink *s, const char *key, bool known)
{
	const struct reports *state = s->state;

	jw_key(j, key);
	jw_open(j, '[');
	for (size_t i = 0; i < state->sums.n_plugins; i++)
		if (state->sums.plugins[i].known == known)
			put_plugin_summary(j, s, i);
	jw_close(j, ']');
}

static void put_second(struct jw *j, const char *key, int64_t wall_ns)
{
	char text[TIMESTAMP_MAX];

	timestamp_local_second(wall_ns, text, sizeof(text));
	jw_kv_string(j, key, text);
}

static void put_process_summary(struct jw *j, const struct sink *s, const struct process_sum *p)
{
	const struct reports *state = s->state;
	struct amount amounts[KIND_COUNT];

	for (int k = 0; k < KIND_COUNT; k++)
		sums_of_process(p, (enum kind) k, &amounts[k]);
	jw_open(j, '{');
	jw_kv_i64(j, "pid", p->pid);
	jw_kv_string(j, "plugin_name", state->sums.plugins[p->plugin].name);
	put_second(j, "start_time", p->start_wall_ns);
	put_second(j, "end_time", p->end_wall_ns ? p->end_wall_ns : clock_wall_ns(&clock_system));
	put_amounts(j, s, p->kinds, amounts);
	jw_kv_u64(j, "samples", p->samples);
	jw_close(j, '}');
}

static int write_summary(struct sink *s)
{
	struct reports *state = s->state;
	struct buf b = BUF_INIT;
	struct jw j = JW_INIT(&b);
	int r = -ENOMEM;

	jw_open(&j, '{');
	put_plugin_summaries(&j, s, "plugin power summary report", true);
	jw_key(&j, "pid power summary report");
	jw_open(&j, '[');
	for (size_t i = 0; i < state->sums.n; i++)
		put_process_summary(&j, s, &state->sums.processes[i]);
	jw_close(&j, ']');
	put_plugin_summaries(&j, s, "other power summary report", false);
	jw_kv_string(&j, "gpu_power_consumption_is",
		s->options.own_gpu ? "of the process" : "of the device");
	jw_kv_u64(&j, "schema_version", SCHEMA_SUMMARY);
	jw_close(&j, '}');
	buf_char(&b, '\n');
	if (!b.failed)
		r = atomicfile_write(s->options.path, SUMMARY_NAME, b.data, b.len, true);
	buf_finish(&b);
	return r;
}

/* ---- the sink --------------------------------------------------------------------------- */

static int report_open(struct sink *s, char *ret_why, size_t n)
{
	struct reports *state = s->state = calloc(1, sizeof(*state));
	char path[4352], start[TIMESTAMP_MAX];
	int r;

	*ret_why = '\0';
	s->types = 1u << RECORD_LINE | 1u << RECORD_BEGIN | 1u << RECORD_END;
	if (!state)
		return -ENOMEM;
	state->start_wall_ns = clock_wall_ns(&clock_system);
	timestamp_local_micro(state->start_wall_ns, start, sizeof(start));
	start[10] = 'T';
	snprintf(state->metadata_name, sizeof(state->metadata_name), "metadata_%s.json", start);
	/* An old report would be taken for this run's. */
	snprintf(path, sizeof(path), "%s/" SUMMARY_NAME, s->options.path);
	if (unlink(path) < 0 && errno != ENOENT) {
		r = -errno;
		snprintf(ret_why, n, "%s is of an earlier run and cannot be removed: %s", path,
			strerror(-r));
		return r;
	}
	r = write_metadata(s, false);
	state->opened = r == 0;
	if (r < 0)
		snprintf(ret_why, n, "%s/%s: %s", s->options.path, state->metadata_name,
			strerror(-r));
	return r;
}

static void report_write(struct sink *s, const struct record *r)
{
	struct reports *state = s->state;
	struct process_sum *p;

	if (r->type == RECORD_LINE) {
		if (r->kind == KIND_CPU)
			sums_sample(&state->sums, r->pid);
		return;
	}
	p = process_of(state, r->session);
	if (!p)
		return;
	state->stale = true;
	if (r->type == RECORD_BEGIN)
		sums_begin(&state->sums, p, r->session);
	else
		sums_end(&state->sums, p, r->session, r->t_ns);
}

static int report_flush(struct sink *s, bool sync)
{
	struct reports *state = s->state;

	s->health.error = state->stale ? write_metadata(s, sync) : 0;
	return s->health.error;
}

static int report_reopen(struct sink *s)
{
	return write_metadata(s, false);
}

static void report_close(struct sink *s)
{
	struct reports *state = s->state;

	if (!state)
		return;
	if (state->opened) {
		int r = write_metadata(s, true), r2 = s->unused ? 0 : write_summary(s);

		s->health.error = r2 < 0 ? r2 : r;
	}
	sums_finish(&state->sums);
	free(state);
	s->state = NULL;
}

const struct sink_ops sink_camera_traps_report = {
	.name = "camera-traps-report",
	.open = report_open,
	.write = report_write,
	.flush = report_flush,
	.reopen = report_reopen,
	.close = report_close,
};
