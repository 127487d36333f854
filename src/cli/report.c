// SPDX-License-Identifier: MIT
#include "cli/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/spread.h"
#include "core/twins.h"
#include "util/format.h"
#include "util/u128.h"

/* Below so many of its sensor's update periods a run is too short for it. */
#define SHORT_PERIODS 20

/* More than this part of all CPU time used by others: the machine was not idle. */
#define BUSY_PERCENT 5

void warnings_add(struct warnings *w, const char *format, ...)
{
	va_list args;

	if (w->n == REPORT_MAX_WARNINGS)
		return;
	va_start(args, format);
	vsnprintf(w->text[w->n], sizeof(w->text[0]), format, args);
	va_end(args);
	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->text[i], w->text[w->n]) == 0)
			return;
	w->n++;
}

static void judge_domain(struct warnings *w, const struct domain *d, const struct domain_figures *f,
	const struct measurement *m, uint64_t interval_ns)
{
	char period[32];

	format_period(d->update_ns, period, sizeof(period));
	if (!f->known) {
		warnings_add(w,
			"%s %s: no energy is known: it was not read twice, since the run was too "
			"short for it or it cannot be read",
			d->sensor, d->name);
		return;
	}
	if (d->update_ns && m->elapsed_ns < SHORT_PERIODS * d->update_ns)
		warnings_add(w,
			"too short for %s %s, which is updated every %s only: repeat it with -r, "
			"or measure something longer",
			d->sensor, d->name, period);
	if (interval_ns && d->update_ns > interval_ns)
		warnings_add(w,
			"-I asks for rows faster than %s %s is updated (every %s): some will be "
			"empty",
			d->sensor, d->name, period);
	if (f->flags & FLAG_RESET)
		warnings_add(w, "%s %s: the counter fell or jumped meanwhile: energy is missing",
			d->sensor, d->name);
	if (f->flags & FLAG_DISPUTED)
		warnings_add(w,
			"%s %s: its energy counter and its power disagree by more than 5 %%",
			d->sensor, d->name);
	if (f->flags & FLAG_GAP)
		warnings_add(w, "%s %s: could not be read for a while", d->sensor, d->name);
	if (rig_is_simulated(d->sensor))
		warnings_add(w, "%s is simulated, as --sensors asked for", kind_title(d->kind));
	if (f->flags & FLAG_ESTIMATED)
		warnings_add(w,
			"%s is an estimate, no measurement (%s); `powermeasure list` tells how to "
			"get a measurement",
			kind_title(d->kind), d->model[0] ? d->model : d->name);
}

/* Sensors that should tell the same and do not. */
static void judge_twins(struct warnings *w, const struct rig *rig, const struct measurement *m)
{
	uint64_t energy_uj[RIG_MAX_DOMAINS];
	struct twins twins[KIND_COUNT * RIG_MAX_SENSORS];
	size_t n;

	for (size_t i = 0; i < rig_n_domains(rig); i++)
		energy_uj[i] = m->domains[i].known ? m->domains[i].energy.uj : TWINS_UNKNOWN;
	n = twins_find(rig, energy_uj, twins, sizeof(twins) / sizeof(twins[0]));
	for (size_t i = 0; i < n; i++)
		warnings_add(w,
			"%s: %s tells %.3f J and %s tells %.3f J of the same thing; %s is counted",
			kind_title(twins[i].kind), twins[i].counted,
			(double) twins[i].counted_figure / 1e6, twins[i].other,
			(double) twins[i].other_figure / 1e6, twins[i].counted);
}

void warnings_judge(struct warnings *w, const struct rig *rig, const struct measurement *m,
	uint64_t interval_ns)
{
	uint64_t given_ns = m->idle_ns + m->asked_cpu_ns + m->tool_cpu_ns;

	for (size_t i = 0; i < rig_n_domains(rig); i++)
		if (rig_domain(rig, i)->counted)
			judge_domain(w, rig_domain(rig, i), &m->domains[i], m, interval_ns);
	judge_twins(w, rig, m);
	/* Idle time moves in steps of 10 ms a CPU: over less nothing can be said. */
	if (m->elapsed_ns >= NS_PER_S / 4 && m->capacity_ns > given_ns &&
		(m->capacity_ns - given_ns) * 100 > m->capacity_ns * BUSY_PERCENT)
		warnings_add(w, "the machine was not idle: others kept %.1f CPUs busy",
			(double) (m->capacity_ns - given_ns) / (double) m->elapsed_ns);
	if (m->kinds[KIND_DRAM].known && m->asked_cpu_ns)
		warnings_add(w,
			"DRAM energy is shared out by CPU time: it is not known who used the "
			"memory");
	if (m->kinds[KIND_GPU].known && !m->kinds[KIND_GPU].shared)
		warnings_add(w,
			"GPU energy is the whole device's: it is not known which process used it");
}

