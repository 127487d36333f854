// SPDX-License-Identifier: MIT
/*
 * powermeasure run: what a command and everything that it starts uses.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/engine.h"
#include "cli/report.h"
#include "cli/run.h"
#include "util/cleanup.h"
#include "util/parse.h"

#define MAX_RUNS 100000
#define MAX_ROWS 1000000

enum {
	OPT_JSON = CLI_OPT_NEXT,
	OPT_USER,
	OPT_UNITS,
	OPT_UNITS_REGEX,
	OPT_PRE,
	OPT_POST,
	OPT_COOLDOWN,
};

static const struct option options[] = {
	CLI_SENSOR_OPTIONS,
	{ "help", no_argument, NULL, 'h' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "output", required_argument, NULL, 'o' },
	{ "repeat", required_argument, NULL, 'r' },
	{ "ignore-failure", no_argument, NULL, 'i' },
	{ "warmup", required_argument, NULL, 'w' },
	{ "interval", required_argument, NULL, 'I' },
	{ "user", required_argument, NULL, OPT_USER },
	{ "units", required_argument, NULL, OPT_UNITS },
	{ "units-regex", required_argument, NULL, OPT_UNITS_REGEX },
	{ "pre", required_argument, NULL, OPT_PRE },
	{ "post", required_argument, NULL, OPT_POST },
	{ "cooldown", required_argument, NULL, OPT_COOLDOWN },
	{ 0 },
};

static const char help[] =
	"usage: powermeasure run [OPTIONS] [--] COMMAND [ARGUMENTS]\n"
	"\n"
	"Runs the command and tells the energy that it and everything it starts used, and the whole\n"
	"machine's beside it. The command's input, output, signals and exit status are its own.\n"
	"\n"
	"  -r, --repeat N     run it N times; from the second on its input is /dev/null\n"
	"  -i, --ignore-failure\n"
	"                     go on although a run fails\n"
	"  -w, --warmup N     N runs before, which are not measured\n"
	"  -I, --interval MS  a row each MS milliseconds while it runs\n"
	"  -o, --output FILE  write the report into FILE instead of standard error\n"
	"      --json         one JSON document (docs/run.schema.json)\n"
	"      --units N      each run does N units of work: joules per unit\n"
	"      --units-regex RE\n"
	"                     a pattern for the command's output: the numbers in its first group\n"
	"                     are units; without a group each match is one\n"
	"      --user NAME    run the command as this user (as root only)\n"
	"      --pre CMD      a shell command before each run, --post CMD: after it\n"
	"      --cooldown S   wait S seconds between runs\n"
	"\n" CLI_SENSOR_HELP "\n"
	"Exits with the command's status, 128 + N if signal N killed it, 127 where there is no such\n"
	"command, 126 where it cannot be executed, 125 where it was not run.\n";

struct plan {
	struct cli_sensors sensors;
	char *const *argv;
	uint64_t n_runs;
	uint64_t n_warmups;
	uint64_t interval_ns;
	uint64_t cooldown_ns;
	uint64_t units; /* in millionths, of each run */
	const char *units_regex;
	const char *user;
	const char *pre;
	const char *post;
	const char *output;
	bool ignore_failure;
	bool json;
};

/* The state while runs are made. */
struct runner {
	const struct plan *plan;
	struct engine engine;
	struct run_options run;
	struct run_signals signals;
	struct run_report report;
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
		if (record->n_rows++ == 0)
			report_row_head(r->engine.rig, "command", r->out);
		report_row(r->engine.rig, row, true, r->out);
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
	if (phase_report_add(&r->report.phases, &record->result.phases) < 0)
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
	return RUN_FAILED;
}

