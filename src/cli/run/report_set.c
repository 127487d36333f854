// SPDX-License-Identifier: MIT
/*
 * The report on commands that were run in turn.
 */
#include <string.h>

#include "cli/compare/comparison.h"
#include "cli/report/report.h"
#include "util/jw.h"

static bool has_warning(const struct warnings *w, const char *text)
{
	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->text[i], text) == 0)
			return true;
	return false;
}

/* What is to be said of all commands is said once. */
static void print_warnings(const struct run_set *set, FILE *out)
{
	for (size_t k = 0; k < set->n; k++) {
		const struct warnings *w = &set->reports[k].warnings;

		for (size_t i = 0; i < w->n; i++) {
			size_t n = 0;

			for (size_t other = 0; other < set->n; other++)
				n += has_warning(&set->reports[other].warnings, w->text[i]);
			if (n == set->n && k == 0)
				fprintf(out, "warning: %s\n", w->text[i]);
			else if (n < set->n)
				fprintf(out, "warning: %s: %s\n", set->reports[k].name, w->text[i]);
		}
	}
	report_warnings(&set->warnings, out);
}

void report_set_text(const struct run_set *set, FILE *out)
{
	for (size_t i = 0; i < set->n; i++) {
		const struct run_report *r = &set->reports[i];

		report_command_text(r, out);
		if (r->n_runs > 0) {
			fputc('\n', out);
			report_sources(set->rig, &r->total, out);
		}
	}
	if (set->comparison)
		comparison_text(set->comparison, out);
	fputc('\n', out);
	print_warnings(set, out);
}

static void put_command(struct jw *j, const struct run_report *r)
{
	jw_open(j, '{');
	jw_kv_string(j, "name", r->name);
	report_json_command(j, r);
	report_json_figures(j, r->rig, &r->total, "command");
	report_json_runs(j, r);
	jw_close(j, '}');
}

void report_set_json(const struct run_set *set, FILE *out)
{
	static const struct comparison none;
	struct measurement all = { 0 };
	struct buf b = BUF_INIT;
	struct jw j = JW_INIT(&b);

	for (size_t i = 0; i < set->n; i++)
		measurement_add(&all, &set->reports[i].total);
	jw_open(&j, '{');
	report_json_head(&j);
	jw_kv_i64(&j, "exit_status", set->exit_status);
	jw_kv_string(&j, "attribution", REPORT_ATTRIBUTION);
	report_json_sensors(&j, set->rig, &all);
	report_json_scales(&j, set->rig, &all);
	jw_key(&j, "commands");
	jw_open(&j, '[');
	for (size_t i = 0; i < set->n; i++)
		put_command(&j, &set->reports[i]);
	jw_close(&j, ']');
	comparison_json(&j, set->comparison ? set->comparison : &none);
	report_json_warnings(&j, &set->warnings);
	jw_close(&j, '}');
	report_json_print(&b, out);
	buf_finish(&b);
}