/* ---- text ------------------------------------------------------------------------------- */

static const char *joules(uint64_t uj, char *text, size_t n)
{
	char number[32];

	format_micro(uj, number, sizeof(number));
	snprintf(text, n, "%s J", number);
	return text;
}

static uint64_t mean_uw(uint64_t uj, uint64_t ns)
{
	return ns ? muldiv_u64(uj, NS_PER_S, ns) : 0;
}

static void print_range(struct energy e, FILE *out)
{
	char low[32], high[32];

	format_micro(e.low_uj, low, sizeof(low));
	format_micro(e.high_uj, high, sizeof(high));
	fprintf(out, " (%s to %s J)", low, high);
}

static void print_kind(
	const struct kind_figures *k, enum kind kind, uint64_t ns, bool with_asked, FILE *out)
{
	char asked[48] = "-", idle[48] = "-", other[48], tool[48] = "-", whole[48], mean[32];
	char peak[32] = "-";

	if (k->shared) {
		joules(k->asked.uj, asked, sizeof(asked));
		joules(k->idle_uj, idle, sizeof(idle));
		joules(k->tool_uj, tool, sizeof(tool));
	}
	joules(k->other_uj, other, sizeof(other));
	joules(k->whole.uj, whole, sizeof(whole));
	format_micro(mean_uw(k->whole.uj, ns), mean, sizeof(mean));
	if (k->peak_uw)
		format_micro(k->peak_uw, peak, sizeof(peak));
	fprintf(out, "%-9s", kind_title(kind));
	if (with_asked)
		fprintf(out, "%11s", asked);
	fprintf(out, "%12s%12s%12s%12s%10s%10s\n", idle, other, tool, whole, mean, peak);
}

void report_figures(const struct measurement *m, const char *asked, FILE *out)
{
	char text[48];
	size_t n = 0;

	for (int k = 0; k < KIND_COUNT; k++)
		n += m->kinds[k].known;
	if (n == 0) {
		fprintf(out, "No energy is known.\n");
		return;
	}
	fprintf(out, "%-9s", "");
	if (asked)
		fprintf(out, "%11s", asked);
	fprintf(out, "%12s%12s%12s%12s%10s%10s\n", "idle", "other", "tool", "whole", "mean W",
		"peak W");
	for (int k = 0; k < KIND_COUNT; k++)
		if (m->kinds[k].known)
			print_kind(&m->kinds[k], (enum kind) k, m->elapsed_ns, asked != NULL, out);
	fputc('\n', out);
	for (int k = 0; k < KIND_COUNT; k++) {
		const struct kind_figures *f = &m->kinds[k];

		if (!f->shared || !asked)
			continue;
		fprintf(out, "%s, %s: %s", asked, kind_title((enum kind) k),
			joules(f->asked.uj, text, sizeof(text)));
		print_range(f->asked, out);
		fprintf(out, "%s\n", f->flags & FLAG_ESTIMATED ? ", ESTIMATED" : "");
	}
	if (m->machine_known) {
		fprintf(out, "machine: %s", joules(m->machine.uj, text, sizeof(text)));
		print_range(m->machine, out);
		fputc('\n', out);
	}
}

void report_one(pid_t pid, const char *name, const struct measurement *m, FILE *out)
{
	char text[48];

	if (pid)
		fprintf(out, "pid %d (%s): ", (int) pid, name);
	else
		fprintf(out, "%s: ", name);
	fprintf(out, "CPU time %.3f s", (double) m->asked_cpu_ns / 1e9);
	for (int k = 0; k < KIND_COUNT; k++) {
		if (!m->kinds[k].shared)
			continue;
		fprintf(out, ", %s %s", kind_title((enum kind) k),
			joules(m->kinds[k].asked.uj, text, sizeof(text)));
		print_range(m->kinds[k].asked, out);
	}
	fputc('\n', out);
}

