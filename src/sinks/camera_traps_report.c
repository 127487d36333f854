// SPDX-License-Identifier: MIT
/*
 * What camera-traps keeps beside its logs: metadata_<start>.json, rewritten whenever a session
 * begins or ends, and power_summary_report.json, which appears when the plugin ends; its readers
 * take it as soon as they see it. They add its numbers up unchecked, and a plugin's CPU number
 * must be above 0, so nothing is ever null, and a true 0 is a millionth of a watt.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "sinks/sink.h"
#include "util/atomicfile.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/json_out.h"
#include "util/timestamp.h"

#define SUMMARY_NAME "power_summary_report.json"
#define OWN_NAME "power_monitor_plugin"
#define LEAST_UW 1

/* All sessions of one process together. */
struct process {
	pid_t pid;
	char plugin[64];
	char command_line[256];
	uint32_t kinds;
	int64_t start_wall_ns;
	int64_t end_wall_ns; /* 0: still under way */
	uint64_t cpu_uj;
	uint64_t cpu_ns; /* measured time */
	uint64_t gpu_uj;
	uint64_t gpu_ns;
	bool estimated;
};

struct reports {
	char metadata_name[80];
	int64_t start_wall_ns;
	struct process *processes;
	size_t n;
	size_t cap;
	bool stale; /* metadata has to be written */
};

/* ---- who is who ------------------------------------------------------------------------- */

static void read_command_line(pid_t pid, char *ret, size_t n)
{
	CLEANUP_FD int fd = -1;
	char path[40];
	ssize_t got;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int) pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? -1 : read(fd, ret, n - 1);
	if (got < 0)
		got = 0;
	while (got > 0 && ret[got - 1] == '\0')
		got--;
	ret[got] = '\0';
	for (ssize_t i = 0; i < got; i++)
		if (ret[i] == '\0')
			ret[i] = ' ';
}

/* The known plugins by their programs; anything else by its process's name. */
static void name_plugin(struct process *p, const char *process_name)
{
	static const char *const known[] = { "image_generating_plugin", "image_scoring_plugin",
		"image_detecting_plugin", "oracle_plugin" };

	snprintf(p->plugin, sizeof(p->plugin), "%s", process_name);
	if (p->pid == getpid())
		snprintf(p->plugin, sizeof(p->plugin), OWN_NAME);
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strstr(p->command_line, known[i]))
			snprintf(p->plugin, sizeof(p->plugin), "%s", known[i]);
}

static struct process *process_of(struct reports *state, const struct session_report *report)
{
	struct process *p;

	for (size_t i = 0; i < state->n; i++)
		if (state->processes[i].pid == report->pid)
			return &state->processes[i];
	if (state->n == state->cap) {
		size_t cap = state->cap ? state->cap * 2 : 16;

		p = realloc(state->processes, cap * sizeof(*p));
		if (!p)
			return NULL;
		state->processes = p;
		state->cap = cap;
	}
	p = &state->processes[state->n++];
	*p = (struct process) { .pid = report->pid, .start_wall_ns = report->start_wall_ns };
	read_command_line(p->pid, p->command_line, sizeof(p->command_line));
	name_plugin(p, report->name);
	return p;
}

static bool is_first_of_plugin(const struct reports *state, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(state->processes[k].plugin, state->processes[i].plugin) == 0)
			return false;
	return true;
}

/* ---- metadata --------------------------------------------------------------------------- */

static void put_plugin(struct json *j, const struct reports *state, size_t first)
{
	const char *plugin = state->processes[first].plugin;
	uint32_t kinds = 0;

	json_open(j, '{');
	json_kv_string(j, "name", plugin);
	json_key(j, "pids");
	json_open(j, '[');
	for (size_t i = first; i < state->n; i++) {
		if (strcmp(state->processes[i].plugin, plugin) != 0)
			continue;
		json_i64(j, state->processes[i].pid);
		kinds |= state->processes[i].kinds;
	}
	json_close(j, ']');
	json_key(j, "devices_measured");
	json_open(j, '[');
	if (kinds & KIND_BIT(KIND_CPU))
		json_string(j, "cpu");
	if (kinds & KIND_BIT(KIND_GPU))
		json_string(j, "gpu");
	json_close(j, ']');
	json_kv_string(j, "command_line", state->processes[first].command_line);
	json_close(j, '}');
}

/* The readers know four names of tools; the real sensors stand in the parameters. */
static void put_tool(struct json *j, const struct sink *s, enum kind kind, const char *tool)
{
	const char *source = s->options.sources[kind], *type = kind_name(kind);
	char text[400];

	json_open(j, '{');
	json_kv_string(j, "device_type", type);
	json_kv_string(j, "tool_name", tool);
	snprintf(text, sizeof(text), "powermeasure: %s", source ? source : "no sensor");
	json_kv_string(j, "tool_params", text);
	json_kv_string(j, "power_units", "watts");
	snprintf(text, sizeof(text), "%.360s/%s.json", s->options.path, type);
	json_kv_string(j, "measurement_log_path", text);
	json_close(j, '}');
}

static void put_time(struct json *j, const char *key, int64_t wall_ns)
{
	char text[TIMESTAMP_MAX];

	timestamp_local_micro(wall_ns, text, sizeof(text));
	json_kv_string(j, key, text);
}

