// SPDX-License-Identifier: MIT
/*
 * powermeasure stat: what processes, control groups or the machine use that run already.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/engine.h"
#include "cli/report.h"
#include "cli/run.h"
#include "util/cleanup.h"
#include "util/json_out.h"
#include "util/parse.h"
#include "util/procstat.h"

#define MAX_TARGETS 1024
#define MAX_ROWS 1000000
#define DEFAULT_INTERVAL_NS NS_PER_S
#define MAX_SECONDS (366 * 86400)

/* No chain of parents is longer. */
#define MAX_DEPTH 65536

/* Power is looked at at least this often, for peaks. */
#define LOOK_NS (100 * NS_PER_MS)

enum { OPT_JSON = CLI_OPT_NEXT, OPT_TREE, OPT_CGROUP };

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
	"  -o, --output FILE  write rows and summary into FILE instead of standard error\n"
	"      --json         one JSON document at the end (docs/stat.schema.json)\n"
	"\n" CLI_SENSOR_HELP;

struct plan {
	struct cli_sensors sensors;
	pid_t pids[MAX_TARGETS];
	size_t n_pids;
	const char *groups[MAX_TARGETS];
	size_t n_groups;
	bool all;
	bool tree;
	bool json;
	uint64_t duration_ns;
	uint64_t interval_ns;
	const char *output;
};

/* What is known of a target once it may be gone. */
struct who {
	uint32_t slot;
	pid_t pid; /* 0: a control group */
	char name[64];
	bool ended;
};

struct state {
	const struct plan *plan;
	struct engine engine;
	struct run_signals signals;
	struct who *whos;
	size_t n_whos;
	struct measurement_base *whole;
	struct measurement_base *rows;
	uint64_t begin_ns;
	uint64_t row_ns;
	struct run_row *kept; /* for JSON */
	size_t n_kept;
	size_t cap_kept;
	bool head;
	struct warnings warnings;
	FILE *out;
};

/* ---- targets ----------------------------------------------------------------------------- */

static int add_target(struct state *s, struct target *t)
{
	struct who *who = &s->whos[s->n_whos];
	int r;

	*who = (struct who) { .pid = t->pid };
	snprintf(who->name, sizeof(who->name), "%s", t->name);
	r = gauge_add(s->engine.gauge, t, &who->slot);
	if (r < 0) {
		target_close(t);
		return cli_fail("stat", "%s", strerror(-r));
	}
	s->n_whos++;
	return CLI_DONE;
}

/* Whether a process descends from another one. */
static bool is_below(pid_t pid, pid_t above)
{
	struct procstat stat;

	for (int depth = 0; depth < MAX_DEPTH && procstat_read(pid, &stat) == 0; depth++) {
		if (stat.ppid == above)
			return true;
		pid = stat.ppid;
	}
	return false;
}

/* CPU time is given out once: a tree within another one is no target of its own. */
static bool is_in_other_tree(struct state *s, pid_t pid)
{
	const struct plan *p = s->plan;

	for (size_t i = 0; i < p->n_pids; i++) {
		if (p->pids[i] == pid || !is_below(pid, p->pids[i]))
			continue;
		warnings_add(&s->warnings,
			"pid %d is below pid %d, in whose tree it is counted: it has no figures of "
			"its own",
			(int) pid, (int) p->pids[i]);
		return true;
	}
	if (is_below(getpid(), pid))
		warnings_add(&s->warnings,
			"this tool is below pid %d: what it uses itself is in its own column and "
			"in the targets', too",
			(int) pid);
	return false;
}

static int add_pid(struct state *s, pid_t pid)
{
	struct target t;
	bool exact = true;
	int r;

	if (s->plan->tree && is_in_other_tree(s, pid))
		return CLI_DONE;
	r = s->plan->tree ? target_open_tree(&t, pid, &exact) : target_open_process(&t, pid);
	if (r == -ESRCH || r == -ENOENT)
		return cli_fail("stat", "-p %d: there is no such process", (int) pid);
	if (r < 0)
		return cli_fail("stat", "-p %d: %s", (int) pid, strerror(-r));
	if (!exact)
		warnings_add(&s->warnings,
			"pid %d: its children are counted from /proc, for perf events are refused or "
			"would be too many: short-lived ones only if somebody waits for them (as root, or with "
			"sysctl kernel.perf_event_paranoid=2, they are counted exactly)",
			(int) pid);
	return add_target(s, &t);
}

