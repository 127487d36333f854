// SPDX-License-Identifier: MIT
/* Opening and closing, and the threads that there are after pm_start_polling(). */
#include "lib/handle.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "meter/power.h"
#include "util/cleanup.h"
#include "meter/sensorlist.h"
#include "util/thread.h"
#include "util/timer.h"
#include "util/u128.h"

#define MAX_GPUS 64
#define CLOSE_NS (500 * NS_PER_MS)

/* A reading may come late by this, and its value be that old. */
#define GAP_SLACK_NS (100 * NS_PER_MS)

/* The keeper reads so many times in the longest time that is safe. */
#define KEEP_TIMES 3

struct ground {
	struct host host;
	struct sensorlist list;
	char *gpus_text;
	const char *gpus[MAX_GPUS];
	struct sensor_options options;
	bool left; /* a thread hangs in a driver and may use all of this */
};

/* Flags and kinds go out as they are. */
#define SAME(theirs, ours) static_assert((int) (theirs) == (int) (ours), #theirs)
SAME(PM_MEASURED, FLAG_MEASURED);
SAME(PM_INTEGRATED, FLAG_INTEGRATED);
SAME(PM_ESTIMATED, FLAG_ESTIMATED);
SAME(PM_GAP, FLAG_GAP);
SAME(PM_RESET, FLAG_RESET);
SAME(PM_TAIL, FLAG_TAIL);
SAME(PM_DISPUTED, FLAG_DISPUTED);
SAME(PM_CPU, KIND_CPU);
SAME(PM_DRAM, KIND_DRAM);
SAME(PM_GPU, KIND_GPU);
SAME(PM_PLATFORM, KIND_PLATFORM);

/* ---- options ------------------------------------------------------------------------------ */

/* Takes what this version knows of the caller's options. */
static int take_options(const struct pm_options *o, struct pm_options *ret)
{
	*ret = (struct pm_options) PM_OPTIONS_INIT;
	if (!o)
		return 0;
	if (o->size < sizeof(*ret) || o->size > PM_STRUCT_MAX)
		return pm_fail(-EINVAL,
			"the options have no valid size: initialise them by PM_OPTIONS_INIT");
	for (size_t i = sizeof(*ret); i < o->size; i++)
		if (((const char *) o)[i])
			return pm_fail(-E2BIG,
				"an option of a later version is used, and this is libpowermeasure "
				"%s",
				PM_VERSION);
	*ret = *o;
	if (ret->kinds & ~KIND_ALL)
		return pm_fail(-EINVAL, "kinds: 0x%x has bits that are no kinds", ret->kinds);
	if (ret->estimate_idle_mw > ret->estimate_full_mw)
		return pm_fail(
			-EINVAL, "the estimate's idle power is above its power at full load");
	if (ret->reserved)
		return pm_fail(-EINVAL, "reserved must be 0");
	return 0;
}

static int take_gpus(struct ground *g, const char *text)
{
	char *save = NULL;

	g->gpus_text = strdup(text);
	if (!g->gpus_text)
		return -ENOMEM;
	for (char *one = strtok_r(g->gpus_text, ",", &save); one;
		one = strtok_r(NULL, ",", &save)) {
		if (g->options.n_gpus == MAX_GPUS)
			return pm_fail(-EINVAL, "gpus: more than %d", MAX_GPUS);
		g->gpus[g->options.n_gpus++] = one;
	}
	if (g->options.n_gpus == 0)
		return pm_fail(-EINVAL, "gpus: the list is empty; NULL stands for all");
	return 0;
}

static void ground_free(struct ground *g)
{
	if (!g || g->left)
		return;
	host_finish(&g->host);
	free(g->gpus_text);
	free(g);
}