static int do_run(struct runner *r, struct run_record *record)
{
	struct run_result scratch, *result = record ? &record->result : &scratch;
	int status = shell(r, "pre", r->plan->pre);

	r->record = record;
	if (status == 0 && r->run.units && units_prepare(r->run.units) < 0) {
		cli_fail("run", "no pipe for the command's output: %s", strerror(errno));
		status = RUN_FAILED;
	}
	if (status == 0)
		status = run_once(&r->run, &r->engine, result);
	if (!record && status == 0)
		phase_report_finish(&scratch.phases);
	if (status != 0)
		return status;
	r->run.no_stdin = true;
	if (record) {
		note_left(record);
		note_phases(r, record);
		warnings_judge(
			&record->warnings, r->engine.rig, &result->figures, r->plan->interval_ns);
		measurement_add(&r->report.total, &result->figures);
		r->report.units += r->run.units ? result->units : (double) r->plan->units / 1e6;
		r->report.n_runs++;
	}
	r->report.exit_status = result->status;
	/* If this fails, the run has been measured all the same. */
	return shell(r, "post", r->plan->post);
}

/* Returns 0, or the status of a failure of our own; the command's is in the report. */
static int do_all_runs(struct runner *r)
{
	const struct plan *p = r->plan;
	uint64_t total = p->n_warmups + p->n_runs;
	int first_failure = 0, status = 0;

	for (uint64_t i = 0; i < total; i++) {
		struct run_record *record = i < p->n_warmups ? NULL
							     : &r->report.runs[i - p->n_warmups];

		if (i > 0 && !run_pause(&r->run, p->cooldown_ns)) {
			warnings_add(
				&r->report.warnings, "a signal ended it before all runs were made");
			if (!first_failure)
				status = 128 + r->signals.ended_by;
			break;
		}
		status = do_run(r, record);
		if (status != 0)
			break;
		if (r->report.exit_status && !first_failure)
			first_failure = r->report.exit_status;
		if (r->report.exit_status && !p->ignore_failure) {
			if (i + 1 < total)
				warnings_add(&r->report.warnings,
					"%s %llu failed with status %d: no more were made (-i goes "
					"on)",
					record ? "run" : "warm-up", (unsigned long long) (i + 1),
					r->report.exit_status);
			break;
		}
	}
	r->report.exit_status = first_failure;
	return status;
}

/* ---- all of it --------------------------------------------------------------------------- */

static void finish_report(struct runner *r)
{
	for (size_t i = 0; i < r->report.n_runs; i++)
		for (size_t k = 0; k < r->report.runs[i].warnings.n; k++)
			warnings_add(&r->report.warnings, "%s", r->report.runs[i].warnings.text[k]);
	if (r->run.units && r->report.n_runs && r->report.units <= 0)
		warnings_add(&r->report.warnings,
			"--units-regex: the command's output has nothing that matches");
	if (r->plan->json)
		report_runs_json(&r->report, r->out);
	else
		report_runs_text(&r->report, r->out);
	if ((fflush(r->out) != 0 || ferror(r->out)) && r->plan->output)
		cli_fail("run", "%s cannot be written: %s", r->plan->output, strerror(errno));
}

static int run_all(struct runner *r, const struct plan *p)
{
	int status;

	r->report.runs = calloc(p->n_runs, sizeof(*r->report.runs));
	if (!r->report.runs) {
		cli_fail("run", "no memory for %llu runs", (unsigned long long) p->n_runs);
		return RUN_FAILED;
	}
	status = run_hold_signals(&r->signals);
	if (status < 0) {
		cli_fail("run", "signals cannot be waited for: %s", strerror(-status));
		return RUN_FAILED;
	}
	r->run.argv = p->argv;
	r->run.user = p->user;
	r->run.interval_ns = p->interval_ns;
	r->run.signals = &r->signals;
	r->run.row = take_row;
	r->run.ctx = r;
	r->report.rig = r->engine.rig;
	r->report.argv = p->argv;
	status = do_all_runs(r);
	/* What was measured is told, also if a later run could not be made. */
	if (status == 0 || r->report.n_runs > 0)
		finish_report(r);
	run_signals_finish(&r->signals);
	return status ? status : r->report.exit_status;
}

