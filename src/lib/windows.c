// SPDX-License-Identifier: MIT
/* Windows, processes and readings. */
#include "lib/handle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- edges -------------------------------------------------------------------------------- */

int pm_edges_make(const struct meter *m, const struct edge *from, size_t n, struct edge *ret)
{
	const struct account *account = gauge_account(m->gauge);

	for (size_t i = 0; i < n; i++) {
		ret[i] = (struct edge) { .who = from[i].who, .slot = from[i].slot };
		ret[i].mark = account_mark_new(account, ret[i].slot);
		if (!ret[i].mark) {
			pm_edges_finish(ret, i);
			return -ENOMEM;
		}
	}
	return 0;
}

void pm_edges_set(const struct meter *m, struct edge *edges, size_t n)
{
	const struct gauge *gauge = m->gauge;

	for (size_t i = 0; i < n; i++) {
		account_mark_renew(gauge_account(gauge), edges[i].mark);
		edges[i].t_ns = gauge_t_ns(gauge);
		edges[i].capacity_ns = gauge_capacity_ns(gauge);
		edges[i].idle_ns = gauge_idle_ns(gauge);
	}
}

void pm_edges_finish(struct edge *edges, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		account_mark_free(edges[i].mark);
		edges[i].mark = NULL;
	}
}

/* ---- windows ------------------------------------------------------------------------------ */

/* Where the link to the window is; a link to nothing if there is none of that name. */
static struct window **find(struct pm *pm, const char *key)
{
	struct window **at = &pm->windows;

	while (*at && strcmp((*at)->key, key) != 0)
		at = &(*at)->next;
	return at;
}

static void forget(struct pm *pm, struct window **at)
{
	struct window *w = *at;

	*at = w->next;
	pm->n_windows--;
	pm_edges_finish(w->edges, w->n_edges);
	free(w->key);
	free(w);
}

static int begin_window(struct pm *pm, const char *key)
{
	size_t n = pm->meter->n_base;
	struct window *w;

	if (*find(pm, key))
		return pm_fail(-EEXIST,
			"the window \"%s\" has begun already: end it first, or use another name",
			key);
	if (pm->n_windows >= PM_MAX_WINDOWS)
		return pm_fail(-E2BIG, "%d windows are open: end or cancel some", PM_MAX_WINDOWS);
	w = calloc(1, sizeof(*w) + n * sizeof(w->edges[0]));
	if (!w)
		return pm_fail(-ENOMEM, "out of memory");
	w->key = strdup(key);
	if (!w->key || pm_edges_make(pm->meter, pm->meter->base, n, w->edges) < 0) {
		free(w->key);
		free(w);
		return pm_fail(-ENOMEM, "out of memory");
	}
	w->n_edges = n;
	w->next = pm->windows;
	pm->windows = w;
	pm->n_windows++;
	gauge_read(pm->meter->gauge);
	pm_edges_set(pm->meter, w->edges, n);
	return 0;
}

/* Enters a call about a window. */
static int enter_for(struct pm *pm, const char *key)
{
	if (!key || !*key)
		return pm_fail(-EINVAL, "a window needs a name");
	return pm_enter(pm);
}

int pm_begin_window(struct pm *pm, const char *key)
{
	int r = enter_for(pm, key);

	if (r < 0)
		return r;
	r = begin_window(pm, key);
	pm_leave(pm);
	return r;
}

static int refuse_missing(const char *key)
{
	return pm_fail(-ENOENT,
		"no window \"%s\" is open: it was never begun, or has been ended already", key);
}

static int end_window(struct pm *pm, const char *key, struct pm_result **ret)
{
	struct window **at = find(pm, key);
	struct pm_result *result;

	if (!*at)
		return refuse_missing(key);
	result = pm_result_new(pm, (*at)->n_edges);
	if (!result)
		return pm_fail(-ENOMEM, "out of memory: the window is still open");
	gauge_read(pm->meter->gauge);
	pm_result_fill(result, pm, (*at)->edges, (*at)->n_edges);
	forget(pm, at);
	*ret = result;
	return 0;
}

int pm_end_window(struct pm *pm, const char *key, struct pm_result **ret)
{
	int r;

	if (!ret)
		return pm_fail(-EINVAL,
			"there is no place for the result; pm_cancel_window() forgets a window");
	r = enter_for(pm, key);
	if (r < 0)
		return r;
	r = end_window(pm, key, ret);
	pm_leave(pm);
	return r;
}

