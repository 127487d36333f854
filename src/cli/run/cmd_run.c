// SPDX-License-Identifier: MIT
/*
 * powermeasure run: what a command and everything that it starts uses.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/run/once.h"
#include "cli/run/all.h"
#include "util/parse.h"

#define MAX_RUNS 100000

/* A gigajoule. */
#define MAX_BUDGET_UJ UINT64_C(1000000000000000)

/* In millionths. */
#define MAX_UNITS UINT64_C(1000000000000000000)

#define DAY_NS (86400 * NS_PER_S)

/* ---- options ----------------------------------------------------------------------------- */

static int take_name(void *field, const char *name, char *ret_why, size_t why_size)
{
	struct run_plan *p = field;
	bool bad = *name == '\0';

	for (const char *c = name; *c; c++)
		bad |= iscntrl((unsigned char) *c) != 0;
	if (bad) {
		snprintf(ret_why, why_size, "empty, or not all of it can be shown: '%s'", name);
		return -EINVAL;
	}
	if (p->next_name) {
		snprintf(ret_why, why_size, "no command follows the name '%s'", p->next_name);
		return -EINVAL;
	}
	p->named = true;
	p->next_name = name;
	return 0;
}

enum { UNITS = 1 };

static const struct opt options[] = {
	OPT_NUMBER('r', "repeat", "N", struct run_plan, n_runs, opt_count, 1, MAX_RUNS,
		"run it N times; from the second on its input is /dev/null", .initial = "1"),
	OPT_FLAG('i', "ignore-failure", struct run_plan, ignore_failure,
		"go on although a run fails"),
	OPT_NUMBER('w', "warmup", "N", struct run_plan, n_warmups, opt_count, 0, MAX_RUNS,
		"run it N times before, without measuring"),
	OPT_NUMBER('I', "interval", "MS", struct run_plan, interval_ns, opt_milliseconds, NS_PER_MS,
		DAY_NS, "print a row every MS milliseconds while it runs"),
	OPT_TEXT('o', "output", "FILE", struct run_plan, output,
		"write the report into FILE instead of standard error; - is standard output"),
	OPT_FLAG(
		0, "json", struct run_plan, json, "print one JSON document (docs/run.schema.json)"),
	OPT_NUMBER(0, "units", "N", struct run_plan, units, opt_millionths, 1, MAX_UNITS,
		"divide by N units of work that each run does: joules per unit", .excludes = UNITS),
	OPT_TEXT(0, "units-regex", "RE", struct run_plan, units_regex,
		"look for RE in the command's output: the numbers in its first group are units; "
		"without a group each match is one",
		.excludes = UNITS),
	OPT_TEXT(0, "user", "NAME", struct run_plan, user,
		"run the command as this user (as root only)"),
	OPT_TEXT(0, "pre", "CMD", struct run_plan, pre, "run a shell command before each run"),
	OPT_TEXT(0, "post", "CMD", struct run_plan, post, "run a shell command after each run"),
	OPT_NUMBER(0, "cooldown", "SECONDS", struct run_plan, cooldown_ns, opt_seconds, 0, DAY_NS,
		"wait SECONDS between runs"),
	OPT_HEADING("Several commands, each one text for /bin/sh, run in turn and are compared"),
	OPT_CALL('n', "name", "NAME", take_name, "name the command that follows [its text]"),
	OPT_HEADING("Also"),
	OPT_TEXT(0, "export-json", "FILE", struct run_plan, exports[EXPORT_JSON].path,
		"write the document of --json into FILE, too; - is standard output"),
	OPT_TEXT(0, "export-csv", "FILE", struct run_plan, exports[EXPORT_CSV].path,
		"write a row a run into FILE, too"),
	OPT_TEXT(0, "export-markdown", "FILE", struct run_plan, exports[EXPORT_MARKDOWN].path,
		"write a table into FILE, too"),
	OPT_NUMBER(0, "max-joules", "JOULES", struct run_plan, max_uj, opt_joules, 1, MAX_BUDGET_UJ,
		"exit 3 if the mean run of a command uses more than JOULES"),
	CLI_SENSOR_ROWS(struct run_plan, sensors),
	OPT_END,
};

