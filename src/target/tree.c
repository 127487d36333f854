// SPDX-License-Identifier: MIT
/*
 * A process and all that it starts, as a target.
 *
 * Best are perf task-clock events that children inherit: whatever the tree does, the kernel adds up
 * (but for what a process uses after its event was closed at its end, when its memory is given back:
 * some tens of microseconds, up to some tenths of a millisecond for large ones). Where those are refused, /proc is
 * walked at each reading: what a child used is found in its own clock while it is there, and in
 * its parent's sum over the children it waited for (in units of 10 ms) afterwards.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "machine/clock.h"
#include "target/target.h"
#include "util/cleanup.h"
#include "target/pidlist.h"
#include "target/procstat.h"
#include "target/proctree.h"
#include "util/timer.h"

#define MAX_MEMBERS 65536
#define MAX_EVENTS 1024
#define MAX_DEPTH 256

/* How often a list of children is made again that changed while events were opened. */
#define ATTEMPTS 3

struct member {
	pid_t pid;
	pid_t parent;
	uint64_t start_ticks;
	clockid_t clock;
	bool gone;
	bool fresh; /* found by this walk: its children are still to be looked for */
	uint64_t own_ns;
	uint64_t children_ns; /* of children that it waited for */
	uint64_t base_ns;     /* of both, when measuring began */
};

struct tree {
	struct member *members;
	size_t n;
	size_t cap;
	uint64_t gone_ns; /* used by members that left it to nobody */
	uint64_t unit_ns; /* of children's time */
	bool opening;     /* members that are found have a past */

	struct taskclock *clocks; /* with perf events: one for each process that was there */
	size_t n_clocks;
};

static uint64_t total_of(const struct member *m)
{
	uint64_t sum = m->own_ns + m->children_ns;

	return sum > m->base_ns ? sum - m->base_ns : 0;
}

/* ---- walking ---------------------------------------------------------------------------- */

static struct member *find(struct tree *tree, pid_t pid)
{
	for (size_t i = 0; i < tree->n; i++)
		if (tree->members[i].pid == pid && !tree->members[i].gone)
			return &tree->members[i];
	return NULL;
}

/* Brings a member up to date; false where the process is gone. */
static bool update(const struct tree *tree, struct member *m)
{
	struct procstat stat;
	struct timespec ts;
	uint64_t ns;

	if (clock_gettime(m->clock, &ts) < 0 || procstat_read(m->pid, &stat) < 0 ||
		stat.start_ticks != m->start_ticks)
		return false;
	ns = timespec_to_ns(&ts);
	if (ns > m->own_ns)
		m->own_ns = ns;
	if (stat.children_ticks * tree->unit_ns > m->children_ns)
		m->children_ns = stat.children_ticks * tree->unit_ns;
	m->parent = stat.ppid;
	return true;
}

static int add_member(pid_t pid, void *ctx)
{
	struct tree *tree = ctx;
	struct procstat stat;
	struct member m = { .pid = pid, .fresh = true };

	if (find(tree, pid) || tree->n == MAX_MEMBERS)
		return 0;
	if (procstat_read(pid, &stat) < 0 || clock_getcpuclockid(pid, &m.clock) != 0)
		return 0;
	m.start_ticks = stat.start_ticks;
	if (!update(tree, &m))
		return 0;
	if (tree->opening)
		m.base_ns = m.own_ns + m.children_ns;
	if (tree->n == tree->cap) {
		size_t cap = tree->cap ? tree->cap * 2 : 16;
		struct member *members = realloc(tree->members, cap * sizeof(*members));

		if (!members)
			return -ENOMEM;
		tree->members = members;
		tree->cap = cap;
	}
	tree->members[tree->n++] = m;
	return 0;
}

static struct member *find_parent(struct tree *tree, const struct member *m)
{
	for (size_t i = 0; i < tree->n; i++)
		if (tree->members[i].pid == m->parent && &tree->members[i] != m)
			return &tree->members[i];
	return NULL;
}

/* What a member used that is gone is in the time of whoever waited for it, or for whoever did, if
 * that is one of us: mostly somebody did wait. Else it was seen for the last time. */
static void leave(struct tree *tree, const struct member *m)
{
	struct member *above = find_parent(tree, m);

	for (size_t i = 0; above && above->gone && i < tree->n; i++)
		above = find_parent(tree, above);
	if (above && !above->gone)
		above->base_ns += m->base_ns;
	else
		tree->gone_ns += total_of(m);
}

static void forget_gone(struct tree *tree)
{
	size_t kept = 0;

	for (size_t i = 0; i < tree->n; i++)
		if (!tree->members[i].gone)
			tree->members[kept++] = tree->members[i];
	tree->n = kept;
}

static uint64_t walk(struct tree *tree)
{
	uint64_t sum;

	for (size_t i = 0; i < tree->n; i++)
		tree->members[i].fresh = true;
	/* Those that are found go to the end of the list. */
	for (size_t i = 0; i < tree->n; i++)
		if (tree->members[i].fresh)
			proctree_children(tree->members[i].pid, add_member, tree);
	/* Parents first: of a child that ends meanwhile this reading may know too little, but never
	 * too much. */
	for (size_t i = 0; i < tree->n; i++)
		tree->members[i].gone = !update(tree, &tree->members[i]);
	for (size_t i = 0; i < tree->n; i++)
		if (tree->members[i].gone)
			leave(tree, &tree->members[i]);
	forget_gone(tree);
	sum = tree->gone_ns;
	for (size_t i = 0; i < tree->n; i++)
		sum += total_of(&tree->members[i]);
	return sum;
}