static int ground_make(struct ground **ret, const struct pm_options *o, const struct clock *clock)
{
	struct ground *g = calloc(1, sizeof(*g));
	char why[512];
	int r;

	if (!g)
		return -ENOMEM;
	g->options = (struct sensor_options) {
		.gpus = g->gpus, .idle_mw = o->estimate_idle_mw, .full_mw = o->estimate_full_mw
	};
	r = host_init(&g->host, o->root, clock);
	if (r == -ENOSYS)
		pm_fail(r, HOST_NO_PROC_FIX);
	else if (r < 0)
		pm_fail(r, "the root %s: %s", o->root ? o->root : "/", strerror(-r));
	if (r == 0 && o->sensors && sensorlist_parse(o->sensors, &g->list, why, sizeof(why)) < 0)
		r = pm_fail(-EINVAL, "sensors: %s", why);
	if (r == 0 && g->list.file[0])
		g->options.file = g->list.file;
	if (r == 0 && o->gpus)
		r = take_gpus(g, o->gpus);
	if (r < 0) {
		ground_free(g);
		return r;
	}
	*ret = g;
	return 0;
}

/* ---- what is read ------------------------------------------------------------------------- */

static void meter_free(struct meter *m, struct ground *g)
{
	if (!m)
		return;
	pm_edges_finish(m->base, m->n_base);
	gauge_destroy(m->gauge);
	if (!rig_close(m->rig, CLOSE_NS))
		g->left = true;
	free(m);
}

/* The calling process's own target. Where its CPU time cannot be read, it has none. */
static int add_self(struct meter *m)
{
	struct target target;
	uint32_t slot;
	int r = target_open_process(&target, getpid());

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	r = gauge_add(m->gauge, &target, &slot);
	if (r < 0) {
		target_close(&target);
		return r;
	}
	m->base[m->n_base++] = (struct edge) { .who = PM_SELF, .slot = slot };
	return 0;
}

static int meter_make(struct pm *pm, bool polls, struct meter **ret)
{
	const struct rig_options rig_options = {
		.sensors = pm->ground->list.names[0] ? pm->ground->list.names : NULL,
		.sensor = &pm->ground->options,
		.no_threads = !polls,
	};
	const struct gauge_options gauge_options = { .kinds = pm->kinds };
	struct meter *m = calloc(1, sizeof(*m));
	const char *bad_name;
	int r;

	if (!m)
		return -ENOMEM;
	r = rig_open(&m->rig, &pm->ground->host, &rig_options, &bad_name);
	if (r == 0 && rig_absent(m->rig))
		r = pm_fail(-ENODEV, "gpus: %s", rig_absent(m->rig));
	if (r == 0)
		r = gauge_create(&m->gauge, &pm->ground->host, m->rig, &gauge_options);
	if (r == 0) {
		m->base[m->n_base++] = (struct edge) { .slot = ACCOUNT_NO_SLOT };
		r = add_self(m);
	}
	if (r == 0)
		r = pm_edges_make(m, m->base, m->n_base, m->base);
	if (r < 0) {
		meter_free(m, pm->ground);
		return r;
	}
	gauge_read(m->gauge);
	pm_edges_set(m, m->base, m->n_base);
	*ret = m;
	return 0;
}

/* ---- opening and closing ------------------------------------------------------------------ */

static void init_locks(struct pm *pm)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&pm->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pm->changed, &attr);
	pthread_condattr_destroy(&attr);
}

static void free_all(struct pm *pm)
{
	for (struct window *w = pm->windows, *next; w; w = next) {
		next = w->next;
		pm_edges_finish(w->edges, w->n_edges);
		free(w->key);
		free(w);
	}
	meter_free(pm->meter, pm->ground);
	ground_free(pm->ground);
	pthread_cond_destroy(&pm->changed);
	pthread_mutex_destroy(&pm->lock);
	free(pm);
}

int pm_open_on(struct pm **ret, const struct pm_options *o, const struct clock *clock)
{
	struct pm_options options;
	struct pm *pm;
	int r;

	if (!ret)
		return pm_fail(-EINVAL, "there is no place for the handle");
	r = take_options(o, &options);
	if (r < 0)
		return r;
	pm = calloc(1, sizeof(*pm));
	if (!pm)
		return pm_fail(-ENOMEM, "out of memory");
	init_locks(pm);
	pm->owner = getpid();
	pm->clock = clock;
	pm->kinds = options.kinds ? options.kinds : KIND_ALL;
	pm->next_who = PM_SELF + 1;
	r = ground_make(&pm->ground, &options, clock);
	if (r == 0)
		r = meter_make(pm, false, &pm->meter);
	if (r < 0) {
		free_all(pm);
		return r == -ENOMEM ? pm_fail(r, "out of memory") : r;
	}
	*ret = pm;
	return 0;
}

