// SPDX-License-Identifier: MIT
/*
 * A process as a target: its CPU time is read from its own clock (clock_getcpuclockid(3)), which
 * counts all threads, ended ones too, needs no right and answers for zombies as well.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "machine/clock.h"
#include "target/target.h"
#include "util/cleanup.h"
#include "target/procstat.h"
#include "util/timer.h"

#define MARK_EVERY_NS NS_PER_S

static int read_clock(clockid_t clock, uint64_t *ret_ns)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts) < 0)
		return -errno;
	*ret_ns = timespec_to_ns(&ts);
	return 0;
}

/* Dead but not reaped. The first thread of a process may end before the others: then the process
 * looks like a zombie and is none. */
static bool is_zombie(const struct procstat *stat)
{
	return (stat->state == 'Z' || stat->state == 'X') && stat->n_threads <= 1;
}

/* Whether the pid still belongs to this process. Returns 0, -EOWNERDEAD for a zombie, -ESRCH where it
 * does not, or another -errno where that cannot be told. */
static int look_whether_there(const struct target *t)
{
	struct procstat stat;
	int r = procstat_read(t->pid, &stat);

	if (r < 0)
		return r;
	if (stat.start_ticks != t->start_ticks)
		return -ESRCH;
	return is_zombie(&stat) ? -EOWNERDEAD : 0;
}

static bool has_ended(const struct target *t)
{
	int r = look_whether_there(t);

	return r == -ESRCH || r == -EOWNERDEAD;
}

static bool holds_its_pid(const struct target *t)
{
	int r = look_whether_there(t);

	return r == 0 || r == -EOWNERDEAD;
}

static void answer(struct target *t, unsigned flags, uint64_t tail_ns, struct usage *ret)
{
	t->last = (struct usage) {
		.slot = t->slot, .flags = flags, .cpu_ns = t->last_cpu_ns, .tail_ns = tail_ns
	};
	t->ended = flags & USAGE_ENDED;
	*ret = t->last;
}

static void take(struct target *t, uint64_t cpu_ns, uint64_t now_ns)
{
	if (cpu_ns > t->last_cpu_ns)
		t->last_cpu_ns = cpu_ns;
	t->last_read_ns = now_ns;
}

/* The process clock moves once a tick while the process runs, but a read of the kept clock makes
 * the kernel bring it up to date: the kept one is read first. */
static void mark_kept(struct target *t, uint64_t now_ns)
{
	uint64_t kept_ns, cpu_ns = 0;

	if (t->kept.n == 0 || now_ns < t->mark_ns + MARK_EVERY_NS)
		return;
	if (taskclock_read(&t->kept, &kept_ns) < 0 || read_clock(t->cpu_clock, &cpu_ns) < 0)
		return;
	t->kept_ns = kept_ns;
	t->mark_cpu_ns = cpu_ns;
	t->mark_ns = now_ns;
}

static void process_read_last(struct target *t, uint64_t now_ns, struct usage *ret)
{
	uint64_t cpu_ns = 0, kept_ns, tail_ns;

	if (t->ended) {
		*ret = t->last;
		return;
	}
	/* In this order: a zombie that is found afterwards held the pid while its clock was read. */
	if (read_clock(t->cpu_clock, &cpu_ns) == 0 && holds_its_pid(t)) {
		take(t, cpu_ns, now_ns);
		answer(t, USAGE_ENDED, 0, ret);
		return;
	}
	if (t->kept.n > 0 && t->mark_ns > 0 && taskclock_read(&t->kept, &kept_ns) == 0) {
		take(t, t->mark_cpu_ns + (kept_ns - t->kept_ns), now_ns);
		answer(t, USAGE_ENDED, 0, ret);
		return;
	}
	tail_ns = now_ns > t->last_read_ns ? (now_ns - t->last_read_ns) * t->n_threads : 0;
	answer(t, USAGE_ENDED | USAGE_TAIL, tail_ns, ret);
}

static void process_read(struct target *t, uint64_t now_ns, struct usage *ret)
{
	uint64_t cpu_ns = 0;

	if (t->ended || read_clock(t->cpu_clock, &cpu_ns) < 0 || cpu_ns < t->last_cpu_ns ||
		(t->exit_fd < 0 && has_ended(t))) {
		process_read_last(t, now_ns, ret);
		return;
	}
	take(t, cpu_ns, now_ns);
	mark_kept(t, now_ns);
	answer(t, 0, 0, ret);
}

static bool process_has(const struct target *t, pid_t pid)
{
	return pid == t->pid;
}

static void process_close(struct target *t)
{
	close_fd(&t->exit_fd);
	taskclock_finish(&t->kept);
}

static const struct target_ops process_ops;

void target_keep(struct target *t, struct taskclock clock)
{
	if (t->ended || t->kept.n > 0) {
		taskclock_finish(&clock);
		return;
	}
	t->kept = clock;
	mark_kept(t, clock_mono_ns(&clock_system));
}

int target_open_process(struct target *t, pid_t pid)
{
	struct procstat stat, again;
	uint64_t now_ns = clock_mono_ns(&clock_system);
	int r;

	*t = (struct target) { .ops = &process_ops, .pid = pid, .exit_fd = -1 };
	r = procstat_read(pid, &stat);
	if (r < 0)
		return r;
	if (is_zombie(&stat))
		return -ESRCH;
	t->start_ticks = stat.start_ticks;
	t->n_threads = stat.n_threads;
	snprintf(t->name, sizeof(t->name), "%s", stat.comm);
	t->exit_fd = (int) syscall(SYS_pidfd_open, pid, 0);
	if (t->exit_fd < 0 && (errno == ESRCH || errno == EMFILE || errno == ENFILE))
		return -errno;
	if (t->exit_fd < 0)
		t->exit_fd = -1; /* before Linux 5.3, or a thread's id: looked at in each read */
	if (clock_getcpuclockid(pid, &t->cpu_clock) != 0 ||
		read_clock(t->cpu_clock, &t->last_cpu_ns) < 0)
		r = -ESRCH;
	if (r == 0)
		r = procstat_read(pid, &again);
	/* What was opened above must be one process's. */
	if (r == 0 && again.start_ticks != t->start_ticks)
		r = -ESRCH;
	if (r < 0) {
		target_close(t);
		return r;
	}
	t->last_read_ns = now_ns;
	return 0;
}

void target_close(struct target *t)
{
	if (!t->ops)
		return;
	t->ops->close(t);
	t->ops = NULL;
}

static const struct target_ops process_ops = {
	.name = "process",
	.read = process_read,
	.read_last = process_read_last,
	.has = process_has,
	.close = process_close,
};
