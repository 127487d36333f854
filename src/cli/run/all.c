// SPDX-License-Identifier: MIT
#include "cli/run/all.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "cli/compare/comparison.h"
#include "cli/instrument.h"
#include "cli/report/report.h"
#include "cli/run/once.h"

#define MAX_ROWS 1000000

/* The state while runs are made. */
struct runner {
	const struct run_plan *plan;
	struct instrument instrument;
	struct run_options run;
	struct run_signals signals;
	struct run_set set;
	struct run_report *report; /* on the command that runs */
	struct run_record *record; /* of the present run; NULL in a warm-up */
	FILE *out;
};

/* ---- one run ----------------------------------------------------------------------------- */

static void take_row(void *ctx, const struct run_row *row)
{
	struct runner *r = ctx;
	struct run_record *record = r->record;

	if (!record)
		return;
	if (!r->plan->json) {
		if (record->n_rows == 0 && r->report->name)
			fprintf(r->out, "%s\n", r->report->name);
		if (record->n_rows++ == 0)
			report_row_head(r->instrument.rig, "command", r->out);
		report_row(r->instrument.rig, row, true, r->out);
		return;
	}
	if (record->n_rows == record->cap_rows) {
		size_t cap = record->cap_rows ? record->cap_rows * 2 : 16;
		struct run_row *rows = cap > MAX_ROWS ? NULL
						      : realloc(record->rows, cap * sizeof(*rows));

		if (!rows) {
			warnings_add(&record->warnings,
				"there were too many intervals: later ones are not in the list");
			return;
		}
		record->rows = rows;
		record->cap_rows = cap;
	}
	record->rows[record->n_rows++] = *row;
}

static void note_left(struct run_record *record)
{
	const struct run_result *result = &record->result;

	for (size_t i = 0; i < result->n_left && i < RUN_MAX_LEFT; i++)
		warnings_add(&record->warnings,
			"the command left pid %d (%s) running: what it uses from now on is not "
			"counted",
			(int) result->left[i].pid, result->left[i].name);
	if (result->n_left > RUN_MAX_LEFT)
		warnings_add(&record->warnings, "the command left %zu more processes running",
			result->n_left - RUN_MAX_LEFT);
}

static void note_phases(struct runner *r, struct run_record *record)
{
	if (record->result.no_phases[0])
		warnings_add(&record->warnings, "phases could not be marked: %s",
			record->result.no_phases);
	if (phase_table_add(&r->report->phases, &record->result.phases) < 0)
		warnings_add(&record->warnings, "out of memory for phases");
	report_phases_warnings(&record->warnings, &record->result.phases);
}

