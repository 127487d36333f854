// SPDX-License-Identifier: MIT
#include "session/session_targets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "target/procstat.h"

static struct watched *find_watched(const struct session_set *ss, pid_t pid, uint64_t start_ticks)
{
	for (uint32_t i = 0; i < ss->n_slots; i++) {
		struct watched *w = ss->watched[i];

		if (w && !w->ended && w->pid == pid && w->start_ticks == start_ticks)
			return w;
	}
	return NULL;
}

static int free_slot(struct session_set *ss, uint32_t *ret)
{
	struct watched **grown;
	uint32_t n;

	for (uint32_t i = 0; i < ss->n_slots; i++) {
		if (!ss->watched[i]) {
			*ret = i;
			return 0;
		}
	}
	if (ss->n_slots == SESSION_TARGETS_MAX)
		return -E2BIG;
	n = ss->n_slots ? ss->n_slots * 2 : 8;
	grown = realloc(ss->watched, n * sizeof(struct watched *));
	if (!grown)
		return -ENOMEM;
	memset(grown + ss->n_slots, 0, (n - ss->n_slots) * sizeof(struct watched *));
	ss->watched = grown;
	*ret = ss->n_slots;
	ss->n_slots = n;
	return 0;
}

int watched_open(struct session_set *ss, pid_t pid, struct watched **ret)
{
	CLEANUP_FREE struct target *t = NULL;
	CLEANUP_FREE struct watched *w = NULL;
	struct procstat stat;
	bool exact = true;
	uint32_t slot;
	int r = procstat_read(pid, &stat);

	if (r < 0)
		return r;
	*ret = find_watched(ss, pid, stat.start_ticks);
	if (*ret)
		return 0;
	r = free_slot(ss, &slot);
	if (r < 0)
		return r;
	t = calloc(1, sizeof(*t));
	w = calloc(1, sizeof(*w));
	if (!t || !w)
		return -ENOMEM;
	r = ss->options.trees ? target_open_tree(t, pid, &exact) : target_open_process(t, pid);
	if (r < 0)
		return r;
	if (!exact && !ss->told_inexact) {
		ss->told_inexact = true;
		session_set_say(ss, SESSION_WARNING,
			"--tree: descendants are counted from /proc, for perf events are refused: "
			"short-lived ones only if somebody waits for them; sudo sysctl "
			"kernel.perf_event_paranoid=2 helps");
	}
	t->slot = slot;
	w->slot = slot;
	w->pid = pid;
	w->start_ticks = t->start_ticks;
	memcpy(w->name, t->name, sizeof(w->name));
	w->target = take_ptr(t);
	ss->n_watched++;
	*ret = ss->watched[slot] = take_ptr(w);
	return 0;
}

static void unwatch(struct session_set *ss, struct watched *w)
{
	if (w->target) { /* never sampled */
		target_close(w->target);
		free(w->target);
	} else {
		ss->hooks.sampling.drop(ss->hooks.ctx, w->slot);
		account_drop_target(ss->account, w->slot);
	}
	account_mark_free(w->line_mark);
	for (size_t i = 0; i < PHASES_MAX_THREADS; i++)
		if (ss->phase_owners[i] == w)
			ss->phase_owners[i] = NULL;
	ss->kept_threads -= w->kept_threads;
	ss->watched[w->slot] = NULL;
	ss->n_watched--;
	free(w);
}

void watched_release(struct session_set *ss, struct watched *w)
{
	if (--w->n_members == 0)
		unwatch(ss, w);
}

void watched_refresh_name(struct watched *w)
{
	struct procstat stat;

	if (procstat_read(w->pid, &stat) == 0 && stat.start_ticks == w->start_ticks)
		snprintf(w->name, sizeof(w->name), "%s", stat.comm);
}

void watched_keep_last_time(struct session_set *ss, struct watched *w)
{
	struct taskclock clock;
	struct procstat stat;

	/* A tree's events outlive its processes anyway. */
	if (ss->options.trees || ss->kept_threads >= ss->options.max_kept_threads ||
		taskclock_init(&clock, w->pid, ss->options.max_kept_threads - ss->kept_threads) < 0)
		return;
	/* The pid may have gone to somebody else meanwhile. */
	if (procstat_read(w->pid, &stat) < 0 || stat.start_ticks != w->start_ticks) {
		taskclock_finish(&clock);
		return;
	}
	w->kept_threads = clock.n;
	ss->kept_threads += clock.n;
	ss->hooks.sampling.keep(ss->hooks.ctx, w->slot, clock);
}
