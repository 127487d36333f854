// SPDX-License-Identifier: MIT
#include "cli/run/once.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/cleanup.h"
#include "util/signals.h"
#include "util/timer.h"

/* Power is looked at this often, for peaks; counters would not need it. */
#define LOOK_NS (100 * NS_PER_MS)

/* After Ctrl-C, whoever reads the command's output gets so long for each part of it. */
#define PATIENCE_MS 1000

int run_hold_signals(struct run_signals *ret)
{
	static const int held[] = { SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGALRM, SIGUSR1,
		SIGUSR2, SIGPIPE };
	struct sigaction old;
	sigset_t mask;

	*ret = (struct run_signals) { .fd = -1 };
	sigemptyset(&mask);
	sigemptyset(&ret->ignored);
	for (size_t i = 0; i < ARRAY_SIZE(held); i++) {
		sigaddset(&mask, held[i]);
		sigaction(held[i], NULL, &old);
		if (held[i] == SIGCHLD)
			ret->old_sigchld = old.sa_handler;
		else if (old.sa_handler == SIG_IGN)
			sigaddset(&ret->ignored, held[i]);
	}
	/* Whoever starts this with SIGCHLD ignored would have its children vanish unread. */
	signal(SIGCHLD, SIG_DFL);
	ret->fd = signals_open(&mask, &ret->mask);
	return ret->fd < 0 ? ret->fd : 0;
}

void run_signals_finish(struct run_signals *s)
{
	close_fd(&s->fd);
}

/* Whether a signal asks for the end of everything, unless it was ignored from the start. */
static bool is_ending(const struct run_signals *s, int signal)
{
	return (signal_ends(signal) || signal == SIGALRM) && sigismember(&s->ignored, signal) == 0;
}

/* What the terminal sends to all who are in front of it has reached the command already; but when
 * it is hung up only the session's leader is told, which may be this process. */
static bool is_from_terminal(const struct signalfd_siginfo *info)
{
	return info->ssi_code == SI_KERNEL &&
		(info->ssi_signo == SIGINT || info->ssi_signo == SIGQUIT ||
			(info->ssi_signo == SIGHUP && getsid(0) != getpid()));
}

/* Hands on what was sent to this process alone. pid: to whom; 0: to nobody. Returns whether there
 * was a SIGCHLD. */
static bool take_signals(struct run_signals *s, pid_t pid)
{
	struct signalfd_siginfo info;
	bool child = false;

	while (signals_next(s->fd, &info)) {
		if (info.ssi_signo == SIGCHLD) {
			child = true;
			continue;
		}
		if (is_ending(s, (int) info.ssi_signo))
			s->ended_by = (int) info.ssi_signo;
		if (pid > 0 && info.ssi_signo != SIGPIPE && !is_from_terminal(&info))
			kill(pid, (int) info.ssi_signo);
	}
	return child;
}

/* A signal that came before the command, which waits to begin: it may not have been there when it
 * was sent. 0: none. */
static int ending_signal(const struct run_signals *s)
{
	sigset_t pending;

	if (s->ended_by)
		return s->ended_by;
	sigpending(&pending);
	for (int i = 1; i < SIGRTMIN; i++)
		if (sigismember(&pending, i) == 1 && is_ending(s, i))
			return i;
	return 0;
}

bool run_pause(const struct run_options *o, uint64_t ns)
{
	uint64_t now_ns = clock_mono_ns(&clock_system), end_ns = now_ns + ns;
	struct pollfd fd = { .fd = o->signals->fd, .events = POLLIN };

	take_signals(o->signals, 0);
	while (!o->signals->ended_by && now_ns < end_ns) {
		const struct timespec ts = timespec_until(end_ns, now_ns);

		if (ppoll(&fd, 1, &ts, NULL) > 0)
			take_signals(o->signals, 0);
		now_ns = clock_mono_ns(&clock_system);
	}
	return !o->signals->ended_by;
}

int run_shell(const struct run_options *o, const char *text)
{
	struct pollfd fd = { .fd = o->signals->fd, .events = POLLIN };
	pid_t pid = fork(), r;
	int status = 0;

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		if (command_drop_rights() < 0)
			_exit(CLI_NOT_EXECUTABLE);
		signal(SIGCHLD, o->signals->old_sigchld);
		sigprocmask(SIG_SETMASK, &o->signals->mask, NULL);
		execl("/bin/sh", "sh", "-c", text, (char *) NULL);
		_exit(CLI_NOT_FOUND);
	}
	while ((r = waitpid(pid, &status, WNOHANG)) == 0)
		if (poll(&fd, 1, -1) > 0)
			take_signals(o->signals, pid);
	return r < 0 ? -errno : status;
}