/* ---- perf events ------------------------------------------------------------------------ */

static int add_pid(pid_t pid, void *ctx)
{
	struct pid_list *pids = ctx;

	return pids->n == MAX_EVENTS ? -E2BIG : pid_list_add(pids, pid);
}

static bool same_children(pid_t pid, const struct pid_list *pids, size_t first)
{
	struct pid_list again = { 0 };
	size_t n = pids->n - first;
	bool same = proctree_children(pid, add_pid, &again) == 0 && again.n == n &&
		(n == 0 || memcmp(again.list, pids->list + first, n * sizeof(pid_t)) == 0);

	free(again.list);
	return same;
}

/* Opens events on a process, and appends the children that do not inherit them: those that were
 * there before. */
static int open_events(struct tree *tree, pid_t pid, struct pid_list *pids)
{
	struct taskclock clock = { 0 };
	size_t first = pids->n;

	for (int attempt = 0;; attempt++) {
		int r;

		pids->n = first;
		r = proctree_children(pid, add_pid, pids);
		if (r == 0)
			r = taskclock_init_tree(&clock, pid, TASKCLOCK_MAX_THREADS);
		if (r < 0)
			return r;
		if (attempt + 1 == ATTEMPTS || same_children(pid, pids, first))
			break;
		taskclock_finish(&clock);
	}
	tree->clocks[tree->n_clocks++] = clock;
	return 0;
}

static int open_all_events(struct tree *tree, pid_t pid)
{
	struct pid_list pids = { 0 };
	int r = add_pid(pid, &pids);

	tree->clocks = calloc(MAX_EVENTS, sizeof(*tree->clocks));
	if (!tree->clocks)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < pids.n; i++) {
		r = open_events(tree, pids.list[i], &pids);
		if (r == -ESRCH && i > 0)
			r = 0;
	}
	free(pids.list);
	return r;
}

static void close_events(struct tree *tree)
{
	for (size_t i = 0; i < tree->n_clocks; i++)
		taskclock_finish(&tree->clocks[i]);
	free(tree->clocks);
	tree->clocks = NULL;
	tree->n_clocks = 0;
}

static uint64_t read_events(const struct tree *tree)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < tree->n_clocks; i++) {
		uint64_t ns;

		if (taskclock_read(&tree->clocks[i], &ns) == 0)
			sum += ns;
	}
	return sum;
}

/* ---- the target ------------------------------------------------------------------------- */

/* The first process: the tree ends with it. */
static bool has_ended(const struct target *t)
{
	struct pollfd fd = { .fd = t->exit_fd, .events = POLLIN };
	struct procstat stat;

	if (t->exit_fd >= 0)
		return poll(&fd, 1, 0) == 1;
	return procstat_read(t->pid, &stat) < 0 || stat.start_ticks != t->start_ticks ||
		(stat.state == 'Z' && stat.n_threads <= 1);
}

static void tree_read(struct target *t, uint64_t now_ns, struct usage *ret)
{
	struct tree *tree = t->state;
	bool ended;
	uint64_t cpu_ns;

	if (t->ended) {
		*ret = t->last;
		return;
	}
	/* In this order: what it used up to its end is in the sum. */
	ended = has_ended(t);
	cpu_ns = tree->clocks ? read_events(tree) : walk(tree);
	if (cpu_ns > t->last_cpu_ns)
		t->last_cpu_ns = cpu_ns;
	t->last = (struct usage) { .slot = t->slot, .cpu_ns = t->last_cpu_ns };
	if (ended) {
		t->ended = true;
		t->last.flags = USAGE_ENDED;
	}
	if (ended && !tree->clocks && now_ns > t->last_read_ns) {
		t->last.flags |= USAGE_TAIL;
		t->last.tail_ns = (now_ns - t->last_read_ns) * (tree->n ? tree->n : 1);
	}
	t->last_read_ns = now_ns;
	*ret = t->last;
}

static void tree_close(struct target *t)
{
	struct tree *tree = t->state;

	close_fd(&t->exit_fd);
	if (!tree)
		return;
	close_events(tree);
	free(tree->members);
	free(tree);
	t->state = NULL;
}

/* By its parents; one whose parent ended belongs to nobody any more. */
static bool tree_has(const struct target *t, pid_t pid)
{
	struct procstat stat;

	for (int i = 0; i < MAX_DEPTH && pid > 1; i++) {
		if (pid == t->pid)
			return true;
		if (procstat_read(pid, &stat) < 0)
			return false;
		pid = stat.ppid;
	}
	return false;
}

static const struct target_ops tree_ops = {
	.name = "tree",
	.read = tree_read,
	.read_last = tree_read,
	.has = tree_has,
	.close = tree_close,
};

int target_open_tree(struct target *t, pid_t pid, bool *ret_exact)
{
	struct tree *tree;
	int r = target_open_process(t, pid);

	if (r < 0)
		return r;
	t->ops = &tree_ops;
	t->last_cpu_ns = 0;
	t->state = tree = calloc(1, sizeof(*tree));
	if (!tree) {
		target_close(t);
		return -ENOMEM;
	}
	tree->unit_ns = NS_PER_S / (uint64_t) sysconf(_SC_CLK_TCK);
	r = open_all_events(tree, pid);
	*ret_exact = r == 0;
	if (r < 0) {
		close_events(tree);
		tree->opening = true;
		r = add_member(pid, tree);
		if (r == 0 && tree->n == 0)
			r = -ESRCH;
		if (r == 0)
			t->last_cpu_ns = walk(tree);
		tree->opening = false;
	}
	if (r < 0)
		target_close(t);
	return r;
}
