// SPDX-License-Identifier: MIT
/*
 * What stat follows: processes, their trees, control groups.
 */
#include "cli/stat/stat.h"
#include "util/fdroom.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "target/procstat.h"

/* No chain of parents is longer. */
#define MAX_DEPTH 65536

static int add_target(struct stat_state *s, struct target *t)
{
	struct stat_target *who = &s->whos[s->n_whos];
	int r;

	*who = (struct stat_target) { .pid = t->pid };
	snprintf(who->name, sizeof(who->name), "%s", t->name);
	r = gauge_add(s->instrument.gauge, t, &who->slot);
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
static bool is_in_other_tree(struct stat_state *s, pid_t pid)
{
	const struct stat_plan *p = s->plan;

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

static int add_pid(struct stat_state *s, pid_t pid)
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

static int add_group(struct stat_state *s, const char *group)
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

int stat_add_targets(struct stat_state *s)
{
	const struct stat_plan *p = s->plan;
	int r = CLI_DONE;

	/* Each thread of a tree needs a descriptor. */
	if (p->tree)
		fdroom_raise();
	s->whos = calloc(p->n_pids + p->n_groups + 1, sizeof(*s->whos));
	if (!s->whos)
		return cli_fail("stat", "%s", strerror(ENOMEM));
	for (size_t i = 0; r == CLI_DONE && i < p->n_pids; i++)
		r = add_pid(s, p->pids[i]);
	for (size_t i = 0; r == CLI_DONE && i < p->n_groups; i++)
		r = add_group(s, p->groups[i]);
	return r;
}
