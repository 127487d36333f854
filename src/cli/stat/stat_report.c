// SPDX-License-Identifier: MIT
/*
 * The summary of a stat, as text and as JSON.
 */
#include "cli/stat/stat.h"

#include <errno.h>
#include <string.h>

#include "util/jw.h"
#include "session/schema.h"

static void tell_text(struct stat_state *s, const struct measurement *m)
{
	fprintf(s->out, "\n%.3f s", (double) m->elapsed_ns / 1e9);
	if (s->n_whos)
		fprintf(s->out, ", CPU time of the targets %.3f s (%.2f CPUs)",
			(double) m->asked_cpu_ns / 1e9,
			m->elapsed_ns ? (double) m->asked_cpu_ns / (double) m->elapsed_ns : 0);
	fprintf(s->out, "\n\n");
	report_figures(m, s->n_whos ? "targets" : NULL, s->out);
	for (size_t i = 0; i < s->n_whos && s->n_whos > 1; i++) {
		struct measurement one;

		measurement_take_one(s->whole, i, &one);
		report_one(s->whos[i].pid, s->whos[i].name, &one, s->out);
	}
	report_phases(&s->phase_table, s->n_whos ? "targets" : NULL, s->out);
	fputc('\n', s->out);
	report_sources(s->instrument.rig, m, s->out);
	report_warnings(&s->warnings, s->out);
}

static void tell_json(struct stat_state *s, const struct measurement *m)
{
	struct buf b = BUF_INIT;
	struct jw j = JW_INIT(&b);

	jw_open(&j, '{');
	jw_kv_u64(&j, "schema_version", SCHEMA_REPORT);
	jw_kv_string(&j, "version", PM_VERSION);
	jw_kv_string(&j, "attribution", REPORT_ATTRIBUTION);
	jw_key(&j, "targets");
	jw_open(&j, '[');
	for (size_t i = 0; i < s->n_whos; i++) {
		struct measurement one;

		measurement_take_one(s->whole, i, &one);
		jw_open(&j, '{');
		if (s->whos[i].pid)
			jw_kv_i64(&j, "pid", s->whos[i].pid);
		else
			jw_kv_null(&j, "pid");
		jw_kv_string(&j, "name", s->whos[i].name);
		jw_kv_bool(&j, "ended", s->whos[i].ended);
		report_json_one(&j, &one);
		jw_close(&j, '}');
	}
	jw_close(&j, ']');
	report_json_figures(&j, s->instrument.rig, m, s->n_whos ? "targets" : NULL);
	report_json_sensors(&j, s->instrument.rig, m);
	report_json_rows(&j, s->kept, s->n_kept);
	phase_table_json(&j, &s->phase_table, "targets_energy_j");
	report_json_warnings(&j, &s->warnings);
	jw_close(&j, '}');
	fputs(buf_text(&b), s->out);
	fputc('\n', s->out);
	buf_finish(&b);
}

int stat_tell(struct stat_state *s)
{
	struct measurement m;

	measurement_take(s->whole, &m);
	if (s->plan->interval_ns)
		stat_end_row(s, true);
	warnings_judge(&s->warnings, s->instrument.rig, &m, s->plan->interval_ns);
	warnings_judge_idle(&s->warnings, &m);
	if (m.elapsed_ns >= NS_PER_S / 4 && m.asked_cpu_ns > m.capacity_ns + m.capacity_ns / 20)
		warnings_add(&s->warnings,
			"the targets used more CPU time than there was: some are in others, and their "
			"shares are too small");
	if (s->plan->json)
		tell_json(s, &m);
	else
		tell_text(s, &m);
	if ((fflush(s->out) != 0 || ferror(s->out)) && s->plan->output)
		return cli_fail("stat", "cannot write '%s': %s", s->plan->output, strerror(errno));
	return CLI_DONE;
}
