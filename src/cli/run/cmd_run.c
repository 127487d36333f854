// SPDX-License-Identifier: MIT
/*
 * powermeasure run: what a command and everything that it starts uses.
 */
#include <ctype.h>
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

enum {
	OPT_JSON = CLI_OPT_NEXT,
	OPT_USER,
	OPT_UNITS,
	OPT_UNITS_REGEX,
	OPT_PRE,
	OPT_POST,
	OPT_COOLDOWN,
	OPT_EXPORT_JSON,
	OPT_EXPORT_CSV,
	OPT_EXPORT_MARKDOWN,
	OPT_MAX_JOULES,
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
	{ "name", required_argument, NULL, 'n' },
	{ "export-json", required_argument, NULL, OPT_EXPORT_JSON },
	{ "export-csv", required_argument, NULL, OPT_EXPORT_CSV },
	{ "export-markdown", required_argument, NULL, OPT_EXPORT_MARKDOWN },
	{ "max-joules", required_argument, NULL, OPT_MAX_JOULES },
	{ 0 },
};

static const char help[] =
	"usage: powermeasure run [OPTIONS] [--] COMMAND [ARGUMENTS]\n"
	"       powermeasure run [OPTIONS] -n NAME 'COMMAND' [-n NAME 'COMMAND' ...]\n"
	"\n"
	"Runs the command and tells the energy that it and everything it starts used, and the whole\n"
	"machine's beside it. The command's input, output, signals and exit status are its own.\n"
	"Phases that it marks are told one by one (docs/phases.md).\n"
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
	"\n"
	"Several commands, each one text for /bin/sh, run in turn and are compared:\n"
	"  -n, --name NAME    the name of the command that follows (without one: its text)\n"
	"\n"
	"Also:\n"
	"      --export-json FILE, --export-csv FILE, --export-markdown FILE\n"
	"                     write a document, a row a run, or a table into FILE, too\n"
	"      --max-joules J exit 3 if the mean run of a command uses more than J joules\n"
	"\n" CLI_SENSOR_HELP "\n"
	"Exits with the command's status, 128 + N if signal N killed it, 127 where there is no such\n"
	"command, 126 where it cannot be executed, 125 where it was not run, 3 where it is over budget.\n";

/* ---- options ----------------------------------------------------------------------------- */

static int take_count(const char *option, const char *text, uint64_t least, uint64_t *ret)
{
	if (parse_u64(text, ret) < 0 || *ret < least || *ret > MAX_RUNS)
		return cli_usage("run", "%s: \"%s\" is not a number from %llu to %d", option, text,
			(unsigned long long) least, MAX_RUNS);
	return CLI_DONE;
}

static int take_name(struct run_plan *p, const char *name)
{
	bool bad = *name == '\0';

	for (const char *c = name; *c; c++)
		bad |= iscntrl((unsigned char) *c) != 0;
	if (bad)
		return cli_usage("run", "-n: \"%s\" is no name", name);
	if (p->next_name)
		return cli_usage("run", "-n %s: no command follows", p->next_name);
	p->named = true;
	p->next_name = name;
	return CLI_DONE;
}

/* The second of two files of one name would be written over the first. */
static int check_exports(const struct run_plan *p)
{
	for (int i = 0; i < EXPORT_COUNT; i++) {
		const char *path = p->exports[i].path;
		bool twice = path && p->output && strcmp(path, p->output) == 0;

		for (int k = 0; path && k < i; k++)
			twice |= p->exports[k].path && strcmp(path, p->exports[k].path) == 0;
		if (twice && strncmp(path, "/dev/", 5) != 0)
			return cli_usage("run", "two reports would go into %s", path);
	}
	return CLI_DONE;
}

static int take_option(struct run_plan *p, int option, const char *argument)
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
	case 'n':
		return take_name(p, argument);
	case OPT_EXPORT_JSON:
		p->exports[EXPORT_JSON].path = argument;
		return CLI_DONE;
	case OPT_EXPORT_CSV:
		p->exports[EXPORT_CSV].path = argument;
		return CLI_DONE;
	case OPT_EXPORT_MARKDOWN:
		p->exports[EXPORT_MARKDOWN].path = argument;
		return CLI_DONE;
	case OPT_MAX_JOULES:
		if (parse_fixed(argument, 6, &p->max_uj) < 0 || p->max_uj == 0 ||
			p->max_uj > MAX_BUDGET_UJ)
			return cli_usage(
				"run", "--max-joules: \"%s\" is no energy above 0", argument);
		return CLI_DONE;
	case CLI_OPT_BAD:
		return CLI_USAGE;
	}
	return cli_take_sensor_option(&p->sensors, "run", option, argument);
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

/* What getopt_long() stops at: one command, or all that is left where no more options come. */
static int take_commands(struct run_plan *p, int argc, char **argv, bool ended)
{
	if (!p->named) {
		p->commands[0] = (struct run_command) { .argv = argv + optind };
		p->n_commands = optind < argc;
		return CLI_DONE;
	}
	while (optind < argc) {
		if (argv[optind][0] == '\0')
			return cli_usage("run", "a command is empty");
		add_shell_command(p, argv[optind++]);
		if (!ended)
			break;
	}
	return CLI_DONE;
}

static int take_command_line(struct run_plan *p, int argc, char **argv, bool *ret_help)
{
	bool ended = false;
	int r = CLI_DONE;

	while (r == CLI_DONE && !ended) {
		const char *next = optind < argc ? argv[optind] : "";
		int option = cli_next_option("run", argc, argv, "+:hio:r:w:I:n:", options);

		if (option == 'h') {
			*ret_help = true;
			return CLI_DONE;
		}
		if (option != -1) {
			r = take_option(p, option, optarg);
			continue;
		}
		ended = optind == argc || !p->named || strcmp(next, "--") == 0;
		r = take_commands(p, argc, argv, ended);
	}
	if (r != CLI_DONE)
		return r;
	if (p->units && p->units_regex)
		return cli_usage("run", "--units and --units-regex exclude each other");
	if (p->next_name)
		return cli_usage("run", "-n %s: no command follows", p->next_name);
	if (p->n_commands == 0)
		return cli_usage("run", "no command is given");
	if (p->named)
		r = check_names(p);
	return r == CLI_DONE ? check_exports(p) : r;
}

int cmd_run(int argc, char **argv)
{
	struct run_plan plan = { .n_runs = 1 };
	bool help_only = false;
	int status = RUN_FAILED;

	plan.commands = calloc((size_t) argc, sizeof(*plan.commands));
	if (!plan.commands)
		cli_fail("run", "no memory");
	else if (take_command_line(&plan, argc, argv, &help_only) == CLI_DONE && !help_only)
		status = runs_make(&plan);
	free(plan.commands);
	if (help_only) {
		fputs(help, stdout);
		return CLI_DONE;
	}
	return status;
}
