// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>

#include "cli/compare/comparison.h"
#include "cli/run/export.h"
#include "cli/compare/spread.h"

/* As code in a table's cell: there a bar and a line's end have to be something else, and a backtick
 * would end it. */
static void put_code(const char *text, FILE *out)
{
	bool ticks = strchr(text, '`') != NULL;

	fputs(ticks ? "`` " : "`", out);
	for (; *text; text++) {
		if (*text == '|')
			fputs("\\|", out);
		else
			fputc((unsigned char) *text < ' ' ? ' ' : *text, out);
	}
	fputs(ticks ? " ``" : "`", out);
}

static void put_name(const struct run_report *r, FILE *out)
{
	char *text = NULL;
	size_t n = 0;
	FILE *line;

	if (r->name) {
		put_code(r->name, out);
		return;
	}
	line = open_memstream(&text, &n);
	if (!line)
		return;
	report_command_line(r, line);
	if (fclose(line) == 0)
		put_code(text, out);
	free(text);
}

/* The kinds that are known of every run of all commands. */
static uint32_t kinds_of(const struct run_set *set, uint32_t *ret_estimated)
{
	uint32_t kinds = KIND_BIT(SIDE_KINDS) - 1;

	*ret_estimated = 0;
	for (size_t i = 0; i < set->n; i++) {
		const struct run_report *r = &set->reports[i];

		for (size_t k = 0; k < r->n_runs; k++)
			for (int kind = 0; kind < SIDE_KINDS; kind++) {
				const struct kind_figures *f =
					&r->runs[k].result.figures.kinds[kind];

				if (!f->shared)
					kinds &= ~KIND_BIT(kind);
				if (f->flags & FLAG_ESTIMATED)
					*ret_estimated |= KIND_BIT(kind);
			}
	}
	*ret_estimated &= kinds;
	return kinds;
}

static void put_energy(const struct run_report *r, uint32_t kinds, FILE *out)
{
	double *values = calloc(r->n_runs ? r->n_runs : 1, sizeof(*values));
	struct spread s;
	size_t n = 0;

	for (size_t i = 0; values && i < r->n_runs; i++) {
		const struct run_result *run = &r->runs[i].result;

		if (r->n_counted < r->n_runs && !run_counts(run))
			continue;
		for (int k = 0; k < SIDE_KINDS; k++)
			if (kinds & KIND_BIT(k))
				values[n] += (double) run->figures.kinds[k].asked.uj / 1e6;
		n++;
	}
	if (n > 0 && kinds) {
		spread_over(values, n, &s);
		if (n > 1)
			fprintf(out, " %.4g ± %.2g | %.4g | %.4g |", s.mean, s.sigma, s.min, s.max);
		else
			fprintf(out, " %.4g | %.4g | %.4g |", s.mean, s.min, s.max);
	} else {
		fputs(" - | - | - |", out);
	}
	free(values);
}

static void put_row(const struct run_set *set, size_t i, uint32_t kinds, FILE *out)
{
	const struct comparison *c = set->comparison;
	const struct run_report *r = &set->reports[i];
	char text[64] = "-";
	struct spread s;

	fputs("| ", out);
	put_name(r, out);
	fprintf(out, " | %zu |", r->n_runs);
	put_energy(r, kinds, out);
	if (spread_of(r, SPREAD_ELAPSED, KIND_CPU, &s))
		fprintf(out, " %.3f |", s.mean);
	else
		fputs(" - |", out);
	if (!c) {
		fputc('\n', out);
		return;
	}
	if (c->known && i == c->base)
		snprintf(text, sizeof(text), "1.00");
	else if (c->known && c->ratios[i].known)
		comparison_format(&c->ratios[i], "±", text, sizeof(text));
	fprintf(out, " %s |\n", text);
}

void export_markdown(const struct run_set *set, FILE *out)
{
	uint32_t estimated, kinds = kinds_of(set, &estimated);
	char names[64];

	comparison_kinds(kinds, names, sizeof(names));
	fprintf(out, "| Command | Runs | %s [J] | Min [J] | Max [J] | Time [s] |%s\n",
		kinds ? names : "Energy", set->comparison ? " Relative |" : "");
	fprintf(out, "|:---|---:|---:|---:|---:|---:|%s\n", set->comparison ? "---:|" : "");
	for (size_t i = 0; i < set->n; i++)
		put_row(set, i, kinds, out);
	comparison_kinds(estimated, names, sizeof(names));
	if (estimated)
		fprintf(out, "\n%s: ESTIMATED by a model, not measured.\n", names);
}