/* The second of two files of one name would be written over the first. */
static int check_exports(const struct run_plan *p)
{
	for (int i = 0; i < EXPORT_COUNT; i++) {
		const char *path = p->exports[i].path;
		bool twice = path && p->output && strcmp(path, p->output) == 0;

		for (int k = 0; path && k < i; k++)
			twice |= p->exports[k].path && strcmp(path, p->exports[k].path) == 0;
		if (twice && strncmp(path, "/dev/", 5) != 0)
			return cli_usage("run", "two reports would go into '%s'", path);
	}
	return CLI_DONE;
}

/* ---- commands ---------------------------------------------------------------------------- */

/* Two that are the same cannot be told apart in any report. */
static int check_names(const struct run_plan *p)
{
	for (size_t i = 0; i < p->n_commands; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(p->commands[i].name, p->commands[k].name) == 0)
				return cli_usage("run", "two commands have the name \"%s\"",
					p->commands[i].name);
	return CLI_DONE;
}

/* An operand in the form with names. */
static void add_shell_command(struct run_plan *p, char *text)
{
	static char shell[] = "/bin/sh", option[] = "-c";
	struct run_command *c = &p->commands[p->n_commands++];

	*c = (struct run_command) { .name = p->next_name ? p->next_name : text,
		.text = text,
		.shell = { shell, option, text, NULL } };
	c->argv = c->shell;
	p->next_name = NULL;
}

/* What is next is not an option: the one command, or one of several, or all of those that are left
 * where no more options come. */
static int take_commands(struct run_plan *p, struct opts *o)
{
	if (!p->named) {
		p->commands[0] = (struct run_command) { .argv = o->words + o->next };
		p->n_commands = 1;
		o->next = o->n_words;
		return CLI_DONE;
	}
	do {
		if (o->words[o->next][0] == '\0')
			return cli_usage("run", "a command is empty");
		add_shell_command(p, o->words[o->next++]);
	} while (o->ended && o->next < o->n_words);
	return CLI_DONE;
}

static int check_plan(const struct run_plan *p)
{
	int r;

	if (p->next_name)
		return cli_usage("run", "no command follows the name '%s'", p->next_name);
	if (p->n_commands == 0)
		return cli_usage("run", "the command is missing");
	r = p->named ? check_names(p) : CLI_DONE;
	return r == CLI_DONE ? check_exports(p) : r;
}

enum { RUN_ALL = -1 };

/* Returns RUN_ALL, or the exit status with which the program is to end. */
static int read_plan(struct run_plan *p, int argc, char **argv)
{
	struct opts o;
	bool go_on;

	opts_begin(&o, &command_run, argc, argv, p);
	while ((go_on = opts_take(&o)) && o.next < o.n_words)
		if (take_commands(p, &o) != CLI_DONE)
			return CLI_RUN_FAILED;
	if (!go_on || !opts_finish(&o))
		return o.status == CLI_DONE ? CLI_DONE : CLI_RUN_FAILED;
	return check_plan(p) == CLI_DONE ? RUN_ALL : CLI_RUN_FAILED;
}

static int run_run(int argc, char **argv)
{
	struct run_plan plan = { 0 };
	int status;

	plan.commands = calloc((size_t) argc, sizeof(*plan.commands));
	if (!plan.commands) {
		cli_fail("run", "no memory");
		return CLI_RUN_FAILED;
	}
	status = read_plan(&plan, argc, argv);
	if (status == RUN_ALL)
		status = runs_make(&plan);
	free(plan.commands);
	return status;
}

const struct cli_command command_run = {
	.name = "run",
	.summary = "run a command and show what it used",
	.usage = "run [OPTIONS] [--] COMMAND [ARGUMENTS]\n"
		 "run [OPTIONS] -n NAME 'COMMAND' [-n NAME 'COMMAND' ...]",
	.about = "Runs the command and shows the energy that it and everything it starts used, and "
		 "the whole machine's beside it. The command's input, output, signals and exit "
		 "status are its own. Phases that it marks are shown one by one (docs/phases.md).",
	.options = options,
	.status = "the command's, 128 + N if signal N killed it, 127 where there is no such "
		  "command, 126 where it cannot be executed, 125 where it was not run, 3 where it "
		  "is over budget, 4 where its bounds do not decide that",
	.run = run_run,
};
