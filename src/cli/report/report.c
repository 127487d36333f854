// SPDX-License-Identifier: MIT
#include "cli/report/report.h"

#include <string.h>

#include "cli/compare/spread.h"
#include "meter/power.h"
#include "util/format.h"
#include "util/printable.h"

static const char *joules(uint64_t uj, char *text, size_t n)
{
	char number[32];

	format_micro(uj, number, sizeof(number));
	snprintf(text, n, "%s J", number);
	return text;
}

/* In 95 of 100 cases it is in this range; where energy was lost, it is in the hard bounds only. */
static void print_range(struct energy e, bool partial, FILE *out)
{
	char low[32], high[32];
	uint64_t low_uj = e.low_uj, high_uj = e.high_uj;

	if (!partial)
		energy_interval(e, &low_uj, &high_uj);
	format_micro(low_uj, low, sizeof(low));
	format_micro(high_uj, high, sizeof(high));
	fprintf(out, " (%s to %s J)", low, high);
}

static void print_energy(struct energy e, bool partial, FILE *out)
{
	char text[48];

	fprintf(out, "%s%s", partial ? "at least " : "", joules(e.uj, text, sizeof(text)));
	print_range(e, partial, out);
}

static void print_kind(
	const struct kind_figures *k, enum kind kind, uint64_t ns, bool with_asked, FILE *out)
{
	char asked[48] = "-", idle[48] = "-", other[48], tool[48] = "-", whole[48], mean[32];
	char peak[32] = "-";

	if (k->shared) {
		joules(k->asked.uj, asked, sizeof(asked));
		if (k->idle_known)
			joules(k->idle_uj, idle, sizeof(idle));
		joules(k->tool_uj, tool, sizeof(tool));
	}
	joules(k->other_uj, other, sizeof(other));
	joules(k->whole.uj, whole, sizeof(whole));
	format_micro(power_uw(k->whole.uj, ns), mean, sizeof(mean));
	if (k->peak_uw)
		format_micro(k->peak_uw, peak, sizeof(peak));
	fprintf(out, "%-9s", kind_title(kind));
	if (with_asked)
		fprintf(out, "%11s", asked);
	fprintf(out, "%12s%12s%12s%12s%10s%10s\n", idle, other, tool, whole, mean, peak);
}

void report_figures(const struct measurement *m, const char *asked, FILE *out)
{
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
		fprintf(out, "%s, %s: ", asked, kind_title((enum kind) k));
		print_energy(f->asked, f->partial, out);
		fprintf(out, "%s\n", f->flags & FLAG_ESTIMATED ? ", ESTIMATED" : "");
	}
	if (m->machine_known) {
		fprintf(out, "machine: ");
		print_energy(m->machine, m->partial, out);
		fputc('\n', out);
	}
}

void report_one(pid_t pid, const char *name, const struct measurement *m, FILE *out)
{
	char shown[64];

	snprintf(shown, sizeof(shown), "%s", name);
	printable(shown);
	if (pid)
		fprintf(out, "pid %d (%s): ", (int) pid, shown);
	else
		fprintf(out, "%s: ", shown);
	fprintf(out, "CPU time %.3f s", (double) m->asked_cpu_ns / 1e9);
	for (int k = 0; k < KIND_COUNT; k++) {
		if (!m->kinds[k].shared)
			continue;
		fprintf(out, ", %s ", kind_title((enum kind) k));
		print_energy(m->kinds[k].asked, m->kinds[k].partial, out);
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
			m->domains[i].partial                 ? ", of a part of the time"
				: d->quality & FLAG_ESTIMATED ? ", ESTIMATED"
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

void report_command_line(const struct run_report *r, FILE *out)
{
	if (r->text) {
		fputs(r->text, out);
		return;
	}
	for (size_t i = 0; r->argv[i]; i++)
		fprintf(out, "%s%s", i ? " " : "", r->argv[i]);
}

void report_command_text(const struct run_report *r, FILE *out)
{
	const struct measurement *m = &r->total;

	fputc('\n', out);
	if (r->name && (!r->text || strcmp(r->name, r->text) != 0))
		fprintf(out, "%s: ", r->name);
	report_command_line(r, out);
	if (r->n_runs == 0) {
		fprintf(out, ": no run was measured\n");
		return;
	}
	fprintf(out, "\n");
	if (r->n_runs > 1)
		fprintf(out, "%zu runs, together ", r->n_counted);
	fprintf(out, "%.3f s, CPU time %.3f s (%.2f CPUs), exit status %d\n\n",
		(double) m->elapsed_ns / 1e9, (double) m->asked_cpu_ns / 1e9,
		m->elapsed_ns ? (double) m->asked_cpu_ns / (double) m->elapsed_ns : 0,
		r->exit_status);
	report_figures(m, "command", out);
	if (r->n_runs > 1)
		print_spreads(r, out);
	print_units(r, out);
	report_phases(&r->phases, "command", out);
}

void report_runs_text(const struct run_report *r, FILE *out)
{
	report_command_text(r, out);
	if (r->n_runs > 0) {
		fputc('\n', out);
		report_sources(r->rig, &r->total, out);
	}
	report_warnings(&r->warnings, out);
}

/* Whether rows have a column with the targets' part of a kind that the rig has. A row in which that part
 * is not known has "-" there. */
static bool has_asked_column(const struct rig *rig, enum kind kind)
{
	if (kind_goes_by_cpu_time(kind))
		return true;
	for (size_t i = 0; i < rig_n_domains(rig); i++) {
		const struct domain *d = rig_domain(rig, i);

		if (domain_adds_to(d, kind) && !d->tells_users)
			return false;
	}
	return true;
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
		if (asked && has_asked_column(rig, (enum kind) k))
			fprintf(out, "%12s", asked);
	}
	fputc('\n', out);
}

static void print_watts(bool known, uint64_t uj, uint64_t ns, FILE *out)
{
	char text[32] = "-";

	if (known)
		format_micro(power_uw(uj, ns), text, sizeof(text));
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
		if (with_asked && has_asked_column(rig, (enum kind) i))
			print_watts(k->shared, k->asked.uj, m->elapsed_ns, out);
	}
	fputc('\n', out);
	fflush(out);
}
