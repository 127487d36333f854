// SPDX-License-Identifier: MIT
#include "cli/demo/follow.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "machine/clock.h"

static uint64_t get_u64(const json_t *line, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(line, key));

	return v > 0 ? (uint64_t) v : 0;
}

static uint64_t get_uw(const json_t *line)
{
	double w = json_number_value(json_object_get(line, "power_w"));

	return w > 0 ? (uint64_t) (w * 1e6 + 0.5) : 0;
}

/* A sample is complete when the next one begins: its power is the sum over the CPUs' domains. */
static void finish_sample(struct process_figures *p)
{
	if (p->t_ns == 0)
		return;
	if (p->n == 0 || p->now_uw < p->min_uw)
		p->min_uw = p->now_uw;
	if (p->now_uw > p->max_uw)
		p->max_uw = p->now_uw;
	p->last_uw = p->now_uw;
	p->n++;
}

static void take_cpu_line(struct figures *f, const json_t *line)
{
	pid_t pid = (pid_t) json_integer_value(json_object_get(line, "pid"));
	const char *name = json_string_value(json_object_get(line, "name"));
	uint64_t t_ns = get_u64(line, "t_ns");
	const char *model = json_string_value(json_object_get(line, "model"));

	snprintf(f->sensor, sizeof(f->sensor), "%s",
		json_string_value(json_object_get(line, "sensor")));
	snprintf(f->quality, sizeof(f->quality), "%s",
		json_string_value(json_array_get(json_object_get(line, "flags"), 0)));
	snprintf(f->model, sizeof(f->model), "%s", model ? model : "");
	for (size_t i = 0; i < f->n_processes; i++) {
		struct process_figures *p = &f->processes[i];

		if (p->pid != pid)
			continue;
		/* The domains of one sample are read within microseconds of each other. */
		if (t_ns > p->t_ns + NS_PER_MS) {
			finish_sample(p);
			p->now_uw = 0;
			p->ns += get_u64(line, "interval_ns");
			p->t_ns = t_ns;
		}
		snprintf(p->name, sizeof(p->name), "%s", name ? name : "");
		p->now_uw += get_uw(line);
		p->uj += get_u64(line, "energy_uj");
	}
}

static void take_line(struct figures *f, const char *text)
{
	json_t *line = json_loads(text, 0, NULL);
	const char *kind = json_string_value(json_object_get(line, "kind"));

	if (kind && json_is_true(json_object_get(line, "counted"))) {
		if (strcmp(kind, "cpu") == 0 && json_is_integer(json_object_get(line, "pid"))) {
			take_cpu_line(f, line);
		} else if (strcmp(kind, "gpu") == 0) {
			f->gpu_uj += get_u64(line, "energy_uj");
			f->gpu_ns += get_u64(line, "interval_ns");
			f->gpu_last_uw = get_uw(line);
		}
	}
	json_decref(line);
}

void figures_read(struct figures *f)
{
	char text[2048];

	if (!f->lines)
		f->lines = fopen(f->path, "re");
	if (!f->lines)
		return;
	clearerr(f->lines);
	for (;;) {
		long at = ftell(f->lines);

		if (!fgets(text, sizeof(text), f->lines))
			return;
		if (!strchr(text, '\n')) { /* still being written */
			fseek(f->lines, at, SEEK_SET);
			return;
		}
		take_line(f, text);
	}
}

void figures_open(struct figures *f, const char *record, const pid_t *pids, size_t n)
{
	*f = (struct figures) { .path = record, .n_processes = n };
	for (size_t i = 0; i < n; i++)
		f->processes[i].pid = pids[i];
}

void figures_finish(struct figures *f)
{
	for (size_t i = 0; i < f->n_processes; i++)
		finish_sample(&f->processes[i]);
}

void figures_close(struct figures *f)
{
	if (f->lines)
		fclose(f->lines);
	f->lines = NULL;
}