void report_sources(const struct rig *rig, const struct measurement *m, FILE *out)
{
	for (size_t i = 0; i < rig_n_domains(rig); i++) {
		const struct domain *d = rig_domain(rig, i);
		char text[48];

		if (!m->domains[i].known)
			continue;
		fprintf(out, "%s %s (%s%s%s): %s%s\n", d->sensor, d->name, kind_title(d->kind),
			d->scope[0] ? ", " : "", d->scope,
			joules(m->domains[i].energy.uj, text, sizeof(text)),
			d->quality & FLAG_ESTIMATED           ? ", ESTIMATED"
				: rig_is_simulated(d->sensor) ? ", SIMULATED"
				: d->counted                  ? ""
							      : ", part of another");
	}
}

void report_warnings(const struct warnings *w, FILE *out)
{
	for (size_t i = 0; i < w->n; i++)
		fprintf(out, "warning: %s\n", w->text[i]);
}

static void print_spread(const char *what, const struct spread *s, FILE *out)
{
	fprintf(out, "%-16s%12.6g%12.3g%12.6g%12.6g%12.6g\n", what, s->mean, s->sigma, s->median,
		s->min, s->max);
}

static void print_spreads(const struct run_report *r, FILE *out)
{
	struct spread s;

	fprintf(out, "\n%-16s%12s%12s%12s%12s%12s\n", "each run", "mean", "sigma", "median", "min",
		"max");
	if (spread_of(r, SPREAD_ELAPSED, KIND_CPU, &s))
		print_spread("elapsed s", &s, out);
	for (int k = 0; k < KIND_COUNT; k++) {
		char what[32];

		snprintf(what, sizeof(what), "command %s J", kind_title((enum kind) k));
		if (spread_of(r, SPREAD_COMMAND, (enum kind) k, &s))
			print_spread(what, &s, out);
		snprintf(what, sizeof(what), "whole %s J", kind_title((enum kind) k));
		if (spread_of(r, SPREAD_WHOLE, (enum kind) k, &s))
			print_spread(what, &s, out);
	}
	if (spread_of(r, SPREAD_MACHINE, KIND_CPU, &s))
		print_spread("machine J", &s, out);
}

static void print_units(const struct run_report *r, FILE *out)
{
	const struct measurement *m = &r->total;

	if (r->units <= 0)
		return;
	fprintf(out, "\n%.10g units:", r->units);
	for (int k = 0; k < KIND_COUNT; k++)
		if (m->kinds[k].shared)
			fprintf(out, " %.4g J of %s for the command,",
				(double) m->kinds[k].asked.uj / 1e6 / r->units,
				kind_title((enum kind) k));
	if (m->machine_known)
		fprintf(out, " %.4g J for the machine,", (double) m->machine.uj / 1e6 / r->units);
	fprintf(out, " %.4g s each\n", (double) m->elapsed_ns / 1e9 / r->units);
}

static void print_command(char *const *argv, FILE *out)
{
	for (size_t i = 0; argv[i]; i++)
		fprintf(out, "%s%s", i ? " " : "", argv[i]);
}

void report_runs_text(const struct run_report *r, FILE *out)
{
	const struct measurement *m = &r->total;

	fputc('\n', out);
	print_command(r->argv, out);
	if (r->n_runs == 0) {
		fprintf(out, ": no run was measured\n");
		report_warnings(&r->warnings, out);
		return;
	}
	fprintf(out, "\n");
	if (r->n_runs > 1)
		fprintf(out, "%zu runs, together ", r->n_runs);
	fprintf(out, "%.3f s, CPU time %.3f s (%.2f CPUs), exit status %d\n\n",
		(double) m->elapsed_ns / 1e9, (double) m->asked_cpu_ns / 1e9,
		m->elapsed_ns ? (double) m->asked_cpu_ns / (double) m->elapsed_ns : 0,
		r->exit_status);
	report_figures(m, "command", out);
	if (r->n_runs > 1)
		print_spreads(r, out);
	print_units(r, out);
	fputc('\n', out);
	report_sources(r->rig, m, out);
	report_warnings(&r->warnings, out);
}