/* Returns 0, or the status with which the program is to end. */
static int shell(const struct runner *r, const char *what, const char *text)
{
	int status;

	if (!text)
		return 0;
	status = run_shell(&r->run, text);
	if (status == 0)
		return 0;
	if (status < 0)
		cli_fail("run", "--%s: \"%s\": %s", what, text, strerror(-status));
	else
		cli_fail("run", "--%s: \"%s\" failed (%s %d)", what, text,
			WIFSIGNALED(status) ? "signal" : "status",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return CLI_RUN_FAILED;
}

/* *ret_status: the command's. */
static int do_run(struct runner *r, struct run_record *record, int *ret_status)
{
	struct run_result scratch = { 0 }, *result = record ? &record->result : &scratch;
	int status = shell(r, "pre", r->plan->pre);

	r->record = record;
	if (status == 0 && r->run.units && units_prepare(r->run.units) < 0) {
		cli_fail("run", "no pipe for the command's output: %s", strerror(errno));
		status = CLI_RUN_FAILED;
	}
	if (status == 0)
		status = run_once(&r->run, &r->instrument, result);
	if (!record)
		phase_table_finish(&result->phases);
	if (status != 0)
		return status;
	r->run.no_stdin = true;
	if (!r->run.units)
		result->units = (double) r->plan->units / 1e6;
	if (record) {
		note_left(record);
		note_phases(r, record);
		warnings_judge(&record->warnings, r->instrument.rig, &result->figures,
			r->plan->interval_ns);
		r->report->n_runs++;
	}
	*ret_status = result->status;
	/* If this fails, the run has been measured all the same. */
	return shell(r, "post", r->plan->post);
}

enum { GO_ON = -1 };

/* Makes the run of a command in a turn: warm-ups come first. Returns GO_ON, or the status with
 * which no more are made: 0 where the command's own says why. */
static int do_turn(struct runner *r, size_t command, uint64_t turn)
{
	const struct run_plan *p = r->plan;
	struct run_report *report = &r->set.reports[command];
	struct run_record *record = turn < p->n_warmups ? NULL : &report->runs[turn - p->n_warmups];
	bool last = turn + 1 == p->n_warmups + p->n_runs && command + 1 == p->n_commands;
	int status, own = 0;

	r->report = report;
	r->run.argv = report->argv;
	if ((turn > 0 || command > 0) && !run_pause(&r->run, p->cooldown_ns)) {
		warnings_add(&report->warnings, "a signal ended it before all runs were made");
		return r->set.exit_status ? 0 : 128 + r->signals.ended_by;
	}
	status = do_run(r, record, &own);
	if (!report->exit_status)
		report->exit_status = own;
	if (!r->set.exit_status)
		r->set.exit_status = own;
	if (status != 0)
		return status;
	if (own == 0 || p->ignore_failure)
		return GO_ON;
	if (!last)
		warnings_add(&report->warnings,
			"%s %" PRIu64 " failed with status %d: no more were made (-i goes on)",
			record ? "run" : "warm-up", turn + 1, own);
	return 0;
}

/* In turn, so that whatever changes meanwhile changes for all commands alike. Returns 0, or the
 * status of a failure of our own; the commands' are in the reports. */
static int do_all_runs(struct runner *r)
{
	int status = GO_ON;

	for (uint64_t i = 0; status == GO_ON && i < r->plan->n_warmups + r->plan->n_runs; i++)
		for (size_t k = 0; status == GO_ON && k < r->plan->n_commands; k++)
			status = do_turn(r, k, i);
	return status == GO_ON ? 0 : status;
}

/* ---- all of it --------------------------------------------------------------------------- */

/* Each run says how busy others kept the machine; of all of them the worst is enough. */
static void gather_idle(struct run_report *report)
{
	struct warnings one = { 0 };
	double most = 0;

	for (size_t i = 0; i < report->n_runs; i++) {
		struct run_record *run = &report->runs[i];
		double cpus = warnings_judge_idle(&run->warnings, &run->result.figures);

		if (cpus <= most)
			continue;
		most = cpus;
		one.n = 0;
		warnings_judge_idle(&one, &run->result.figures);
	}
	if (one.n > 0)
		warnings_add(&report->warnings, "%s%s", one.text[0],
			report->n_runs > 1 ? " at worst" : "");
}

static void gather_warnings(struct runner *r, struct run_report *report)
{
	for (size_t i = 0; i < report->n_runs; i++)
		for (size_t k = 0; k < report->runs[i].warnings.n; k++)
			warnings_add(&report->warnings, "%s", report->runs[i].warnings.text[k]);
	gather_idle(report);
	if (r->run.units && report->n_runs && report->units <= 0)
		warnings_add(&report->warnings,
			"--units-regex: the command's output has nothing that matches");
}

/* Adds up the runs that are counted. One that was cut short, or of which energy is missing, would make the
 * mean smaller than it is: where there are others it is left out. */
static void add_up(struct run_report *report)
{
	size_t n = 0;

	for (size_t i = 0; i < report->n_runs; i++)
		n += run_counts(&report->runs[i].result);
	if (n < report->n_runs && report->n_runs > 1)
		warnings_add(&report->warnings,
			"%zu of %zu runs are not in the statistics: cut short, or energy of them is missing",
			report->n_runs - n, report->n_runs);
	for (size_t i = 0; i < report->n_runs; i++) {
		const struct run_result *result = &report->runs[i].result;

		if (n > 0 && !run_counts(result))
			continue;
		measurement_add(&report->total, &result->figures);
		report->units += result->units;
		report->n_counted++;
	}
}

/* The command's energy, between which bounds it is. What cannot be shared out may be all the command's, or
 * nothing of it. Returns false where nothing is known. */
static bool budget_bounds(struct run_report *report, struct energy *ret)
{
	const struct measurement *m = &report->total;
	bool known = false;

	*ret = (struct energy) { 0 };
	for (int k = 0; k < SIDE_KINDS; k++) {
		known |= m->kinds[k].shared;
		if (m->kinds[k].shared) {
			energy_add(ret, m->kinds[k].asked);
		} else if (m->kinds[k].known) {
			ret->high_uj += m->kinds[k].whole.high_uj;
			warnings_add(&report->warnings,
				"--max-joules: %s is left out: the command's part of it is not known",
				kind_title((enum kind) k));
		}
	}
	return known;
}

/* Whether the mean run kept to --max-joules, by the bounds of its energy. Returns 0, CLI_OVER or
 * CLI_UNDECIDED. */
static int judge_budget(struct run_report *report, uint64_t max_uj)
{
	double n = (double) report->n_counted, most_uj = (double) max_uj * n;
	struct energy e;

	if (!max_uj || report->n_runs == 0)
		return 0;
	report->verdict = "undecided";
	if (!budget_bounds(report, &e)) {
		warnings_add(&report->warnings,
			"--max-joules: cannot be decided: no energy of the command is known");
		return CLI_UNDECIDED;
	}
	if ((double) e.low_uj > most_uj) {
		report->verdict = "over";
		warnings_add(&report->warnings,
			"over budget: the mean run used %.4g J, and --max-joules allows %.4g J",
			(double) e.uj / 1e6 / n, (double) max_uj / 1e6);
		return CLI_OVER;
	}
	if ((double) e.high_uj > most_uj) {
		warnings_add(&report->warnings,
			"--max-joules: cannot be decided: the mean run used %.4g to %.4g J, and %.4g J are "
			"allowed",
			(double) e.low_uj / 1e6 / n, (double) e.high_uj / 1e6 / n,
			(double) max_uj / 1e6);
		return CLI_UNDECIDED;
	}
	report->verdict = "within";
	return 0;
}

/* Returns 0, or CLI_RUN_FAILED after saying why. */
static int print_report(const struct runner *r)
{
	if (r->plan->json)
		export_json(&r->set, r->out);
	else if (r->set.named)
		report_set_text(&r->set, r->out);
	else
		report_runs_text(&r->set.reports[0], r->out);
	if ((fflush(r->out) == 0 && !ferror(r->out)) || !r->plan->output)
		return 0;
	cli_fail("run", "%s cannot be written: %s", r->plan->output, strerror(errno));
	return CLI_RUN_FAILED;
}

/* Returns the status of what is wrong with the figures, or with telling them. */
static int finish_report(struct runner *r, struct run_plan *p)
{
	struct comparison comparison = { 0 };
	int over = 0;
	bool any = false;

	for (size_t i = 0; i < r->set.n; i++) {
		int judged;

		any |= r->set.reports[i].n_runs > 0;

		add_up(&r->set.reports[i]);
		gather_warnings(r, &r->set.reports[i]);
		judged = judge_budget(&r->set.reports[i], p->max_uj);
		/* One that is surely over decides for all. */
		if (judged == CLI_OVER || over == 0)
			over = judged;
	}
	if (r->set.n > 1) {
		if (comparison_make(&comparison, &r->set) == 0)
			r->set.comparison = &comparison;
		else
			warnings_add(&r->set.warnings, "no memory for comparing the commands");
	}
	if (print_report(r) != 0)
		over = CLI_RUN_FAILED;
	/* What stands in the files is worth more than a document without a run. */
	if (any && export_write(p->exports, &r->set) < 0)
		over = CLI_RUN_FAILED;
	comparison_finish(&comparison);
	return over;
}

static int make_reports(struct runner *r, const struct run_plan *p)
{
	r->set = (struct run_set) { .rig = r->instrument.rig,
		.named = p->commands[0].name != NULL };
	r->set.reports = calloc(p->n_commands, sizeof(*r->set.reports));
	for (size_t i = 0; r->set.reports && i < p->n_commands; i++, r->set.n++) {
		r->set.reports[i] = (struct run_report) { .rig = r->instrument.rig,
			.name = p->commands[i].name,
			.text = p->commands[i].text,
			.argv = p->commands[i].argv,
			.runs = calloc(p->n_runs, sizeof(*r->set.reports[i].runs)) };
		if (!r->set.reports[i].runs)
			break;
	}
	if (r->set.n == p->n_commands)
		return 0;
	cli_fail("run", "no memory for %llu runs", (unsigned long long) p->n_runs);
	return CLI_RUN_FAILED;
}

static void free_reports(struct runner *r, const struct run_plan *p)
{
	for (size_t i = 0; i < r->set.n; i++) {
		for (size_t k = 0; k < p->n_runs; k++) {
			free(r->set.reports[i].runs[k].rows);
			phase_table_finish(&r->set.reports[i].runs[k].result.phases);
		}
		phase_table_finish(&r->set.reports[i].phases);
		free(r->set.reports[i].runs);
	}
	free(r->set.reports);
}

static int run_all(struct runner *r, struct run_plan *p)
{
	bool any = false;
	int status = make_reports(r, p), over = 0;

	if (status != 0)
		return status;
	status = run_hold_signals(&r->signals);
	if (status < 0) {
		cli_fail("run", "cannot create signalfd: %s", strerror(-status));
		return CLI_RUN_FAILED;
	}
	r->run.user = p->user;
	r->run.interval_ns = p->interval_ns;
	r->run.signals = &r->signals;
	r->run.row = take_row;
	r->run.ctx = r;
	if (p->output && cli_empty_file(p->output, r->out) < 0) {
		cli_fail("run", "-o %s: %s; the command was not run", p->output, strerror(errno));
		run_signals_finish(&r->signals);
		return CLI_RUN_FAILED;
	}
	status = do_all_runs(r);
	for (size_t i = 0; i < r->set.n; i++)
		any |= r->set.reports[i].n_runs > 0;
	/* What was measured is told, also if a later run could not be made. */
	if (status == 0 || any)
		over = finish_report(r, p);
	run_signals_finish(&r->signals);
	if (status == 0)
		status = r->set.exit_status;
	return status ? status : over;
}

int runs_make(struct run_plan *p)
{
	struct runner r = { .plan = p, .out = stderr };
	char why[128];
	int status = 0;

	if (p->output) {
		r.out = cli_open_output(p->output);
		if (!r.out) {
			cli_fail("run", "-o %s: %s; the command was not run", p->output,
				strerror(errno));
			return CLI_RUN_FAILED;
		}
	}
	if (export_open(p->exports) < 0 ||
		instrument_open(&r.instrument, "run", &p->sensors) != CLI_DONE)
		status = CLI_RUN_FAILED;
	if (status == 0 && p->units_regex &&
		units_create(&r.run.units, p->units_regex, why, sizeof(why)) < 0) {
		cli_usage("run", "--units-regex: \"%s\": %s", p->units_regex, why);
		status = CLI_RUN_FAILED;
	}
	if (status == 0)
		status = run_all(&r, p);
	free_reports(&r, p);
	units_destroy(r.run.units);
	instrument_close(&r.instrument);
	export_close(p->exports);
	if (p->output)
		fclose(r.out);
	return status;
}