int pm_cancel_window(struct pm *pm, const char *key)
{
	struct window **at;
	int r = enter_for(pm, key);

	if (r < 0)
		return r;
	at = find(pm, key);
	if (*at)
		forget(pm, at);
	else
		r = refuse_missing(key);
	pm_leave(pm);
	return r;
}

int pm_read(struct pm *pm, struct pm_result **ret)
{
	struct pm_result *result;
	int r;

	if (!ret)
		return pm_fail(-EINVAL, "there is no place for the result");
	r = pm_enter(pm);
	if (r < 0)
		return r;
	result = pm_result_new(pm, pm->meter->n_base);
	if (result) {
		gauge_read(pm->meter->gauge);
		pm_result_fill(result, pm, pm->meter->base, pm->meter->n_base);
		*ret = result;
	} else {
		r = pm_fail(-ENOMEM, "out of memory");
	}
	pm_leave(pm);
	return r;
}

/* ---- processes ---------------------------------------------------------------------------- */

/* Its clock survives the process, where that is allowed: what it used since the last reading is
 * then not lost when it is reaped. */
static void keep_clock(struct gauge *gauge, uint32_t slot)
{
	struct taskclock clock = { 0 };
	struct target *t = gauge_target(gauge, slot);

	if (taskclock_init(&clock, t->pid, TASKCLOCK_MAX_THREADS) == 0)
		target_keep(t, clock);
}

static int add_process(struct pm *pm, pid_t pid, int *ret_who)
{
	struct meter *m = pm->meter;
	struct edge *edge = &m->base[m->n_base], wanted = { .who = pm->next_who };
	struct target target;
	int r;

	if (pid <= 0)
		return pm_fail(-EINVAL, "%d is no pid", (int) pid);
	r = target_open_process(&target, pid);
	if (r == -ESRCH)
		return pm_fail(r, "there is no process %d", (int) pid);
	if (r < 0)
		return pm_fail(r, "process %d: %s", (int) pid, strerror(-r));
	for (size_t i = 1; i < m->n_base; i++) {
		const struct target *known = gauge_target(m->gauge, m->base[i].slot);

		if (known->pid != pid || known->start_ticks != target.start_ticks)
			continue;
		target_close(&target);
		*ret_who = m->base[i].who;
		return 0;
	}
	if (m->n_base == sizeof(m->base) / sizeof(m->base[0]))
		r = pm_fail(-E2BIG, "%d processes are known: remove some", PM_MAX_PROCESSES);
	else
		r = gauge_add(m->gauge, &target, &wanted.slot);
	if (r < 0) {
		target_close(&target);
		return r == -ENOMEM ? pm_fail(r, "out of memory") : r;
	}
	keep_clock(m->gauge, wanted.slot);
	gauge_read(m->gauge);
	if (pm_edges_make(m, &wanted, 1, edge) < 0) {
		gauge_drop(m->gauge, wanted.slot);
		return pm_fail(-ENOMEM, "out of memory");
	}
	pm_edges_set(m, edge, 1);
	m->n_base++;
	*ret_who = pm->next_who++;
	return 0;
}

int pm_add_process(struct pm *pm, pid_t pid, int *ret_who)
{
	int r;

	if (!ret_who)
		return pm_fail(-EINVAL, "there is no place for the process's number");
	r = pm_enter(pm);
	if (r < 0)
		return r;
	r = add_process(pm, pid, ret_who);
	pm_leave(pm);
	return r;
}

static int remove_process(struct pm *pm, int who)
{
	struct meter *m = pm->meter;
	size_t at = 0;

	if (who == PM_MACHINE || who == PM_SELF)
		return pm_fail(-EINVAL, "the machine and the process itself are always there");
	while (at < m->n_base && m->base[at].who != who)
		at++;
	if (at == m->n_base)
		return pm_fail(-ENOENT, "there is no process number %d", who);
	for (const struct window *w = pm->windows; w; w = w->next)
		for (size_t i = 0; i < w->n_edges; i++)
			if (w->edges[i].who == who)
				return pm_fail(
					-EBUSY, "the window \"%s\" has it: end that first", w->key);
	gauge_drop(m->gauge, m->base[at].slot);
	pm_edges_finish(&m->base[at], 1);
	memmove(&m->base[at], &m->base[at + 1], (m->n_base - at - 1) * sizeof(m->base[0]));
	m->n_base--;
	return 0;
}

int pm_remove_process(struct pm *pm, int who)
{
	int r = pm_enter(pm);

	if (r < 0)
		return r;
	r = remove_process(pm, who);
	pm_leave(pm);
	return r;
}
