// SPDX-License-Identifier: MIT
/*
 * Phases, for people.
 */
#include "cli/report/report.h"
#include "util/format.h"

/* One figure of a phase, with its bounds; or these alone, where they are all that is known. */
static void print_energy(const char *what, const struct phase_energy *e, uint64_t count, FILE *out)
{
	char uj[32], low[32], high[32], each[32];

	format_micro(e->energy.uj, uj, sizeof(uj));
	format_micro(e->energy.low_uj, low, sizeof(low));
	format_micro(e->energy.high_uj, high, sizeof(high));
	format_micro(count ? e->energy.uj / count : 0, each, sizeof(each));
	fprintf(out, "    %-18s", what);
	if (phase_is_too_short(e))
		fprintf(out, "too short for the sensor: %s to %s J", low, high);
	else
		fprintf(out, "%s J (%s to %s J), %s J each", uj, low, high, each);
	fprintf(out, "%s\n", e->flags & FLAG_ESTIMATED ? ", ESTIMATED" : "");
}

void report_phases(const struct phase_table *r, const char *asked, FILE *out)
{
	if (r->n == 0)
		return;
	fprintf(out, "\nphases%34s%12s%14s\n", "count", "s", "s each");
	for (size_t i = 0; i < r->n; i++) {
		const struct phase_line *line = &r->lines[i];

		fprintf(out, "  %-32s%6llu%12.6f%14.6f\n", line->name,
			(unsigned long long) line->count, (double) line->on_ns / 1e9,
			(double) line->sum_ns / 1e9 / (double) line->count);
		for (int k = 0; k < KIND_COUNT; k++) {
			char what[48];

			if (asked && line->targets[k].known) {
				snprintf(what, sizeof(what), "%s, %s", asked,
					kind_title((enum kind) k));
				print_energy(what, &line->targets[k], line->count, out);
			}
			if (!line->whole[k].known)
				continue;
			snprintf(what, sizeof(what), "whole %s", kind_title((enum kind) k));
			print_energy(what, &line->whole[k], line->count, out);
		}
	}
}

void report_phases_warnings(struct warnings *w, const struct phase_table *r)
{
	char sentences[PHASE_TABLE_SENTENCES][256];
	size_t n = phase_table_troubles(r, sentences);

	for (size_t i = 0; i < n; i++)
		warnings_add(w, "%s", sentences[i]);
}