static bool is_shared(int kind)
{
	return kind == KIND_CPU || kind == KIND_DRAM;
}

void report_row_head(const struct rig *rig, const char *asked, FILE *out)
{
	fprintf(out, "%10s", "s");
	for (int k = 0; k < KIND_COUNT; k++) {
		char text[32];

		if (!(rig_kinds(rig) & KIND_BIT(k)))
			continue;
		snprintf(text, sizeof(text), "%s W", kind_title((enum kind) k));
		fprintf(out, "%12s", text);
		if (asked && is_shared(k))
			fprintf(out, "%12s", asked);
	}
	fputc('\n', out);
}

static void print_watts(bool known, uint64_t uj, uint64_t ns, FILE *out)
{
	char text[32] = "-";

	if (known)
		format_micro(mean_uw(uj, ns), text, sizeof(text));
	fprintf(out, "%12s", text);
}

void report_row(const struct rig *rig, const struct run_row *row, bool with_asked, FILE *out)
{
	const struct measurement *m = &row->figures;

	fprintf(out, "%10.3f", (double) row->end_ns / 1e9);
	for (int i = 0; i < KIND_COUNT; i++) {
		const struct kind_figures *k = &m->kinds[i];

		if (!(rig_kinds(rig) & KIND_BIT(i)))
			continue;
		print_watts(k->known, k->whole.uj, m->elapsed_ns, out);
		if (with_asked && is_shared(i))
			print_watts(k->shared, k->asked.uj, m->elapsed_ns, out);
	}
	fputc('\n', out);
	fflush(out);
}

/* ---- JSON ------------------------------------------------------------------------------- */

static void put_energy(struct json *j, const char *key, bool known, struct energy e)
{
	json_key(j, key);
	if (!known) {
		json_null(j);
		return;
	}
	json_open(j, '{');
	json_kv_micro(j, "energy_j", (int64_t) e.uj);
	json_kv_micro(j, "low_j", (int64_t) e.low_uj);
	json_kv_micro(j, "high_j", (int64_t) e.high_uj);
	json_close(j, '}');
}

/* One figure of each kind; null where it is not known. */
enum part { PART_ASKED, PART_IDLE, PART_OTHER, PART_TOOL };

static void put_part(struct json *j, const char *key, const struct measurement *m, enum part part)
{
	json_key(j, key);
	json_open(j, '{');
	for (int i = KIND_CPU; i <= KIND_GPU; i++) {
		const struct kind_figures *k = &m->kinds[i];
		uint64_t uj = part == PART_ASKED ? k->asked.uj
			: part == PART_IDLE      ? k->idle_uj
			: part == PART_TOOL      ? k->tool_uj
						 : k->other_uj;

		if (part == PART_OTHER ? k->known : k->shared)
			json_kv_micro(j, kind_name((enum kind) i), (int64_t) uj);
		else
			json_kv_null(j, kind_name((enum kind) i));
	}
	json_close(j, '}');
}

static void put_range(struct json *j, const char *key, const struct measurement *m)
{
	json_key(j, key);
	json_open(j, '{');
	for (int i = KIND_CPU; i <= KIND_GPU; i++)
		put_energy(j, kind_name((enum kind) i), m->kinds[i].shared, m->kinds[i].asked);
	json_close(j, '}');
}

static void put_watts(struct json *j, const struct measurement *m)
{
	json_key(j, "power_w");
	json_open(j, '{');
	for (int i = 0; i < KIND_COUNT; i++) {
		const struct kind_figures *k = &m->kinds[i];

		json_key(j, kind_name((enum kind) i));
		if (!k->known) {
			json_null(j);
			continue;
		}
		json_open(j, '{');
		json_kv_micro(j, "mean", (int64_t) mean_uw(k->whole.uj, m->elapsed_ns));
		if (k->peak_uw)
			json_kv_micro(j, "peak", (int64_t) k->peak_uw);
		else
			json_kv_null(j, "peak");
		json_close(j, '}');
	}
	json_close(j, '}');
}

