// SPDX-License-Identifier: MIT
/*
 * powermeasure stat: what processes, control groups or the machine use that run already.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cli/stat/stat.h"
#include "util/parse.h"

#define DAY_NS (86400 * NS_PER_S)
#define MAX_DURATION_NS (366 * DAY_NS)

static int take_pid(struct stat_plan *p, const char *text, char *ret_why, size_t why_size)
{
	uint64_t pid;

	if (parse_u64(text, &pid) < 0 || pid == 0 || pid > INT32_MAX) {
		snprintf(ret_why, why_size, "not a PID: '%s'", text);
		return -EINVAL;
	}
	for (size_t i = 0; i < p->n_pids; i++)
		if (p->pids[i] == (pid_t) pid)
			return 0;
	if (p->n_pids == STAT_MAX_TARGETS) {
		snprintf(ret_why, why_size, "more than %d PIDs", STAT_MAX_TARGETS);
		return -E2BIG;
	}
	p->pids[p->n_pids++] = (pid_t) pid;
	return 0;
}

static int take_pids(void *field, const char *list, char *ret_why, size_t why_size)
{
	int r = 0;

	while (r == 0 && *list) {
		size_t n = strcspn(list, ",");
		char text[64];

		snprintf(text, sizeof(text), "%.*s", (int) n, list);
		r = take_pid(field, text, ret_why, why_size);
		list += n + (list[n] == ',');
	}
	return r;
}

static int take_cgroup(void *field, const char *path, char *ret_why, size_t why_size)
{
	struct stat_plan *p = field;

	if (p->n_groups == STAT_MAX_TARGETS) {
		snprintf(ret_why, why_size, "more than %d", STAT_MAX_TARGETS);
		return -E2BIG;
	}
	p->groups[p->n_groups++] = path;
	return 0;
}

static const struct opt options[] = {
	OPT_CALL('p', "pid", "PID", take_pids,
		"measure this process; repeat for more, or put commas between"),
	OPT_FLAG(0, "tree", struct stat_plan, tree, "measure each with all its descendants"),
	OPT_CALL(0, "cgroup", "PATH", take_cgroup,
		"measure everything in this control group: a directory below /sys/fs/cgroup, or a "
		"path as /proc/PID/cgroup shows it; repeat for more"),
	OPT_FLAG('a', "all", struct stat_plan, all, "measure the machine alone"),
	OPT_NUMBER('d', "duration", "SECONDS", struct stat_plan, duration_ns, opt_seconds,
		NS_PER_MS, MAX_DURATION_NS, "end after SECONDS [when the targets end]"),
	OPT_NUMBER('I', "interval", "MS", struct stat_plan, interval_ns, opt_milliseconds, 0,
		DAY_NS, "print a row every MS milliseconds; 0: no rows", .initial = "1000"),
	OPT_TEXT(0, "phases", "FILE", struct stat_plan, phases,
		"show the phases that the targets mark; FILE, in /dev/shm, is made; their "
		"environment must have POWERMEASURE_PHASES=FILE (docs/phases.md)"),
	OPT_TEXT('o', "output", "FILE", struct stat_plan, output,
		"write rows and summary into FILE; - is standard output [standard error]"),
	OPT_TEXT(0, "record", "FILE", struct stat_plan, record,
		"append a detailed record, one JSON object a line, ten readings a second or -I if "
		"that is faster; - is standard output, for other programs to follow"),
	OPT_FLAG(0, "json", struct stat_plan, json,
		"print one JSON document at the end (docs/stat.schema.json), without -o on standard "
		"output"),
	CLI_SENSOR_ROWS(struct stat_plan, sensors),
	OPT_END,
};

static bool is_stdout(const char *path)
{
	return path && strcmp(path, "-") == 0;
}

static int check_plan(struct stat_plan *p)
{
	if (p->n_pids + p->n_groups == 0 && !p->all)
		return cli_usage("stat", "what to measure is missing: -p PID, --cgroup PATH or -a");
	if (p->tree && p->n_pids == 0)
		return cli_usage("stat", "--tree needs -p");
	if (p->json && !p->output)
		p->output = "-";
	if (is_stdout(p->output) && is_stdout(p->record))
		return cli_usage("stat",
			"--record - and the report would both go to standard output; use -o FILE");
	return CLI_DONE;
}

static int run_stat(int argc, char **argv)
{
	static struct stat_plan plan;
	struct opts o;
	int r;

	opts_begin(&o, &command_stat, argc, argv, &plan);
	if (!opts_take(&o))
		return o.status;
	if (o.next < argc)
		return cli_usage("stat",
			"unexpected argument: '%s'; to measure a command use `powermeasure run`",
			o.words[o.next]);
	if (!opts_finish(&o))
		return o.status;
	r = check_plan(&plan);
	return r == CLI_DONE ? stat_measure(&plan) : r;
}

const struct cli_command command_stat = {
	.name = "stat",
	.summary = "measure processes, control groups or the machine",
	.usage = "stat -p PID[,PID...] [OPTIONS]\n"
		 "stat --cgroup PATH [OPTIONS]\n"
		 "stat -a [OPTIONS]",
	.about =
		"Measures what runs already, with a row a second and a summary at the end: after "
		"-d, when the last of the targets has ended, or with Ctrl-C. A command is measured "
		"by `powermeasure run`.",
	.options = options,
	.status = "0 done; 1 failed; 2 wrong usage",
	.run = run_stat,
};
