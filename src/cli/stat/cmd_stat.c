// SPDX-License-Identifier: MIT
/*
 * powermeasure stat: what processes, control groups or the machine use that run already.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cli/stat/stat.h"
#include "util/cleanup.h"
#include "util/parse.h"

#define DEFAULT_INTERVAL_NS NS_PER_S
#define MAX_SECONDS (366 * 86400)

enum { OPT_JSON = CLI_OPT_NEXT, OPT_TREE, OPT_CGROUP, OPT_PHASES, OPT_RECORD };

static const struct option options[] = {
	CLI_SENSOR_OPTIONS,
	{ "help", no_argument, NULL, 'h' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "output", required_argument, NULL, 'o' },
	{ "pid", required_argument, NULL, 'p' },
	{ "tree", no_argument, NULL, OPT_TREE },
	{ "cgroup", required_argument, NULL, OPT_CGROUP },
	{ "all", no_argument, NULL, 'a' },
	{ "duration", required_argument, NULL, 'd' },
	{ "interval", required_argument, NULL, 'I' },
	{ "phases", required_argument, NULL, OPT_PHASES },
	{ "record", required_argument, NULL, OPT_RECORD },
	{ 0 },
};

static const char help[] =
	"usage: powermeasure stat -p PID[,PID...] [OPTIONS]\n"
	"       powermeasure stat --cgroup PATH [OPTIONS]\n"
	"       powermeasure stat -a [OPTIONS]\n"
	"       powermeasure stat [OPTIONS OF run] [--] COMMAND [ARGUMENTS]   (the same as run)\n"
	"\n"
	"Measures what runs already, with a row a second and a summary at the end, which comes\n"
	"after -d, when the last of the targets has ended, or with Ctrl-C.\n"
	"\n"
	"  -p, --pid PID      this process (may be given again, or with commas)\n"
	"      --tree         each with all its descendants\n"
	"      --cgroup PATH  everything in this control group (may be given again): a directory\n"
	"                     below /sys/fs/cgroup, or a path as /proc/PID/cgroup shows it\n"
	"  -a, --all          the machine alone\n"
	"  -d, --duration S   for so many seconds (default: until the targets end)\n"
	"  -I, --interval MS  a row each MS milliseconds (default: 1000; 0: no rows)\n"
	"      --phases FILE  tell of the phases that the targets mark. FILE, in /dev/shm, is made;\n"
	"                     their environment must have POWERMEASURE_PHASES=FILE (docs/phases.md)\n"
	"  -o, --output FILE  write rows and summary into FILE instead of standard error\n"
	"      --record FILE  a detailed record, one JSON object a line, ten readings a second or -I\n"
	"                     if that is faster; - is standard output, for others to follow\n"
	"      --json         one JSON document at the end (docs/stat.schema.json)\n"
	"\n" CLI_SENSOR_HELP "\n"
	"Exit status: 0 done; 1 failed; 2 wrong usage; with a command as `run`.\n";

static int take_pids(struct stat_plan *p, const char *list)
{
	while (*list) {
		size_t n = strcspn(list, ",");
		char text[16];
		uint64_t pid;
		bool known = false;

		snprintf(text, sizeof(text), "%.*s", (int) n, list);
		if (n == 0 || n >= sizeof(text) || parse_u64(text, &pid) < 0 || pid == 0 ||
			pid > INT32_MAX)
			return cli_usage("stat", "-p: \"%.*s\" is no pid", (int) n, list);
		for (size_t i = 0; i < p->n_pids; i++)
			known |= p->pids[i] == (pid_t) pid;
		if (!known && p->n_pids == STAT_MAX_TARGETS)
			return cli_usage("stat", "-p: more than %d pids", STAT_MAX_TARGETS);
		if (!known)
			p->pids[p->n_pids++] = (pid_t) pid;
		list += n + (list[n] == ',');
	}
	return CLI_DONE;
}

static int take_option(struct stat_plan *p, int option, const char *argument)
{
	uint64_t number;

	switch (option) {
	case 'p':
		return take_pids(p, argument);
	case 'a':
		p->all = true;
		return CLI_DONE;
	case 'd':
		if (parse_fixed(argument, 9, &p->duration_ns) < 0 || p->duration_ns == 0 ||
			p->duration_ns > MAX_SECONDS * NS_PER_S)
			return cli_usage("stat", "-d: \"%s\" is no number of seconds", argument);
		return CLI_DONE;
	case 'I':
		if (parse_u64(argument, &number) < 0 || number > 86400000)
			return cli_usage("stat", "-I: \"%s\" is not 0 to 86400000 ms", argument);
		p->interval_ns = number * NS_PER_MS;
		return CLI_DONE;
	case 'o':
		p->output = argument;
		return CLI_DONE;
	case OPT_RECORD:
		p->record = argument;
		return CLI_DONE;
	case OPT_JSON:
		p->json = true;
		return CLI_DONE;
	case OPT_PHASES:
		p->phases = argument;
		return CLI_DONE;
	case OPT_TREE:
		p->tree = true;
		return CLI_DONE;
	case OPT_CGROUP:
		if (p->n_groups == STAT_MAX_TARGETS)
			return cli_usage("stat", "--cgroup: more than %d", STAT_MAX_TARGETS);
		p->groups[p->n_groups++] = argument;
		return CLI_DONE;
	case CLI_OPT_BAD:
		return CLI_USAGE;
	}
	return cli_take_sensor_option(&p->sensors, "stat", option, argument);
}

/* Whether something that runs already is named: else it is a command. */
static bool names_targets(int argc, char **argv)
{
	static const char *const words[] = { "--pid", "--cgroup", "--all", "--tree", "--help",
		"-h" };

	for (int i = 1; i < argc && argv[i][0] == '-' && strcmp(argv[i], "--") != 0; i++) {
		if (strncmp(argv[i], "-p", 2) == 0 || strcmp(argv[i], "-a") == 0)
			return true;
		for (size_t k = 0; k < ARRAY_SIZE(words); k++)
			if (strncmp(argv[i], words[k], strlen(words[k])) == 0)
				return true;
		/* An option's argument is no command. */
		if (strlen(argv[i]) == 2 && strchr("dInorw", argv[i][1]))
			i++;
		else if (strncmp(argv[i], "--", 2) == 0 && !strchr(argv[i], '=') &&
			strcmp(argv[i], "--json") != 0 && strncmp(argv[i], "--ig", 4) != 0)
			i++;
	}
	return false;
}

int cmd_stat(int argc, char **argv)
{
	static struct stat_plan plan;
	int option, r = CLI_DONE;

	if (argc > 1 && !names_targets(argc, argv))
		return command_run.run(argc, argv);
	plan.interval_ns = DEFAULT_INTERVAL_NS;
	while (r == CLI_DONE &&
		(option = cli_next_option("stat", argc, argv, "+:hap:d:I:o:", options)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return CLI_DONE;
		}
		r = take_option(&plan, option, optarg);
	}
	if (r != CLI_DONE)
		return r;
	if (optind < argc)
		return cli_usage("stat",
			"a command (\"%s\") and -p, --cgroup or -a exclude each other",
			argv[optind]);
	if (plan.n_pids + plan.n_groups == 0 && !plan.all)
		return cli_usage(
			"stat", "say what to measure: -p PID, --cgroup PATH, -a, or a command");
	if (plan.tree && plan.n_pids == 0)
		return cli_usage("stat", "--tree goes with -p");
	return stat_measure(&plan);
}