static int exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int say_not_executed(const char *name, int error)
{
	if (error == -ENOENT) {
		cli_fail("run", "%s: there is no such command", name);
		return CLI_NOT_FOUND;
	}
	cli_fail("run", "%s: cannot be executed: %s", name, strerror(-error));
	return CLI_NOT_EXECUTABLE;
}

struct follower {
	const struct run_options *options;
	struct command *command;
	struct gauge *gauge;
	struct measurement_base *whole;
	struct measurement_base *rows; /* NULL: none */
	struct phase_watch *phases;
	uint64_t begin_ns;
	uint64_t row_ns; /* the end of the present row */
	uint64_t step_ns;
	int timer;
};

/* While a sensor cannot be read, what it will show later is of the whole gap: the row goes on, for all
 * kinds alike. The last one ends whatever is missing. */
static void end_row(struct follower *f, bool last)
{
	struct run_row row = { .end_ns = gauge_t_ns(f->gauge) - f->begin_ns };

	measurement_take(f->rows, &row.figures);
	if (row.figures.failing && !last)
		return;
	if (row.figures.elapsed_ns > 0)
		f->options->row(f->options->ctx, &row);
	measurement_renew(f->rows);
}

static void look(struct follower *f)
{
	uint64_t interval_ns = f->options->interval_ns;

	gauge_read(f->gauge);
	measurement_look(f->whole);
	if (phase_watch_look(f->phases) && f->step_ns > PHASE_WATCH_STEP_NS) {
		f->step_ns = PHASE_WATCH_STEP_NS;
		timer_set(f->timer, gauge_t_ns(f->gauge), f->step_ns);
	}
	if (!f->rows || gauge_t_ns(f->gauge) < f->row_ns)
		return;
	end_row(f, false);
	/* Rows that were slept through are one long row. */
	f->row_ns += (gauge_t_ns(f->gauge) - f->row_ns) / interval_ns * interval_ns + interval_ns;
}

/* Until the command has ended. */
static void follow(struct follower *f)
{
	const struct run_options *o = f->options;
	uint64_t step_ns = o->interval_ns && o->interval_ns < LOOK_NS ? o->interval_ns : LOOK_NS;
	CLEANUP_FD int timer = timer_open(f->begin_ns, step_ns);
	struct pollfd fds[] = { { .fd = o->signals->fd, .events = POLLIN },
		{ .fd = timer, .events = POLLIN }, { .fd = -1 } };
	bool ended = command_reap(f->command);

	f->step_ns = step_ns;
	f->timer = timer;
	while (!ended) {
		uint64_t n;

		if (o->units)
			fds[2] = units_want(o->units);
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
			continue;
		if (fds[0].revents && take_signals(o->signals, command_pid(f->command)))
			ended = command_reap(f->command);
		if (fds[2].revents)
			units_step(o->units);
		if (!ended && fds[1].revents && read(timer, &n, sizeof(n)) > 0)
			look(f);
	}
	gauge_read(f->gauge);
	measurement_look(f->whole);
	if (f->rows)
		end_row(f, true);
}

/* The rest of the output of a command that has ended: whoever reads it may take his time, or be
 * told by a signal not to wait for him. */
static double finish_units(const struct run_options *o)
{
	units_end(o->units);
	while (units_has_more(o->units)) {
		struct pollfd fds[] = { { .fd = o->signals->fd, .events = POLLIN },
			units_want(o->units) };

		if (poll(fds, ARRAY_SIZE(fds), o->signals->ended_by ? PATIENCE_MS : -1) == 0)
			break;
		if (fds[0].revents)
			take_signals(o->signals, 0);
		if (fds[1].revents)
			units_step(o->units);
	}
	return units_finish(o->units);
}

static int measure(const struct run_options *o, const struct instrument *e, uint32_t slot,
	struct command *c, struct phase_watch *phases, struct run_result *ret)
{
	struct gauge *g = e->gauge;
	struct follower f = { .options = o, .command = c, .gauge = g, .phases = phases };
	int r;

