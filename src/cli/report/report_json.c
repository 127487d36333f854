// SPDX-License-Identifier: MIT
#include "cli/report/report.h"

#include <math.h>

#include "cli/compare/side.h"
#include "cli/compare/spread.h"
#include "meter/power.h"
#include "util/cleanup.h"
#include "util/jw.h"
#include "session/schema.h"

/* The members of a figure: estimate, hard bounds, and what it is between in 95 of 100 cases. */
static void put_bounds(struct jw *j, bool known, struct energy e)
{
	static const char *const keys[] = { "energy_j", "low_j", "high_j", "low_95_j",
		"high_95_j" };
	uint64_t values[] = { e.uj, e.low_uj, e.high_uj, 0, 0 };

	energy_interval(e, &values[3], &values[4]);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (known)
			jw_kv_micro(j, keys[i], (int64_t) values[i]);
		else
			jw_kv_null(j, keys[i]);
	}
}

static void put_energy(struct jw *j, const char *key, bool known, struct energy e)
{
	jw_key(j, key);
	if (!known) {
		jw_null(j);
		return;
	}
	jw_open(j, '{');
	put_bounds(j, true, e);
	jw_close(j, '}');
}

/* One figure of each kind; null where it is not known. */
enum part { PART_ASKED, PART_IDLE, PART_OTHER, PART_TOOL };

static void put_part(struct jw *j, const char *key, const struct measurement *m, enum part part)
{
	jw_key(j, key);
	jw_open(j, '{');
	for (int i = KIND_CPU; i <= KIND_GPU; i++) {
		const struct kind_figures *k = &m->kinds[i];
		uint64_t uj = part == PART_ASKED ? k->asked.uj
			: part == PART_IDLE      ? k->idle_uj
			: part == PART_TOOL      ? k->tool_uj
						 : k->other_uj;

		if (part == PART_OTHER ? k->known : part == PART_IDLE ? k->idle_known : k->shared)
			jw_kv_micro(j, kind_name((enum kind) i), (int64_t) uj);
		else
			jw_kv_null(j, kind_name((enum kind) i));
	}
	jw_close(j, '}');
}

static void put_range(struct jw *j, const char *key, const struct measurement *m)
{
	jw_key(j, key);
	jw_open(j, '{');
	for (int i = KIND_CPU; i <= KIND_GPU; i++)
		put_energy(j, kind_name((enum kind) i), m->kinds[i].shared, m->kinds[i].asked);
	jw_close(j, '}');
}

static void put_watts(struct jw *j, const struct measurement *m)
{
	jw_key(j, "power_w");
	jw_open(j, '{');
	for (int i = 0; i < KIND_COUNT; i++) {
		const struct kind_figures *k = &m->kinds[i];

		jw_key(j, kind_name((enum kind) i));
		if (!k->known) {
			jw_null(j);
			continue;
		}
		jw_open(j, '{');
		jw_kv_micro(j, "mean", (int64_t) power_uw(k->whole.uj, m->elapsed_ns));
		if (k->peak_uw)
			jw_kv_micro(j, "peak", (int64_t) k->peak_uw);
		else
			jw_kv_null(j, "peak");
		jw_close(j, '}');
	}
	jw_close(j, '}');
}

static void put_domain(struct jw *j, const struct domain *d, const struct domain_figures *f)
{
	jw_open(j, '{');
	jw_kv_string(j, "name", d->name);
	jw_kv_string(j, "kind", kind_name(d->kind));
	jw_kv_string(j, "sensor", d->sensor);
	jw_kv_string(j, "quality", rig_quality_name(d));
	jw_kv_bool(j, "counted", d->counted);
	put_bounds(j, f->known, f->energy);
	if (f->known)
		jw_kv_micro(j, "covered_s", (int64_t) (f->covered_ns / 1000));
	else
		jw_kv_null(j, "covered_s");
	jw_kv_bool(j, "partial", f->partial);
	jw_close(j, '}');
}

static void put_machine(struct jw *j, const struct rig *rig, const struct measurement *m)
{
	jw_key(j, "machine_energy_j");
	if (!m->machine_known) {
		jw_null(j);
		return;
	}
	jw_open(j, '{');
	put_bounds(j, true, m->machine);
	jw_kv_bool(j, "partial", m->partial);
	jw_key(j, "domains");
	jw_open(j, '[');
	for (size_t i = 0; i < rig_n_domains(rig); i++)
		if (m->domains[i].outermost)
			jw_string(j, rig_domain(rig, i)->name);
	jw_close(j, ']');
	jw_close(j, '}');
}

