// SPDX-License-Identifier: MIT
/*
 * Following a command: what has ended, what is left, and how much CPU time it all used.
 */
#include "target/command_state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "machine/clock.h"
#include "target/procstat.h"
#include "target/proctree.h"
#include "util/timer.h"

#define MAX_LEFT 32768

static bool is_stranger(const struct command *c, pid_t pid)
{
	for (size_t i = 0; i < c->strangers.n; i++)
		if (c->strangers.list[i] == pid)
			return true;
	return false;
}

/* Once it was waited for, its number may become one of the command's. */
static bool forget_stranger(struct command *c, pid_t pid)
{
	for (size_t i = 0; i < c->strangers.n; i++) {
		if (c->strangers.list[i] != pid)
			continue;
		c->strangers.list[i] = c->strangers.list[--c->strangers.n];
		return true;
	}
	return false;
}

static uint64_t time_ns(const struct rusage *usage)
{
	return ((uint64_t) usage->ru_utime.tv_sec + (uint64_t) usage->ru_stime.tv_sec) * NS_PER_S +
		((uint64_t) usage->ru_utime.tv_usec + (uint64_t) usage->ru_stime.tv_usec) * 1000;
}

bool command_reap(struct command *c)
{
	struct rusage usage;
	int status;
	pid_t pid;

	while ((pid = wait4(c->has_group ? c->pid : -1, &status, WNOHANG, &usage)) > 0) {
		if (forget_stranger(c, pid))
			continue;
		c->reaped_ns += time_ns(&usage);
		if (pid == c->pid) {
			c->ended = true;
			c->status = status;
		}
		if (c->has_group)
			break;
	}
	return c->ended;
}

int command_status(const struct command *c)
{
	return c->status;
}

struct leftovers {
	const struct command *command;
	pid_t pids[MAX_LEFT];
	size_t n;
};

static int add_left(pid_t pid, void *ctx)
{
	struct leftovers *left = ctx;

	if (is_stranger(left->command, pid))
		return 0;
	if (left->n == MAX_LEFT)
		return -E2BIG;
	left->pids[left->n++] = pid;
	return 0;
}

/* All that runs below this process, or in the group. */
static void find_left(const struct command *c, struct leftovers *left)
{
	int n;

	left->command = c;
	left->n = 0;
	if (c->has_group) {
		n = cgroup_own_list(&c->group, left->pids, MAX_LEFT);
		left->n = n < 0 ? 0 : (size_t) n < MAX_LEFT ? (size_t) n : MAX_LEFT;
		return;
	}
	proctree_children(getpid(), add_left, left);
	for (size_t i = 0; i < left->n; i++)
		proctree_children(left->pids[i], add_left, left);
}

size_t command_left(const struct command *c, struct command_left *ret, size_t n)
{
	static struct leftovers left;
	size_t kept = 0;

	find_left(c, &left);
	for (size_t i = 0; i < left.n; i++) {
		struct procstat stat;

		if (procstat_read(left.pids[i], &stat) < 0 || stat.state == 'Z')
			continue;
		if (kept < n) {
			ret[kept].pid = left.pids[i];
			snprintf(ret[kept].name, sizeof(ret[kept].name), "%s", stat.comm);
		}
		kept++;
	}
	return kept;
}

/* What runs on has not been waited for: its own clocks tell. */
static uint64_t left_ns(const struct command *c)
{
	static struct leftovers left;
	uint64_t sum = 0, unit_ns = NS_PER_S / (uint64_t) sysconf(_SC_CLK_TCK);

	find_left(c, &left);
	for (size_t i = 0; i < left.n; i++) {
		struct procstat stat;
		struct timespec ts;
		clockid_t clock;

		if (clock_getcpuclockid(left.pids[i], &clock) != 0 ||
			clock_gettime(clock, &ts) < 0 || procstat_read(left.pids[i], &stat) < 0)
			continue;
		sum += timespec_to_ns(&ts) + stat.children_ticks * unit_ns;
	}
	return sum;
}

const char *command_method(const struct command *c)
{
	return c->has_group ? "control group"
		: c->exact  ? "wait and perf events"
			    : "wait and /proc";
}

/* ---- the target ------------------------------------------------------------------------- */

static void command_read(struct target *t, uint64_t now_ns, struct usage *ret)
{
	struct command *c = t->state;
	uint64_t cpu_ns;

	if (t->ended) {
		*ret = t->last;
		return;
	}
	c->live.ops->read(&c->live, now_ns, ret);
	cpu_ns = ret->cpu_ns;
	if (c->ended) {
		uint64_t waited_ns = c->reaped_ns + (c->has_group ? 0 : left_ns(c));

		waited_ns -= waited_ns < c->before_ns ? waited_ns : c->before_ns;
		if (c->live_before_ns + waited_ns > cpu_ns)
			cpu_ns = c->live_before_ns + waited_ns;
		t->ended = true;
	}
	if (cpu_ns > t->last_cpu_ns)
		t->last_cpu_ns = cpu_ns;
	t->last = (struct usage) {
		.slot = t->slot, .flags = t->ended ? USAGE_ENDED : 0, .cpu_ns = t->last_cpu_ns
	};
	*ret = t->last;
}

static bool command_has(const struct target *t, pid_t pid)
{
	const struct command *c = t->state;

	return pid == c->pid || c->live.ops->has(&c->live, pid);
}

static void command_close(struct target *t)
{
	t->state = NULL;
}

static const struct target_ops command_ops = {
	.name = "command",
	.read = command_read,
	.read_last = command_read,
	.has = command_has,
	.close = command_close,
};

int command_target(struct command *c, struct target *ret)
{
	*ret = (struct target) { .ops = &command_ops, .pid = c->pid, .exit_fd = -1, .state = c };
	snprintf(ret->name, sizeof(ret->name), "%s", c->live.name);
	return 0;
}