static void put_domain(struct json *j, const struct domain *d, const struct domain_figures *f)
{
	json_open(j, '{');
	json_kv_string(j, "name", d->name);
	json_kv_string(j, "kind", kind_name(d->kind));
	json_kv_string(j, "sensor", d->sensor);
	json_kv_string(j, "quality", rig_quality_name(d));
	json_kv_bool(j, "counted", d->counted);
	if (f->known) {
		json_kv_micro(j, "energy_j", (int64_t) f->energy.uj);
		json_kv_micro(j, "low_j", (int64_t) f->energy.low_uj);
		json_kv_micro(j, "high_j", (int64_t) f->energy.high_uj);
	} else {
		json_kv_null(j, "energy_j");
		json_kv_null(j, "low_j");
		json_kv_null(j, "high_j");
	}
	json_close(j, '}');
}

static void put_machine(struct json *j, const struct rig *rig, const struct measurement *m)
{
	json_key(j, "machine_energy_j");
	if (!m->machine_known) {
		json_null(j);
		return;
	}
	json_open(j, '{');
	json_kv_micro(j, "energy_j", (int64_t) m->machine.uj);
	json_kv_micro(j, "low_j", (int64_t) m->machine.low_uj);
	json_kv_micro(j, "high_j", (int64_t) m->machine.high_uj);
	json_key(j, "domains");
	json_open(j, '[');
	for (size_t i = 0; i < rig_n_domains(rig); i++)
		if (m->domains[i].outermost)
			json_string(j, rig_domain(rig, i)->name);
	json_close(j, ']');
	json_close(j, '}');
}

void report_json_figures(
	struct json *j, const struct rig *rig, const struct measurement *m, const char *asked)
{
	char key[64];

	json_kv_micro(j, "elapsed_s", (int64_t) (m->elapsed_ns / 1000));
	json_key(j, "domains");
	json_open(j, '[');
	for (size_t i = 0; i < rig_n_domains(rig); i++)
		put_domain(j, rig_domain(rig, i), &m->domains[i]);
	json_close(j, ']');
	put_machine(j, rig, m);
	if (asked) {
		snprintf(key, sizeof(key), "%s_energy_j", asked);
		put_part(j, key, m, PART_ASKED);
		snprintf(key, sizeof(key), "%s_energy_range_j", asked);
		put_range(j, key, m);
		snprintf(key, sizeof(key), "%s_cpu_s", asked);
		json_kv_micro(j, key, (int64_t) (m->asked_cpu_ns / 1000));
	}
	put_part(j, "idle_energy_j", m, PART_IDLE);
	put_part(j, "other_energy_j", m, PART_OTHER);
	put_watts(j, m);
	json_key(j, "tool");
	json_open(j, '{');
	json_kv_micro(j, "cpu_s", (int64_t) (m->tool_cpu_ns / 1000));
	put_part(j, "energy_j", m, PART_TOOL);
	json_close(j, '}');
}

void report_json_one(struct json *j, const struct measurement *m)
{
	json_kv_micro(j, "cpu_s", (int64_t) (m->asked_cpu_ns / 1000));
	put_part(j, "energy_j", m, PART_ASKED);
	put_range(j, "energy_range_j", m);
}

void report_json_sensors(struct json *j, const struct rig *rig, const struct measurement *m)
{
	json_key(j, "sensors");
	json_open(j, '[');
	for (size_t i = 0; i < rig_n_domains(rig); i++) {
		const struct domain *d = rig_domain(rig, i);

		if (!m->domains[i].known)
			continue;
		json_open(j, '{');
		json_kv_string(j, "name", d->sensor);
		json_kv_string(j, "kind", kind_name(d->kind));
		json_kv_string(j, "scope", d->scope);
		json_kv_string(j, "quality", rig_quality_name(d));
		json_close(j, '}');
	}
	json_close(j, ']');
}

void report_json_warnings(struct json *j, const struct warnings *w)
{
	json_key(j, "warnings");
	json_open(j, '[');
	for (size_t i = 0; i < w->n; i++)
		json_string(j, w->text[i]);
	json_close(j, ']');
}