static int add_group(struct state *s, const char *group)
{
	struct target t;
	int r = target_open_cgroup(&t, group);

	if (r == -ENOENT || r == -ENOTDIR)
		return cli_fail("stat", "--cgroup %s: there is no such control group", group);
	if (r == -EOPNOTSUPP)
		return cli_fail("stat",
			"--cgroup %s: it tells no CPU time (neither cpu.stat nor cpuacct.usage)",
			group);
	if (r < 0)
		return cli_fail("stat", "--cgroup %s: %s", group, strerror(-r));
	return add_target(s, &t);
}

static int add_targets(struct state *s)
{
	const struct plan *p = s->plan;
	struct rlimit limit;
	int r = CLI_DONE;

	/* Each thread of a tree needs a descriptor. */
	if (p->tree && getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	s->whos = calloc(p->n_pids + p->n_groups + 1, sizeof(*s->whos));
	if (!s->whos)
		return cli_fail("stat", "%s", strerror(ENOMEM));
	for (size_t i = 0; r == CLI_DONE && i < p->n_pids; i++)
		r = add_pid(s, p->pids[i]);
	for (size_t i = 0; r == CLI_DONE && i < p->n_groups; i++)
		r = add_group(s, p->groups[i]);
	return r;
}

/* ---- measuring --------------------------------------------------------------------------- */

static void keep_row(struct state *s, const struct run_row *row)
{
	if (!s->plan->json) {
		if (!s->head)
			report_row_head(s->engine.rig, s->n_whos ? "targets" : NULL, s->out);
		s->head = true;
		report_row(s->engine.rig, row, s->n_whos > 0, s->out);
		return;
	}
	if (s->n_kept == s->cap_kept) {
		size_t cap = s->cap_kept ? s->cap_kept * 2 : 64;
		struct run_row *kept = cap > MAX_ROWS ? NULL
						      : realloc(s->kept, cap * sizeof(*kept));

		if (!kept) {
			warnings_add(&s->warnings,
				"there were too many intervals: later ones are not in the list");
			return;
		}
		s->kept = kept;
		s->cap_kept = cap;
	}
	s->kept[s->n_kept++] = *row;
}

static void end_row(struct state *s)
{
	struct run_row row = { .end_ns = gauge_t_ns(s->engine.gauge) - s->begin_ns };

	measurement_take(s->rows, &row.figures);
	if (row.figures.elapsed_ns > 0)
		keep_row(s, &row);
	measurement_renew(s->rows);
}

/* Returns false when there is nobody left to be measured. */
static bool look(struct state *s)
{
	uint64_t now_ns, interval_ns = s->plan->interval_ns;
	bool any = s->plan->all;

	gauge_read(s->engine.gauge);
	measurement_look(s->whole);
	now_ns = gauge_t_ns(s->engine.gauge);
	for (size_t i = 0; i < s->n_whos; i++) {
		struct who *who = &s->whos[i];

		if (!who->ended && gauge_has_ended(s->engine.gauge, who->slot))
			who->ended = true;
		any |= !who->ended;
	}
	if (interval_ns && now_ns >= s->row_ns) {
		end_row(s);
		s->row_ns += (now_ns - s->row_ns) / interval_ns * interval_ns + interval_ns;
	}
	return any;
}

static int start_timer(uint64_t begin_ns, uint64_t step_ns)
{
	struct itimerspec spec = { 0 };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	spec.it_interval.tv_sec = (time_t) (step_ns / NS_PER_S);
	spec.it_interval.tv_nsec = (long) (step_ns % NS_PER_S);
	spec.it_value.tv_sec = (time_t) ((begin_ns + step_ns) / NS_PER_S);
	spec.it_value.tv_nsec = (long) ((begin_ns + step_ns) % NS_PER_S);
	if (fd >= 0)
		timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL);
	return fd;
}

/* Whoever ignored a signal when this was started meant it to go on; and a child that ends is none of
 * ours, but of whoever was in this process before. */