void report_json_figures(
	struct jw *j, const struct rig *rig, const struct measurement *m, const char *asked)
{
	char key[64];

	jw_kv_micro(j, "elapsed_s", (int64_t) (m->elapsed_ns / 1000));
	jw_key(j, "domains");
	jw_open(j, '[');
	for (size_t i = 0; i < rig_n_domains(rig); i++)
		put_domain(j, rig_domain(rig, i), &m->domains[i]);
	jw_close(j, ']');
	put_machine(j, rig, m);
	if (asked) {
		snprintf(key, sizeof(key), "%s_energy_j", asked);
		put_part(j, key, m, PART_ASKED);
		snprintf(key, sizeof(key), "%s_energy_range_j", asked);
		put_range(j, key, m);
		snprintf(key, sizeof(key), "%s_cpu_s", asked);
		jw_kv_micro(j, key, (int64_t) (m->asked_cpu_ns / 1000));
	}
	put_part(j, "idle_energy_j", m, PART_IDLE);
	put_part(j, "other_energy_j", m, PART_OTHER);
	put_watts(j, m);
	jw_key(j, "tool");
	jw_open(j, '{');
	jw_kv_micro(j, "cpu_s", (int64_t) (m->tool_cpu_ns / 1000));
	put_part(j, "energy_j", m, PART_TOOL);
	jw_close(j, '}');
}

void report_json_one(struct jw *j, const struct measurement *m)
{
	jw_kv_micro(j, "cpu_s", (int64_t) (m->asked_cpu_ns / 1000));
	put_part(j, "energy_j", m, PART_ASKED);
	put_range(j, "energy_range_j", m);
}

void report_json_sensors(struct jw *j, const struct rig *rig, const struct measurement *m)
{
	jw_key(j, "sensors");
	jw_open(j, '[');
	for (size_t i = 0; i < rig_n_domains(rig); i++) {
		const struct domain *d = rig_domain(rig, i);

		if (!m->domains[i].known)
			continue;
		jw_open(j, '{');
		jw_kv_string(j, "name", d->sensor);
		jw_kv_string(j, "kind", kind_name(d->kind));
		jw_kv_string(j, "scope", d->scope);
		jw_kv_string(j, "quality", rig_quality_name(d));
		jw_close(j, '}');
	}
	jw_close(j, ']');
}

void report_json_warnings(struct jw *j, const struct warnings *w)
{
	jw_key(j, "warnings");
	jw_open(j, '[');
	for (size_t i = 0; i < w->n; i++)
		jw_string(j, w->text[i]);
	jw_close(j, ']');
}

void report_json_rows(struct jw *j, const struct run_row *rows, size_t n)
{
	jw_key(j, "intervals");
	jw_open(j, '[');
	for (size_t i = 0; i < n; i++) {
		const struct measurement *m = &rows[i].figures;

		jw_open(j, '{');
		jw_kv_micro(j, "end_s", (int64_t) (rows[i].end_ns / 1000));
		jw_kv_micro(j, "interval_s", (int64_t) (m->elapsed_ns / 1000));
		put_watts(j, m);
		put_part(j, "asked_energy_j", m, PART_ASKED);
		jw_close(j, '}');
	}
	jw_close(j, ']');
}

static void put_number(struct jw *j, const char *key, double value)
{
	jw_kv_micro(j, key, (int64_t) llround(value * 1e6));
}

static void put_spread(struct jw *j, const char *key, bool known, const struct spread *s)
{
	jw_key(j, key);
	if (!known) {
		jw_null(j);
		return;
	}
	jw_open(j, '{');
	put_number(j, "mean", s->mean);
	put_number(j, "sigma", s->sigma);
	put_number(j, "median", s->median);
	put_number(j, "min", s->min);
	put_number(j, "max", s->max);
	jw_close(j, '}');
}

static void put_statistics(struct jw *j, const struct run_report *r)
{
	static const struct {
		const char *key;
		enum spread_what what;
	} tables[] = { { "command_energy_j", SPREAD_COMMAND }, { "whole_energy_j", SPREAD_WHOLE } };
	struct spread s;

	jw_key(j, "statistics");
	jw_open(j, '{');
	put_spread(j, "elapsed_s", spread_of(r, SPREAD_ELAPSED, KIND_CPU, &s), &s);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		jw_key(j, tables[i].key);
		jw_open(j, '{');
		for (int k = KIND_CPU; k <= KIND_GPU; k++)
			put_spread(j, kind_name((enum kind) k),
				spread_of(r, tables[i].what, (enum kind) k, &s), &s);
		jw_close(j, '}');
	}
	put_spread(j, "machine_energy_j", spread_of(r, SPREAD_MACHINE, KIND_CPU, &s), &s);
	jw_close(j, '}');
}

