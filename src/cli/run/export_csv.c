// SPDX-License-Identifier: MIT
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/compare/side.h"
#include "cli/run/export.h"

/* RFC 4180: what contains a separator or a quote stands in quotes, and quotes in it are doubled. */
static void put_text(const char *text, FILE *out)
{
	if (!strpbrk(text, ",\"\r\n")) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void put_micro(bool known, uint64_t value, FILE *out)
{
	fputc(',', out);
	if (known)
		fprintf(out, "%" PRIu64 ".%06" PRIu64, value / 1000000, value % 1000000);
}

static void put_energy(bool known, struct energy e, FILE *out)
{
	put_micro(known, e.uj, out);
	put_micro(known, e.low_uj, out);
	put_micro(known, e.high_uj, out);
}

/* How the figures of a kind came about: "measured", "estimated", ... */
static const char *quality_of(const struct rig *rig, const struct measurement *m, enum kind kind)
{
	for (size_t i = 0; i < rig_n_domains(rig); i++) {
		const struct domain *d = rig_domain(rig, i);

		if (domain_adds_to(d, kind) && m->domains[i].known)
			return rig_quality_name(d);
	}
	return "";
}

static void put_head(FILE *out)
{
	fputs("name,command,run,exit_status,units,elapsed_s,command_cpu_s", out);
	for (int k = 0; k < SIDE_KINDS; k++) {
		const char *kind = kind_name((enum kind) k);

		fprintf(out,
			",%s_quality,%s_command_j,%s_command_low_j,%s_command_high_j,%s_idle_j,"
			"%s_other_j,%s_tool_j",
			kind, kind, kind, kind, kind, kind, kind);
	}
	fputs(",machine_j,machine_low_j,machine_high_j\r\n", out);
}

static void put_command(const struct run_report *r, FILE *out)
{
	char *text = NULL;
	size_t n = 0;
	FILE *line = open_memstream(&text, &n);

	if (!line)
		return;
	report_command_line(r, line);
	if (fclose(line) == 0)
		put_text(text, out);
	free(text);
}

static void put_run(const struct run_report *r, size_t i, FILE *out)
{
	const struct run_result *result = &r->runs[i].result;
	const struct measurement *m = &result->figures;

	if (r->name)
		put_text(r->name, out);
	fputc(',', out);
	put_command(r, out);
	fprintf(out, ",%zu,%d,", i + 1, result->status);
	if (result->units > 0)
		fprintf(out, "%.12g", result->units);
	put_micro(true, m->elapsed_ns / 1000, out);
	put_micro(true, m->asked_cpu_ns / 1000, out);
	for (int k = 0; k < SIDE_KINDS; k++) {
		const struct kind_figures *f = &m->kinds[k];

		fprintf(out, ",%s", quality_of(r->rig, m, (enum kind) k));
		put_energy(f->shared, f->asked, out);
		put_micro(f->idle_known, f->idle_uj, out);
		put_micro(f->known, f->other_uj, out);
		put_micro(f->shared, f->tool_uj, out);
	}
	put_energy(m->machine_known, m->machine, out);
	fputs("\r\n", out);
}

void export_csv(const struct run_set *set, FILE *out)
{
	put_head(out);
	for (size_t k = 0; k < set->n; k++)
		for (size_t i = 0; i < set->reports[k].n_runs; i++)
			put_run(&set->reports[k], i, out);
}