int pm_open(struct pm **ret, const struct pm_options *options)
{
	return pm_open_on(ret, options, &clock_system);
}

void pm_close(struct pm *pm)
{
	if (!pm || pm->owner != getpid())
		return;
	if (pm->has_keeper) {
		pthread_mutex_lock(&pm->lock);
		pm->stop = true;
		pthread_cond_broadcast(&pm->changed);
		pthread_mutex_unlock(&pm->lock);
		pthread_join(pm->keeper, NULL);
	}
	free_all(pm);
}

/* ---- polling ------------------------------------------------------------------------------ */

static uint64_t longest_gap_ns(const struct meter *m)
{
	uint64_t longest_ns = 0;

	for (size_t i = 0; i < rig_n_domains(m->rig); i++) {
		const struct domain *d = rig_domain(m->rig, i);
		const struct sensor_ops *ops = sensor_find(d->sensor);
		uint64_t range_uj, ns;

		if (d->modulus == 0 || d->max_power_mw == 0 || (ops && ops->polled))
			continue;
		range_uj = muldiv_u64(d->modulus, d->unit_num, d->unit_den);
		ns = power_time_ns(range_uj, d->max_power_mw);
		ns = ns > 2 * GAP_SLACK_NS ? ns - GAP_SLACK_NS : ns / 2 + 1;
		if (longest_ns == 0 || ns < longest_ns)
			longest_ns = ns;
	}
	return longest_ns;
}

uint64_t pm_longest_gap_ns(struct pm *pm)
{
	uint64_t ns;

	if (pm_enter(pm) < 0)
		return 0;
	ns = longest_gap_ns(pm->meter);
	pm_leave(pm);
	return ns;
}

/* Reads before a counter can have wrapped unseen, however long nobody asks. */
static void *keep(void *arg)
{
	struct pm *pm = arg;

	pthread_mutex_lock(&pm->lock);
	while (!pm->stop) {
		uint64_t due_ns = clock_mono_ns(&clock_system) +
			longest_gap_ns(pm->meter) / KEEP_TIMES;
		const struct timespec due = ns_to_timespec(due_ns);

		if (pthread_cond_timedwait(&pm->changed, &pm->lock, &due) == ETIMEDOUT && !pm->stop)
			gauge_read(pm->meter->gauge);
	}
	pthread_mutex_unlock(&pm->lock);
	return NULL;
}

/* With the lock held, which the thread waits for. */
static int start_keeper(struct pm *pm)
{
	int r = thread_start(&pm->keeper, keep, pm, "pm-keeper");

	if (r < 0)
		return pm_fail(r, "no thread can be made: %s", strerror(-r));
	pm->has_keeper = true;
	return 0;
}

static int start_polling(struct pm *pm)
{
	struct meter *new, *old = pm->meter;
	int r;

	if (pm->polls)
		return 0;
	if (pm->windows)
		return pm_fail(-EBUSY,
			"the window \"%s\" is open: call pm_start_polling() before the first one",
			pm->windows->key);
	if (pm->meter->n_base > 0 && pm->meter->base[pm->meter->n_base - 1].who > PM_SELF)
		return pm_fail(-EBUSY, "processes were added: call pm_start_polling() before that");
	r = meter_make(pm, true, &new);
	if (r < 0)
		return r == -ENOMEM ? pm_fail(r, "out of memory") : r;
	pm->meter = new;
	if (longest_gap_ns(new) > 0)
		r = start_keeper(pm);
	if (r < 0) {
		pm->meter = old;
		meter_free(new, pm->ground);
		return r;
	}
	meter_free(old, pm->ground);
	pm->polls = true;
	return 0;
}

int pm_start_polling(struct pm *pm)
{
	int r = pm_enter(pm);

	if (r < 0)
		return r;
	r = start_polling(pm);
	pm_leave(pm);
	return r;
}