static void put_units(struct jw *j, const struct run_report *r)
{
	const struct measurement *m = &r->total;

	jw_key(j, "units");
	if (r->units <= 0) {
		jw_null(j);
		return;
	}
	jw_open(j, '{');
	jw_kv_real(j, "count", r->units);
	jw_key(j, "command_energy_j");
	jw_open(j, '{');
	for (int k = KIND_CPU; k <= KIND_GPU; k++) {
		if (m->kinds[k].shared)
			jw_kv_real(j, kind_name((enum kind) k),
				(double) m->kinds[k].asked.uj / 1e6 / r->units);
		else
			jw_kv_null(j, kind_name((enum kind) k));
	}
	jw_close(j, '}');
	if (m->machine_known)
		jw_kv_real(j, "machine_energy_j", (double) m->machine.uj / 1e6 / r->units);
	else
		jw_kv_null(j, "machine_energy_j");
	jw_kv_real(j, "elapsed_s", (double) m->elapsed_ns / 1e9 / r->units);
	jw_close(j, '}');
}

void report_json_head(struct jw *j)
{
	jw_kv_u64(j, "schema_version", SCHEMA_REPORT);
	jw_kv_string(j, "version", PM_VERSION);
}

void report_json_command(struct jw *j, const struct run_report *r)
{
	jw_key(j, "command");
	jw_open(j, '[');
	for (size_t i = 0; r->argv[i]; i++)
		jw_string(j, r->argv[i]);
	jw_close(j, ']');
	jw_kv_i64(j, "exit_status", r->exit_status);
	jw_kv_string(j, "verdict", r->verdict);
}

void report_json_runs(struct jw *j, const struct run_report *r)
{
	put_statistics(j, r);
	put_units(j, r);
	phase_table_json(j, &r->phases, "command_energy_j");
	jw_key(j, "runs");
	jw_open(j, '[');
	for (size_t i = 0; i < r->n_runs; i++) {
		const struct run_record *run = &r->runs[i];

		jw_open(j, '{');
		jw_kv_i64(j, "exit_status", run->result.status);
		jw_kv_bool(j, "counted", run_counts(&run->result));
		report_json_figures(j, r->rig, &run->result.figures, "command");
		report_json_rows(j, run->rows, run->n_rows);
		phase_table_json(j, &run->result.phases, "command_energy_j");
		report_json_warnings(j, &run->warnings);
		jw_close(j, '}');
	}
	jw_close(j, ']');
	report_json_warnings(j, &r->warnings);
}

void report_json_scales(struct jw *j, const struct rig *rig, const struct measurement *m)
{
	jw_key(j, "scale_error");
	jw_open(j, '{');
	for (int k = 0; k < SIDE_KINDS; k++) {
		struct ratio_scale scale;
		const char *model;

		jw_key(j, kind_name((enum kind) k));
		if (!m->kinds[k].known || !side_scale(rig, (enum kind) k, &scale, &model)) {
			jw_null(j);
			continue;
		}
		jw_open(j, '{');
		jw_kv_real(j, "low", scale.low);
		jw_kv_real(j, "high", scale.high);
		jw_kv_string(j, "model", model[0] ? model : NULL);
		jw_close(j, '}');
	}
	jw_close(j, '}');
}

void report_json_print(const struct buf *b, FILE *out)
{
	fputs(b->failed ? "{\"error\": \"no memory for the report\"}" : buf_text(b), out);
	fputc('\n', out);
}

void report_runs_json(const struct run_report *r, FILE *out)
{
	struct buf b = BUF_INIT;
	struct jw j = JW_INIT(&b);

	jw_open(&j, '{');
	report_json_head(&j);
	report_json_command(&j, r);
	jw_kv_string(&j, "attribution", REPORT_ATTRIBUTION);
	report_json_figures(&j, r->rig, &r->total, "command");
	report_json_sensors(&j, r->rig, &r->total);
	report_json_scales(&j, r->rig, &r->total);
	report_json_runs(&j, r);
	jw_close(&j, '}');
	report_json_print(&b, out);
	buf_finish(&b);
}