void report_json_rows(struct json *j, const struct run_row *rows, size_t n)
{
	json_key(j, "intervals");
	json_open(j, '[');
	for (size_t i = 0; i < n; i++) {
		const struct measurement *m = &rows[i].figures;

		json_open(j, '{');
		json_kv_micro(j, "end_s", (int64_t) (rows[i].end_ns / 1000));
		json_kv_micro(j, "interval_s", (int64_t) (m->elapsed_ns / 1000));
		put_watts(j, m);
		put_part(j, "asked_energy_j", m, PART_ASKED);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void put_number(struct json *j, const char *key, double value)
{
	json_kv_micro(j, key, (int64_t) llround(value * 1e6));
}

static void put_spread(struct json *j, const char *key, bool known, const struct spread *s)
{
	json_key(j, key);
	if (!known) {
		json_null(j);
		return;
	}
	json_open(j, '{');
	put_number(j, "mean", s->mean);
	put_number(j, "sigma", s->sigma);
	put_number(j, "median", s->median);
	put_number(j, "min", s->min);
	put_number(j, "max", s->max);
	json_close(j, '}');
}

static void put_statistics(struct json *j, const struct run_report *r)
{
	static const struct {
		const char *key;
		enum spread_what what;
	} tables[] = { { "command_energy_j", SPREAD_COMMAND }, { "whole_energy_j", SPREAD_WHOLE } };
	struct spread s;

	json_key(j, "statistics");
	json_open(j, '{');
	put_spread(j, "elapsed_s", spread_of(r, SPREAD_ELAPSED, KIND_CPU, &s), &s);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		json_key(j, tables[i].key);
		json_open(j, '{');
		for (int k = KIND_CPU; k <= KIND_GPU; k++)
			put_spread(j, kind_name((enum kind) k),
				spread_of(r, tables[i].what, (enum kind) k, &s), &s);
		json_close(j, '}');
	}
	put_spread(j, "machine_energy_j", spread_of(r, SPREAD_MACHINE, KIND_CPU, &s), &s);
	json_close(j, '}');
}

static void put_units(struct json *j, const struct run_report *r)
{
	const struct measurement *m = &r->total;

	json_key(j, "units");
	if (r->units <= 0) {
		json_null(j);
		return;
	}
	json_open(j, '{');
	json_kv_real(j, "count", r->units);
	json_key(j, "command_energy_j");
	json_open(j, '{');
	for (int k = KIND_CPU; k <= KIND_GPU; k++) {
		if (m->kinds[k].shared)
			json_kv_real(j, kind_name((enum kind) k),
				(double) m->kinds[k].asked.uj / 1e6 / r->units);
		else
			json_kv_null(j, kind_name((enum kind) k));
	}
	json_close(j, '}');
	if (m->machine_known)
		json_kv_real(j, "machine_energy_j", (double) m->machine.uj / 1e6 / r->units);
	else
		json_kv_null(j, "machine_energy_j");
	json_kv_real(j, "elapsed_s", (double) m->elapsed_ns / 1e9 / r->units);
	json_close(j, '}');
}

void report_runs_json(const struct run_report *r, FILE *out)
{
	struct buf b = BUF_INIT;
	struct json j = JSON_INIT(&b);

	json_open(&j, '{');
	json_kv_u64(&j, "schema_version", REPORT_SCHEMA_VERSION);
	json_kv_string(&j, "version", PM_VERSION);
	json_key(&j, "command");
	json_open(&j, '[');
	for (size_t i = 0; r->argv[i]; i++)
		json_string(&j, r->argv[i]);
	json_close(&j, ']');
	json_kv_i64(&j, "exit_status", r->exit_status);
	json_kv_string(&j, "attribution", "capacity-share");
	report_json_figures(&j, r->rig, &r->total, "command");
	report_json_sensors(&j, r->rig, &r->total);
	put_statistics(&j, r);
	put_units(&j, r);
	json_key(&j, "runs");
	json_open(&j, '[');
	for (size_t i = 0; i < r->n_runs; i++) {
		const struct run_record *run = &r->runs[i];

		json_open(&j, '{');
		json_kv_i64(&j, "exit_status", run->result.status);
		report_json_figures(&j, r->rig, &run->result.figures, "command");
		report_json_rows(&j, run->rows, run->n_rows);
		report_json_warnings(&j, &run->warnings);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	report_json_warnings(&j, &r->warnings);
	json_close(&j, '}');
	fputs(b.failed ? "{\"error\": \"no memory for the report\"}" : buf_text(&b), out);
	fputc('\n', out);
	buf_finish(&b);
}