static int write_metadata(struct sink *s, bool sync)
{
	struct reports *state = s->state;
	struct buf b = BUF_INIT;
	struct json j = JSON_INIT(&b);
	int r = -ENOMEM;

	json_open(&j, '{');
	json_key(&j, "plugins");
	json_open(&j, '[');
	for (size_t i = 0; i < state->n; i++)
		if (is_first_of_plugin(state, i))
			put_plugin(&j, state, i);
	json_close(&j, ']');
	json_key(&j, "tools");
	json_open(&j, '{');
	json_key(&j, "devices");
	json_open(&j, '[');
	put_tool(&j, s, KIND_CPU, "scaphandre");
	put_tool(&j, s, KIND_GPU, "nvidia-smi");
	json_close(&j, ']');
	json_close(&j, '}');
	put_time(&j, "start_time", state->start_wall_ns);
	put_time(&j, "last_update_time", clock_wall_ns(&clock_system));
	json_close(&j, '}');
	buf_char(&b, '\n');
	if (!b.failed)
		r = atomicfile_write(s->options.path, state->metadata_name, b.data, b.len, sync);
	buf_finish(&b);
	if (r == 0)
		state->stale = false;
	return r;
}

/* ---- summary ---------------------------------------------------------------------------- */

static uint64_t mean_uw(uint64_t uj, uint64_t ns)
{
	return ns ? (uint64_t) ((double) uj * 1e9 / (double) ns) : 0;
}

static uint64_t cpu_uw(const struct process *p)
{
	uint64_t uw = mean_uw(p->cpu_uj, p->cpu_ns);

	if (!(p->kinds & KIND_BIT(KIND_CPU)))
		return 0;
	return uw ? uw : LEAST_UW;
}

static void put_second(struct json *j, const char *key, int64_t wall_ns)
{
	char text[TIMESTAMP_MAX];

	timestamp_local_second(wall_ns, text, sizeof(text));
	json_kv_string(j, key, text);
}

/* A plugin of several processes draws what they draw together; the GPU is the same for all. */
static void put_plugin_summary(struct json *j, const struct reports *state, size_t first)
{
	const char *plugin = state->processes[first].plugin;
	uint64_t cpu = 0, gpu = 0;

	for (size_t i = first; i < state->n; i++) {
		const struct process *p = &state->processes[i];

		if (strcmp(p->plugin, plugin) != 0)
			continue;
		cpu += cpu_uw(p);
		if (mean_uw(p->gpu_uj, p->gpu_ns) > gpu)
			gpu = mean_uw(p->gpu_uj, p->gpu_ns);
	}
	json_open(j, '{');
	json_kv_string(j, "plugin", plugin);
	json_kv_micro(j, "cpu_power_consumption", (int64_t) cpu);
	json_kv_micro(j, "gpu_power_consumption", (int64_t) gpu);
	json_close(j, '}');
}

static void put_process_summary(struct json *j, const struct process *p)
{
	json_open(j, '{');
	json_kv_i64(j, "pid", p->pid);
	json_kv_string(j, "plugin_name", p->plugin);
	put_second(j, "start_time", p->start_wall_ns);
	put_second(j, "end_time", p->end_wall_ns ? p->end_wall_ns : clock_wall_ns(&clock_system));
	json_kv_micro(j, "cpu_power_consumption", (int64_t) cpu_uw(p));
	json_kv_micro(j, "gpu_power_consumption", (int64_t) mean_uw(p->gpu_uj, p->gpu_ns));
	json_kv_micro(j, "cpu_energy_joules", (int64_t) p->cpu_uj);
	json_kv_string(j, "quality", p->estimated ? "estimated" : "measured");
	json_close(j, '}');
}

static int write_summary(struct sink *s)
{
	struct reports *state = s->state;
	struct buf b = BUF_INIT;
	struct json j = JSON_INIT(&b);
	int r = -ENOMEM;

	json_open(&j, '{');
	json_key(&j, "plugin power summary report");
	json_open(&j, '[');
	for (size_t i = 0; i < state->n; i++)
		if (is_first_of_plugin(state, i))
			put_plugin_summary(&j, state, i);
	json_close(&j, ']');
	json_key(&j, "pid power summary report");
	json_open(&j, '[');
	for (size_t i = 0; i < state->n; i++)
		put_process_summary(&j, &state->processes[i]);
	json_close(&j, ']');
	json_close(&j, '}');
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
	s->types = 1u << RECORD_BEGIN | 1u << RECORD_END;
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
	if (r < 0)
		snprintf(ret_why, n, "%s/%s: %s", s->options.path, state->metadata_name,
			strerror(-r));
	return r;
}

static void report_write(struct sink *s, const struct record *r)
{
	struct reports *state = s->state;
	const struct session_report *report = r->session;
	struct process *p = process_of(state, report);
	const struct session_total *cpu = &report->totals[KIND_CPU];
	const struct session_total *gpu = &report->totals[KIND_GPU];

	if (!p)
		return;
	state->stale = true;
	p->kinds |= report->kinds;
	if (r->type != RECORD_END)
		return;
	if (report->end_wall_ns > p->end_wall_ns)
		p->end_wall_ns = report->end_wall_ns;
	if (cpu->known) {
		p->cpu_uj += cpu->energy.uj;
		p->cpu_ns += report->seconds_ns;
		p->estimated |= !!(cpu->flags & FLAG_ESTIMATED);
	}
	if (gpu->known) {
		p->gpu_uj += gpu->energy.uj;
		p->gpu_ns += report->seconds_ns;
	}
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
	if (write_metadata(s, true) == 0)
		write_summary(s);
	free(state->processes);
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
