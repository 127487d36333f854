// SPDX-License-Identifier: MIT
#include "cli/run.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/cleanup.h"

/* Power is looked at this often, for peaks; counters would not need it. */
#define LOOK_NS (100 * NS_PER_MS)

int run_hold_signals(sigset_t *ret_mask, void (**ret_old_sigchld)(int))
{
	static const int held[] = { SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2,
		SIGPIPE };
	struct sigaction old;
	sigset_t mask;
	int fd;

	sigemptyset(&mask);
	for (size_t i = 0; i < ARRAY_SIZE(held); i++)
		sigaddset(&mask, held[i]);
	/* Whoever starts this with SIGCHLD ignored would have its children vanish unread. */
	sigaction(SIGCHLD, NULL, &old);
	*ret_old_sigchld = old.sa_handler;
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_BLOCK, &mask, ret_mask);
	fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* Hands on what was sent to this process alone; what comes from the terminal has reached the
 * command already. Returns whether there was a SIGCHLD. */
static bool take_signals(const struct run_options *o, const struct command *c)
{
	struct signalfd_siginfo info;
	bool child = false;

	while (read(o->signal_fd, &info, sizeof(info)) == (ssize_t) sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			child = true;
		else if (info.ssi_signo != SIGPIPE && info.ssi_code != SI_KERNEL)
			kill(command_pid(c), (int) info.ssi_signo);
	}
	return child;
}

static int exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int say_not_executed(const char *name, int error)
{
	if (error == -ENOENT) {
		cli_fail("run", "%s: there is no such command", name);
		return RUN_NOT_FOUND;
	}
	cli_fail("run", "%s: cannot be executed: %s", name, strerror(-error));
	return RUN_NOT_EXECUTABLE;
}

struct follower {
	const struct run_options *options;
	struct command *command;
	struct gauge *gauge;
	struct measurement_base *whole;
	struct measurement_base *rows; /* NULL: none */
	uint64_t begin_ns;
	uint64_t row_ns; /* the end of the present row */
};

static void end_row(struct follower *f)
{
	struct run_row row = { .end_ns = gauge_t_ns(f->gauge) - f->begin_ns };

	measurement_take(f->rows, &row.figures);
	if (row.figures.elapsed_ns > 0)
		f->options->row(f->options->ctx, &row);
	measurement_renew(f->rows);
}

static void look(struct follower *f)
{
	uint64_t interval_ns = f->options->interval_ns;

	gauge_read(f->gauge);
	measurement_look(f->whole);
	if (!f->rows || gauge_t_ns(f->gauge) < f->row_ns)
		return;
	end_row(f);
	/* Rows that were slept through are one long row. */
	f->row_ns += (gauge_t_ns(f->gauge) - f->row_ns) / interval_ns * interval_ns + interval_ns;
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

/* Until the command has ended. */
static void follow(struct follower *f)
{
	const struct run_options *o = f->options;
	uint64_t step_ns = o->interval_ns && o->interval_ns < LOOK_NS ? o->interval_ns : LOOK_NS;
	CLEANUP_FD int timer = start_timer(f->begin_ns, step_ns);
	struct pollfd fds[] = { { .fd = o->signal_fd, .events = POLLIN },
		{ .fd = timer, .events = POLLIN },
		{ .fd = o->units ? units_fd(o->units) : -1, .events = POLLIN } };
	bool ended = command_reap(f->command);

	while (!ended) {
		uint64_t n;

		if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
			continue;
		if (fds[0].revents && take_signals(o, f->command))
			ended = command_reap(f->command);
		if (fds[2].revents && !units_copy(o->units))
			fds[2].fd = -1;
		if (!ended && fds[1].revents && read(timer, &n, sizeof(n)) > 0)
			look(f);
	}
	gauge_read(f->gauge);
	measurement_look(f->whole);
	if (f->rows)
		end_row(f);
}

static int measure(const struct run_options *o, const struct engine *e, uint32_t slot,
	struct command *c, struct run_result *ret)
{
	struct gauge *g = e->gauge;
	struct follower f = { .options = o, .command = c, .gauge = g };
	int r;

	engine_read_ready(e);
	r = measurement_begin(&f.whole, g, e->rig, &slot, 1, e->tool);
	if (r == 0 && o->interval_ns)
		r = measurement_begin(&f.rows, g, e->rig, &slot, 1, e->tool);
	if (r < 0) {
		measurement_free(f.whole);
		cli_fail("run", "%s", strerror(-r));
		return RUN_FAILED;
	}
	/* The start, as close to the command's as can be. */
	gauge_read(g);
	measurement_renew(f.whole);
	if (f.rows)
		measurement_renew(f.rows);
	f.begin_ns = gauge_t_ns(g);
	f.row_ns = f.begin_ns + o->interval_ns;
	r = command_release(c);
	if (r == 0) {
		if (o->units)
			units_begin(o->units);
		follow(&f);
		measurement_take(f.whole, &ret->figures);
		ret->status = exit_status(command_status(c));
		ret->n_left = command_left(c, ret->left, ARRAY_SIZE(ret->left));
		ret->method = command_method(c);
		if (o->units)
			ret->units = units_finish(o->units);
	} else {
		r = say_not_executed(o->argv[0], r);
	}
	measurement_free(f.whole);
	measurement_free(f.rows);
	return r;
}

int run_once(const struct run_options *o, const struct engine *e, struct run_result *ret)
{
	const struct command_options options = { .argv = o->argv,
		.user = o->user,
		.no_stdin = o->no_stdin,
		.stdout_fd = o->units ? units_write_fd(o->units) : -1,
		.mask = o->mask,
		.old_sigchld = o->old_sigchld };
	struct command *c = NULL;
	struct target target;
	const char *what;
	uint32_t slot;
	int r = command_create(&c, &options, &what);

	*ret = (struct run_result) { 0 };
	if (r == -ENOENT && o->user)
		cli_fail("run", "--user: there is no user \"%s\"", o->user);
	else if (r == -EPERM && o->user)
		cli_fail("run", "--user %s: only root may run commands as somebody else", o->user);
	else if (r < 0)
		cli_fail("run", "the command cannot be started: %s: %s", what, strerror(-r));
	if (r < 0)
		return RUN_FAILED;
	r = command_target(c, &target);
	if (r == 0)
		r = gauge_add(e->gauge, &target, &slot);
	if (r < 0) {
		command_destroy(c);
		cli_fail("run", "%s", strerror(-r));
		return RUN_FAILED;
	}
	r = measure(o, e, slot, c, ret);
	gauge_drop(e->gauge, slot);
	command_destroy(c);
	return r;
}