static bool is_told_to_end(const struct run_signals *signals)
{
	struct signalfd_siginfo info;
	bool told = false;

	while (run_next_signal(signals, &info))
		told |= info.ssi_signo != SIGCHLD &&
			sigismember(&signals->ignored, (int) info.ssi_signo) == 0;
	return told;
}

/* Waits for the next look, an end of a target, or a signal; false when a signal ends it all. */
static bool wait_for_something(const struct state *s, struct pollfd *fds, size_t n, uint64_t end_ns)
{
	uint64_t now_ns = clock_mono_ns(&clock_system), count;
	struct timespec ts = { 0 };

	if (end_ns > now_ns) {
		ts.tv_sec = (time_t) ((end_ns - now_ns) / NS_PER_S);
		ts.tv_nsec = (long) ((end_ns - now_ns) % NS_PER_S);
	}
	if (ppoll(fds, n, end_ns ? &ts : NULL, NULL) <= 0)
		return true;
	if (fds[0].revents && is_told_to_end(&s->signals))
		return false;
	if (fds[1].revents && read(fds[1].fd, &count, sizeof(count)) < 0)
		return errno == EAGAIN;
	return true;
}

static int follow(struct state *s)
{
	const struct plan *p = s->plan;
	uint64_t step_ns = p->interval_ns && p->interval_ns < LOOK_NS ? p->interval_ns : LOOK_NS;
	uint64_t end_ns = p->duration_ns ? s->begin_ns + p->duration_ns : 0;
	CLEANUP_FREE struct pollfd *fds = calloc(2 + s->n_whos, sizeof(*fds));
	CLEANUP_FD int timer = start_timer(s->begin_ns, step_ns);

	if (!fds || timer < 0)
		return cli_fail("stat", "%s", strerror(fds ? errno : ENOMEM));
	fds[0] = (struct pollfd) { .fd = s->signals.fd, .events = POLLIN };
	fds[1] = (struct pollfd) { .fd = timer, .events = POLLIN };
	for (size_t i = 0; i < s->n_whos; i++)
		fds[2 + i] = (struct pollfd) {
			.fd = gauge_target(s->engine.gauge, s->whos[i].slot)->exit_fd,
			.events = POLLIN
		};
	while (wait_for_something(s, fds, 2 + s->n_whos, end_ns)) {
		bool any;

		/* An ended target is read at once: its parent may take what is left of it. */
		for (size_t i = 0; i < s->n_whos; i++) {
			struct target *t = gauge_target(s->engine.gauge, s->whos[i].slot);
			struct usage last;

			if (!fds[2 + i].revents)
				continue;
			t->ops->read_last(t, clock_mono_ns(&clock_system), &last);
			fds[2 + i].fd = -1;
		}
		any = look(s);
		if (!any || (end_ns && clock_mono_ns(&clock_system) >= end_ns))
			return CLI_DONE;
	}
	look(s);
	return CLI_DONE;
}

static int begin(struct state *s)
{
	uint32_t slots[2 * MAX_TARGETS];
	int r;

	for (size_t i = 0; i < s->n_whos; i++)
		slots[i] = s->whos[i].slot;
	engine_read_ready(&s->engine);
	r = measurement_begin(
		&s->whole, s->engine.gauge, s->engine.rig, slots, s->n_whos, s->engine.tool);
	if (r == 0)
		r = measurement_begin(
			&s->rows, s->engine.gauge, s->engine.rig, slots, s->n_whos, s->engine.tool);
	if (r < 0)
		return cli_fail("stat", "%s", strerror(-r));
	s->begin_ns = gauge_t_ns(s->engine.gauge);
	s->row_ns = s->begin_ns + s->plan->interval_ns;
	return CLI_DONE;
}

/* ---- telling ----------------------------------------------------------------------------- */

static void tell_text(struct state *s, const struct measurement *m)
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
	fputc('\n', s->out);
	report_sources(s->engine.rig, m, s->out);
	report_warnings(&s->warnings, s->out);
}

