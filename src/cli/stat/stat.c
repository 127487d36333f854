// SPDX-License-Identifier: MIT
/*
 * Following the targets: a row each interval, until they end or somebody ends it.
 */
#include "cli/stat/stat.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/signals.h"
#include "util/timer.h"

#define MAX_ROWS 1000000

/* Power is looked at at least this often, for peaks. */
#define LOOK_NS (100 * NS_PER_MS)

static void keep_row(struct stat_state *s, const struct run_row *row)
{
	if (!s->plan->json) {
		if (!s->head)
			report_row_head(s->instrument.rig, s->n_whos ? "targets" : NULL, s->out);
		s->head = true;
		report_row(s->instrument.rig, row, s->n_whos > 0, s->out);
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

void stat_end_row(struct stat_state *s, bool last)
{
	struct run_row row = { .end_ns = gauge_t_ns(s->instrument.gauge) - s->begin_ns };

	measurement_take(s->rows, &row.figures);
	/* What a sensor that cannot be read will show later is of the whole gap: the row goes on. */
	if (row.figures.failing && !last)
		return;
	if (row.figures.elapsed_ns > 0)
		keep_row(s, &row);
	measurement_renew(s->rows);
}

/* Returns false when there is nobody left to be measured. */
static bool look(struct stat_state *s)
{
	uint64_t now_ns, interval_ns = s->plan->interval_ns;
	bool any = s->plan->all;

	gauge_read(s->instrument.gauge);
	stat_record_flush(s);
	measurement_look(s->whole);
	if (phase_watch_look(&s->phases) && s->step_ns > PHASE_WATCH_STEP_NS) {
		s->step_ns = PHASE_WATCH_STEP_NS;
		timer_set(s->timer, gauge_t_ns(s->instrument.gauge), s->step_ns);
	}
	now_ns = gauge_t_ns(s->instrument.gauge);
	for (size_t i = 0; i < s->n_whos; i++) {
		struct stat_target *who = &s->whos[i];

		if (!who->ended && gauge_has_ended(s->instrument.gauge, who->slot))
			who->ended = true;
		any |= !who->ended;
	}
	if (interval_ns && now_ns >= s->row_ns) {
		stat_end_row(s, false);
		s->row_ns += (now_ns - s->row_ns) / interval_ns * interval_ns + interval_ns;
	}
	return any;
}

/* Whoever ignored a signal when this was started meant it to go on; and a child that ends is none of
 * ours, but of whoever was in this process before. */
static bool is_told_to_end(const struct run_signals *signals)
{
	struct signalfd_siginfo info;
	bool told = false;

	while (signals_next(signals->fd, &info))
		told |= info.ssi_signo != SIGCHLD &&
			sigismember(&signals->ignored, (int) info.ssi_signo) == 0;
	return told;
}

/* Waits for the next look, an end of a target, or a signal; false when a signal ends it all. */
static bool wait_for_something(
	const struct stat_state *s, struct pollfd *fds, size_t n, uint64_t end_ns)
{
	const struct timespec ts = timespec_until(end_ns, clock_mono_ns(&clock_system));
	uint64_t count;

	if (ppoll(fds, n, end_ns ? &ts : NULL, NULL) <= 0)
		return true;
	if (fds[0].revents && is_told_to_end(&s->signals))
		return false;
	if (fds[1].revents && read(fds[1].fd, &count, sizeof(count)) < 0)
		return errno == EAGAIN;
	return true;
}

static int follow(struct stat_state *s)
{
	const struct stat_plan *p = s->plan;
	uint64_t end_ns = p->duration_ns ? s->begin_ns + p->duration_ns : 0;
	CLEANUP_FREE struct pollfd *fds = calloc(2 + s->n_whos, sizeof(*fds));
	CLEANUP_FD int timer = -1;

	s->step_ns = p->interval_ns && p->interval_ns < LOOK_NS ? p->interval_ns : LOOK_NS;
	s->timer = timer = timer_open(s->begin_ns, s->step_ns);
	if (!fds || timer < 0)
		return cli_fail("stat", "%s", strerror(fds ? -timer : ENOMEM));
	fds[0] = (struct pollfd) { .fd = s->signals.fd, .events = POLLIN };
	fds[1] = (struct pollfd) { .fd = timer, .events = POLLIN };
	for (size_t i = 0; i < s->n_whos; i++)
		fds[2 + i] = (struct pollfd) {
			.fd = gauge_target(s->instrument.gauge, s->whos[i].slot)->exit_fd,
			.events = POLLIN
		};
	while (wait_for_something(s, fds, 2 + s->n_whos, end_ns)) {
		bool any;

		/* An ended target is read at once: its parent may take what is left of it. */
		for (size_t i = 0; i < s->n_whos; i++) {
			struct target *t = gauge_target(s->instrument.gauge, s->whos[i].slot);
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

static int begin(struct stat_state *s)
{
	uint32_t slots[2 * STAT_MAX_TARGETS];
	int r;

	for (size_t i = 0; i < s->n_whos; i++)
		slots[i] = s->whos[i].slot;
	instrument_read_ready(&s->instrument);
	r = measurement_begin(&s->whole, s->instrument.gauge, s->instrument.rig, slots, s->n_whos,
		s->instrument.tool);
	if (r == 0)
		r = measurement_begin(&s->rows, s->instrument.gauge, s->instrument.rig, slots,
			s->n_whos, s->instrument.tool);
	if (r == 0)
		r = phase_watch_begin(&s->phases, &s->instrument, slots, s->n_whos);
	if (r < 0)
		return cli_fail("stat", "%s", strerror(-r));
	s->begin_ns = gauge_t_ns(s->instrument.gauge);
	s->row_ns = s->begin_ns + s->plan->interval_ns;
	return CLI_DONE;
}

static bool wants_phases(void *ctx, pid_t pid)
{
	const struct stat_state *s = ctx;

	for (size_t i = 0; i < s->n_whos; i++) {
		const struct target *t = gauge_target(s->instrument.gauge, s->whos[i].slot);

		if (t && t->ops->has(t, pid))
			return true;
	}
	return s->plan->all;
}

/* Programs that are measured by root must be able to write into it, too. */
static int open_phases(struct stat_state *s)
{
	const char *path = s->plan->phases;
	char why[320], proc[64];
	uid_t owner = getuid();
	struct stat st;
	int r;

	if (!path)
		return CLI_DONE;
	snprintf(proc, sizeof(proc), "/proc/%d", (int) s->whos[0].pid);
	if (s->n_whos > 0 && s->whos[0].pid && geteuid() == 0 && stat(proc, &st) == 0)
		owner = st.st_uid;
	r = phase_watch_open(&s->phases, path, owner, why, sizeof(why));
	if (r == -EINVAL)
		return cli_usage("stat", "--phases: %s", why);
	if (r < 0)
		return cli_fail("stat", "--phases: %s", why);
	s->phases.wants = wants_phases;
	s->phases.ctx = s;
	return CLI_DONE;
}

static int end_phases(struct stat_state *s)
{
	int r = phase_watch_end(&s->phases, &s->phase_table);

	if (r < 0)
		return cli_fail("stat", "%s", strerror(-r));
	report_phases_warnings(&s->warnings, &s->phase_table);
	if (s->phases.n_unwanted > 0)
		warnings_add(&s->warnings,
			"%llu markers of processes that were not asked for were left out",
			(unsigned long long) s->phases.n_unwanted);
	return CLI_DONE;
}

static int stat_with(struct stat_state *s)
{
	int r = stat_add_targets(s);

	if (r == CLI_DONE)
		r = open_phases(s);
	if (r != CLI_DONE)
		return r;
	r = run_hold_signals(&s->signals);
	if (r < 0)
		return cli_fail("stat", "cannot create signalfd: %s", strerror(-r));
	r = begin(s);
	if (r == CLI_DONE)
		r = follow(s);
	if (r == CLI_DONE)
		r = end_phases(s);
	if (r == CLI_DONE)
		r = stat_tell(s);
	run_signals_finish(&s->signals);
	return r;
}

int stat_measure(struct stat_plan *p)
{
	struct stat_state s = { .plan = p, .out = stderr };
	const struct account_watcher watcher = { .slice = stat_record_slice, .ctx = &s };
	int r;

	if (p->output) {
		s.out = cli_open_output(p->output);
		if (!s.out)
			return cli_fail("stat", "-o %s: %s", p->output, strerror(errno));
	}
	r = stat_record_open(&s);
	if (r == CLI_DONE)
		r = instrument_open_told(
			&s.instrument, "stat", &p->sensors, p->record ? &watcher : NULL);
	if (r == CLI_DONE && p->output && cli_empty_file(p->output, s.out) < 0)
		r = cli_fail("stat", "-o %s: %s", p->output, strerror(errno));
	if (r == CLI_DONE)
		r = stat_with(&s);
	phase_watch_close(&s.phases);
	phase_table_finish(&s.phase_table);
	stat_record_close(&s);
	measurement_free(s.whole);
	measurement_free(s.rows);
	free(s.whos);
	free(s.kept);
	instrument_close(&s.instrument);
	if (p->output)
		fclose(s.out);
	return r;
}