	instrument_read_ready(e);
	r = measurement_begin(&f.whole, g, e->rig, &slot, 1, e->tool);
	if (r == 0 && o->interval_ns)
		r = measurement_begin(&f.rows, g, e->rig, &slot, 1, e->tool);
	if (r < 0) {
		measurement_free(f.whole);
		cli_fail("run", "%s", strerror(-r));
		return CLI_RUN_FAILED;
	}
	/* The start, as close to the command's as can be. */
	gauge_read(g);
	measurement_renew(f.whole);
	if (f.rows)
		measurement_renew(f.rows);
	f.begin_ns = gauge_t_ns(g);
	if (phase_watch_begin(phases, e, &slot, 1) < 0)
		snprintf(ret->no_phases, sizeof(ret->no_phases), "out of memory");
	f.row_ns = f.begin_ns + o->interval_ns;
	r = ending_signal(o->signals);
	if (r != 0) {
		cli_fail(
			"run", "a signal (%d) came before %s began: it was not run", r, o->argv[0]);
		r = 128 + r;
	} else if ((r = command_release(c)) == 0) {
		if (o->units)
			units_begin(o->units);
		follow(&f);
		measurement_take(f.whole, &ret->figures);
		if (phase_watch_end(phases, &ret->phases) < 0)
			snprintf(ret->no_phases, sizeof(ret->no_phases), "out of memory");
		ret->status = exit_status(command_status(c));
		ret->cut = o->signals->ended_by != 0;
		ret->n_left = command_left(c, ret->left, ARRAY_SIZE(ret->left));
		ret->method = command_method(c);
		if (o->units)
			ret->units = finish_units(o);
	} else {
		r = say_not_executed(o->argv[0], r);
	}
	measurement_free(f.whole);
	measurement_free(f.rows);
	return r;
}

/* This program's environment, in which the channel for phases is named. Free the list alone. */
static char **environment_with(char *variable)
{
	size_t n = 0, kept = 0, name = strlen(PHASE_CHANNEL_ENV "=");
	char **list;

	while (environ[n])
		n++;
	list = calloc(n + 2, sizeof(*list));
	for (size_t i = 0; list && i < n; i++)
		if (strncmp(environ[i], variable, name) != 0)
			list[kept++] = environ[i];
	if (list)
		list[kept] = variable;
	return list;
}

/* Where phases cannot be marked the command runs all the same. */
static void open_phases(const struct run_options *o, struct phase_watch *w, struct run_result *ret)
{
	const struct passwd *user = o->user ? getpwnam(o->user) : NULL;

	if (phase_watch_open(w, NULL, user ? user->pw_uid : getuid(), ret->no_phases,
		    sizeof(ret->no_phases)) < 0)
		*w = (struct phase_watch) { 0 };
}

int run_once(const struct run_options *o, const struct instrument *e, struct run_result *ret)
{
	struct command_options options = { .argv = o->argv,
		.user = o->user,
		.no_stdin = o->no_stdin,
		.stdout_fd = o->units ? units_write_fd(o->units) : -1,
		.mask = &o->signals->mask,
		.old_sigchld = o->signals->old_sigchld };
	CLEANUP_FREE char **environment = NULL;
	struct phase_watch phases = { 0 };
	struct command *c = NULL;
	struct target target;
	char variable[320];
	const char *what;
	uint32_t slot;
	int r;

	*ret = (struct run_result) { 0 };
	open_phases(o, &phases, ret);
	if (phases.channel) {
		snprintf(variable, sizeof(variable), PHASE_CHANNEL_ENV "=%s",
			phase_channel_path(phases.channel));
		options.environment = environment = environment_with(variable);
	}
	r = command_create(&c, &options, &what);
	if (r == -ENOENT && o->user)
		cli_fail("run", "--user: there is no user \"%s\"", o->user);
	else if (r == -EPERM && o->user)
		cli_fail("run", "--user %s: only root may run commands as somebody else", o->user);
	else if (r < 0)
		cli_fail("run", "the command cannot be started: %s: %s", what, strerror(-r));
	if (r < 0) {
		phase_watch_close(&phases);
		return CLI_RUN_FAILED;
	}
	r = command_target(c, &target);
	if (r == 0)
		r = gauge_add(e->gauge, &target, &slot);
	if (r < 0) {
		phase_watch_close(&phases);
		command_destroy(c);
		cli_fail("run", "%s", strerror(-r));
		return CLI_RUN_FAILED;
	}
	r = measure(o, e, slot, c, &phases, ret);
	phase_watch_close(&phases);
	gauge_drop(e->gauge, slot);
	command_destroy(c);
	return r;
}