static void tell_json(struct state *s, const struct measurement *m)
{
	struct buf b = BUF_INIT;
	struct json j = JSON_INIT(&b);

	json_open(&j, '{');
	json_kv_u64(&j, "schema_version", REPORT_SCHEMA_VERSION);
	json_kv_string(&j, "version", PM_VERSION);
	json_kv_string(&j, "attribution", REPORT_ATTRIBUTION);
	json_key(&j, "targets");
	json_open(&j, '[');
	for (size_t i = 0; i < s->n_whos; i++) {
		struct measurement one;

		measurement_take_one(s->whole, i, &one);
		json_open(&j, '{');
		if (s->whos[i].pid)
			json_kv_i64(&j, "pid", s->whos[i].pid);
		else
			json_kv_null(&j, "pid");
		json_kv_string(&j, "name", s->whos[i].name);
		json_kv_bool(&j, "ended", s->whos[i].ended);
		report_json_one(&j, &one);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	report_json_figures(&j, s->engine.rig, m, s->n_whos ? "targets" : NULL);
	report_json_sensors(&j, s->engine.rig, m);
	report_json_rows(&j, s->kept, s->n_kept);
	report_json_warnings(&j, &s->warnings);
	json_close(&j, '}');
	fputs(buf_text(&b), s->out);
	fputc('\n', s->out);
	buf_finish(&b);
}

static void tell(struct state *s)
{
	struct measurement m;

	measurement_take(s->whole, &m);
	if (s->plan->interval_ns && gauge_t_ns(s->engine.gauge) > s->row_ns - s->plan->interval_ns)
		end_row(s);
	warnings_judge(&s->warnings, s->engine.rig, &m, s->plan->interval_ns);
	if (m.elapsed_ns >= NS_PER_S / 4 && m.asked_cpu_ns > m.capacity_ns + m.capacity_ns / 20)
		warnings_add(&s->warnings,
			"the targets used more CPU time than there was: some are in others, and their "
			"shares are too small");
	if (s->plan->json)
		tell_json(s, &m);
	else
		tell_text(s, &m);
	if ((fflush(s->out) != 0 || ferror(s->out)) && s->plan->output)
		cli_fail("stat", "%s cannot be written: %s", s->plan->output, strerror(errno));
}

static int stat_with(struct state *s)
{
	int r = add_targets(s);

	if (r != CLI_DONE)
		return r;
	r = run_hold_signals(&s->signals);
	if (r < 0)
		return cli_fail("stat", "signals cannot be waited for: %s", strerror(-r));
	r = begin(s);
	if (r == CLI_DONE)
		r = follow(s);
	if (r == CLI_DONE)
		tell(s);
	run_signals_finish(&s->signals);
	return r;
}

static int stat_all(struct plan *p)
{
	struct state s = { .plan = p, .out = stderr };
	int r;

	if (p->output) {
		s.out = fopen(p->output, "we");
		if (!s.out)
			return cli_fail("stat", "-o %s: %s", p->output, strerror(errno));
	}
	r = engine_open(&s.engine, "stat", &p->sensors);
	if (r == CLI_DONE)
		r = stat_with(&s);
	measurement_free(s.whole);
	measurement_free(s.rows);
	free(s.whos);
	free(s.kept);
	engine_close(&s.engine);
	if (p->output)
		fclose(s.out);
	return r;
}

/* ---- options ----------------------------------------------------------------------------- */

static int take_pids(struct plan *p, const char *list)
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
		if (!known && p->n_pids == MAX_TARGETS)
			return cli_usage("stat", "-p: more than %d pids", MAX_TARGETS);
		if (!known)
			p->pids[p->n_pids++] = (pid_t) pid;
		list += n + (list[n] == ',');
	}
	return CLI_DONE;
}

static int take_option(struct plan *p, int option, const char *argument)
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
	case OPT_JSON:
		p->json = true;
		return CLI_DONE;
	case OPT_TREE:
		p->tree = true;
		return CLI_DONE;
	case OPT_CGROUP:
		if (p->n_groups == MAX_TARGETS)
			return cli_usage("stat", "--cgroup: more than %d", MAX_TARGETS);
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
	static struct plan plan;
	int option, r = CLI_DONE;

	if (argc > 1 && !names_targets(argc, argv))
		return cmd_run(argc, argv);
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
	return stat_all(&plan);
}
