// SPDX-License-Identifier: MIT
/*
 * powermeasure top: the machine's power, its processes by watts, while they run.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/instrument.h"
#include "cli/top/top_print.h"
#include "cli/top/top_refresh.h"
#include "cli/top/top_view.h"
#include "meter/ready.h"
#include "util/cleanup.h"
#include "util/parse.h"
#include "util/signals.h"
#include "util/timer.h"

struct top_plan {
	struct cli_sensors sensors;
	struct top_view_options view;
	uint64_t limit; /* as typed; the view's is a size */
	bool once;
	bool json;
};

static int take_pid(void *field, const char *text, char *ret_why, size_t why_size)
{
	struct top_plan *p = field;
	uint64_t number;

	if (parse_u64(text, &number) < 0 || number == 0 || number > INT32_MAX) {
		snprintf(ret_why, why_size, "not a PID: '%s'", text);
		return -EINVAL;
	}
	p->view.order.pid = (pid_t) number;
	return 0;
}

static const struct opt options[] = {
	OPT_FLAG(0, "once", struct top_plan, once,
		"print one table on standard output after one interval, and end"),
	OPT_FLAG(0, "json", struct top_plan, json,
		"print JSON on standard output, an object a line for each refresh; with --once just "
		"one (docs/top.schema.json)"),
	OPT_NUMBER('d', "delay", "SECONDS", struct top_plan, view.delay_ns, opt_seconds,
		TOP_DELAY_MIN_NS, TOP_DELAY_MAX_NS, "refresh every SECONDS, 0.25 to 3600",
		.initial = "1"),
	OPT_NUMBER('n', "count", "N", struct top_plan, view.refreshes, opt_count, 1, OPT_UNLIMITED,
		"end after N refreshes"),
	OPT_CALL('p', "pid", "PID", take_pid, "show this process alone"),
	OPT_WORD(0, "sort", "COLUMN", struct top_plan, view.order.sort, top_sort_names,
		"sort by watts, cpu, joules, pid, user or name", .initial = "watts"),
	OPT_NUMBER('l', "limit", "N", struct top_plan, limit, opt_count, 1, OPT_UNLIMITED,
		"show at most N processes"),
	CLI_SENSOR_ROWS(struct top_plan, sensors),
	OPT_END,
};

/* Until a time, or until something ends it; false: it is to end. */
static bool wait_until(int signal_fd, uint64_t until_ns)
{
	struct pollfd fd = { .fd = signal_fd, .events = POLLIN };
	uint64_t now_ns;

	while ((now_ns = clock_mono_ns(&clock_system)) < until_ns) {
		const struct timespec ts = timespec_until(until_ns, now_ns);

		if (ppoll(&fd, 1, &ts, NULL) > 0)
			return false;
	}
	return true;
}

/* The next refresh; counters are read in between, or they would wrap unseen. */
static bool next_refresh(struct top_model *m, int signal_fd, uint64_t due_ns)
{
	while (clock_mono_ns(&clock_system) + TOP_SAMPLE_NS < due_ns) {
		if (!wait_until(signal_fd, clock_mono_ns(&clock_system) + TOP_SAMPLE_NS))
			return false;
		top_model_sample(m);
	}
	if (!wait_until(signal_fd, due_ns))
		return false;
	top_model_refresh(m);
	return true;
}

/* Without a terminal: tables or JSON, one after the other. */
static int print_all(struct top_model *m, const struct top_plan *p, int signal_fd)
{
	const struct top_view_options *o = &p->view;
	uint64_t count = p->once ? 1 : o->refreshes, due_ns = m->t_ns;
	struct top_rows rows = { 0 };
	int r = CLI_DONE;

	for (uint64_t i = 0; r == CLI_DONE && (count == 0 || i < count); i++) {
		uint64_t now_ns = clock_mono_ns(&clock_system);

		due_ns += o->delay_ns;
		if (due_ns < now_ns)
			due_ns += (now_ns - due_ns) / o->delay_ns * o->delay_ns;
		if (!next_refresh(m, signal_fd, due_ns)) {
			if (p->once)
				r = cli_fail("top", "ended before the interval was over");
			break;
		}
		if (top_rows_make(&rows, m, &o->order) < 0)
			r = cli_fail("top", "%s", strerror(ENOMEM));
		else if (p->json)
			top_report_json(m, &rows, o->limit, stdout);
		else
			top_report_text(m, &rows, o->limit, stdout);
		/* Who reads it may have seen enough. */
		if (ferror(stdout) && errno == EPIPE)
			break;
		if (ferror(stdout))
			r = cli_fail("top", "standard output: %s", strerror(errno));
	}
	top_rows_finish(&rows);
	return r;
}

static int print_with_signals(struct top_model *m, const struct top_plan *p)
{
	CLEANUP_FD int signal_fd = -1;
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	signals_that_end(&set);
	signal_fd = signals_open(&set, NULL);
	if (signal_fd < 0)
		return cli_fail("top", "cannot create signalfd: %s", strerror(-signal_fd));
	return print_all(m, p, signal_fd);
}

static bool sample_all(void *model)
{
	top_model_sample(model);
	return top_model_is_ready(model);
}

/* A /proc of another PID namespace names processes by other numbers than the kernel knows here. */
static bool proc_is_ours(void)
{
	char text[16];
	ssize_t n = readlink("/proc/self", text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return atoi(text) == (int) getpid();
}

static int top(struct top_plan *p)
{
	const struct top_model_options model_options = { .tool = getpid() };
	struct top_model *m = NULL;
	struct instrument e;
	int r = instrument_open_sensors(&e, "top", &p->sensors);

	if (r != CLI_DONE)
		return r;
	if (!proc_is_ours()) {
		instrument_close(&e);
		return cli_fail("top",
			"/proc is of another PID namespace: mount one (unshare --mount-proc)");
	}
	r = top_model_create(&m, e.host, e.rig, &model_options);
	if (r < 0) {
		r = cli_fail("top", "the processes in /proc cannot be read: %s", strerror(-r));
	} else if (p->view.order.pid &&
		top_processes_find(&m->processes, p->view.order.pid) == UINT32_MAX) {
		r = cli_fail("top", "-p %d: there is no such process", (int) p->view.order.pid);
	} else {
		ready_wait(sample_all, m, READY_NS);
		r = p->once || p->json ? print_with_signals(m, p) : top_view_run(m, &p->view);
	}
	top_model_destroy(m);
	instrument_close(&e);
	return r;
}

static int run_top(int argc, char **argv)
{
	static struct top_plan plan;
	struct opts o;

	plan.limit = OPT_UNLIMITED;
	opts_begin(&o, &command_top, argc, argv, &plan);
	if (!opts_take_all(&o, 0))
		return o.status;
	plan.view.limit = plan.limit < SIZE_MAX ? (size_t) plan.limit : SIZE_MAX;
	if (plan.once && plan.view.refreshes > 1)
		return cli_usage("top", "--once and -n cannot be used together: it is one refresh");
	if (!plan.once && !plan.json && (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO)))
		return cli_usage("top",
			"standard input and output are not a terminal; use --once for one table, or "
			"--json");
	return top(&plan);
}

const struct cli_command command_top = {
	.name = "top",
	.summary = "show the machine and its processes by watts, live",
	.usage = "top [OPTIONS]",
	.about = "Shows what the machine draws, and all its processes by watts, once a second. In "
		 "it, F1 or ? shows the keys, q ends it.",
	.options = options,
	.status = "0 done; 1 failed; 2 wrong usage, or no terminal to draw on without --once or "
		  "--json",
	.run = run_top,
};