static int run(struct plan *p)
{
	struct runner r = { .plan = p, .out = stderr };
	char why[128];
	int status;

	if (p->output) {
		r.out = fopen(p->output, "we");
		if (!r.out) {
			cli_fail("run", "-o %s: %s; the command was not run", p->output,
				strerror(errno));
			return RUN_FAILED;
		}
	}
	status = engine_open(&r.engine, "run", &p->sensors) == CLI_DONE ? 0 : RUN_FAILED;
	if (status == 0 && p->units_regex &&
		units_create(&r.run.units, p->units_regex, why, sizeof(why)) < 0) {
		cli_usage("run", "--units-regex: \"%s\": %s", p->units_regex, why);
		status = RUN_FAILED;
	}
	if (status == 0)
		status = run_all(&r, p);
	for (size_t i = 0; r.report.runs && i < p->n_runs; i++) {
		free(r.report.runs[i].rows);
		phase_report_finish(&r.report.runs[i].result.phases);
	}
	phase_report_finish(&r.report.phases);
	free(r.report.runs);
	units_destroy(r.run.units);
	engine_close(&r.engine);
	if (p->output)
		fclose(r.out);
	return status;
}

/* ---- options ----------------------------------------------------------------------------- */

static int take_count(const char *option, const char *text, uint64_t least, uint64_t *ret)
{
	if (parse_u64(text, ret) < 0 || *ret < least || *ret > MAX_RUNS)
		return cli_usage("run", "%s: \"%s\" is not a number from %llu to %d", option, text,
			(unsigned long long) least, MAX_RUNS);
	return CLI_DONE;
}

static int take_option(struct plan *p, int option, const char *argument)
{
	uint64_t number;

	switch (option) {
	case OPT_JSON:
		p->json = true;
		return CLI_DONE;
	case 'o':
		p->output = argument;
		return CLI_DONE;
	case 'i':
		p->ignore_failure = true;
		return CLI_DONE;
	case 'r':
		return take_count("-r", argument, 1, &p->n_runs);
	case 'w':
		return take_count("-w", argument, 0, &p->n_warmups);
	case 'I':
		if (parse_u64(argument, &number) < 0 || number < 1 || number > 86400000)
			return cli_usage("run", "-I: \"%s\" is not 1 to 86400000 ms", argument);
		p->interval_ns = number * NS_PER_MS;
		return CLI_DONE;
	case OPT_USER:
		p->user = argument;
		return CLI_DONE;
	case OPT_UNITS:
		if (parse_fixed(argument, 6, &p->units) < 0 || p->units == 0)
			return cli_usage("run", "--units: \"%s\" is no number above 0", argument);
		return CLI_DONE;
	case OPT_UNITS_REGEX:
		p->units_regex = argument;
		return CLI_DONE;
	case OPT_PRE:
		p->pre = argument;
		return CLI_DONE;
	case OPT_POST:
		p->post = argument;
		return CLI_DONE;
	case OPT_COOLDOWN:
		if (parse_fixed(argument, 9, &p->cooldown_ns) < 0 ||
			p->cooldown_ns > 86400 * NS_PER_S)
			return cli_usage(
				"run", "--cooldown: \"%s\" is no number of seconds", argument);
		return CLI_DONE;
	case CLI_OPT_BAD:
		return CLI_USAGE;
	}
	return cli_take_sensor_option(&p->sensors, "run", option, argument);
}

int cmd_run(int argc, char **argv)
{
	struct plan plan = { .n_runs = 1 };
	int option;

	while ((option = cli_next_option("run", argc, argv, "+:hio:r:w:I:", options)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return CLI_DONE;
		}
		if (take_option(&plan, option, optarg) != CLI_DONE)
			return RUN_FAILED;
	}
	if (plan.units && plan.units_regex) {
		cli_usage("run", "--units and --units-regex exclude each other");
		return RUN_FAILED;
	}
	if (optind == argc) {
		cli_usage("run", "no command is given");
		return RUN_FAILED;
	}
	plan.argv = argv + optind;
	return run(&plan);
}
