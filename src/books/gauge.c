// SPDX-License-Identifier: MIT
#include "books/gauge.h"

#include <errno.h>
#include <stdlib.h>

#include "books/snapshot.h"
#include "meter/ready.h"

struct gauge {
	struct host *host;
	struct rig *rig;
	struct series series;
	struct account *account;
	uint32_t kinds;
	struct target **targets; /* in the order of reading */
	size_t n_targets;
	size_t cap_targets;
	struct snapshot *snapshot; /* room for cap_targets */
};

/* Room for one more target, in the list and in the snapshot. */
static int make_room(struct gauge *g)
{
	size_t cap = g->cap_targets ? g->cap_targets * 2 : 4;
	struct target **targets;
	struct snapshot *snapshot;

	if (g->n_targets < g->cap_targets)
		return 0;
	targets = realloc(g->targets, cap * sizeof(struct target *));
	if (!targets)
		return -ENOMEM;
	g->targets = targets;
	/* What it holds is kept: the last reading may be asked for. */
	snapshot = realloc(g->snapshot, snapshot_size(rig_n_domains(g->rig), cap));
	if (!snapshot)
		return -ENOMEM;
	g->snapshot = snapshot;
	if (g->cap_targets == 0)
		*snapshot = (struct snapshot) { 0 };
	g->cap_targets = cap;
	return 0;
}

int gauge_create(
	struct gauge **ret, struct host *host, struct rig *rig, const struct gauge_options *o)
{
	const struct domain *domains[RIG_MAX_DOMAINS];
	const struct account_options options = { .idle = o->idle, .tick_ns = host->tick_ns };
	struct gauge *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return -ENOMEM;
	g->host = host;
	g->rig = rig;
	g->kinds = o->kinds;
	for (size_t i = 0; i < rig_n_domains(rig); i++)
		domains[i] = rig_domain(rig, i);
	r = account_create(&g->account, domains, rig_n_domains(rig), &options, o->watcher);
	if (r == 0)
		r = make_room(g);
	if (r < 0) {
		gauge_destroy(g);
		return r;
	}
	series_init(&g->series, host, rig);
	series_want(&g->series, o->kinds);
	*ret = g;
	return 0;
}

void gauge_destroy(struct gauge *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->n_targets; i++) {
		target_close(g->targets[i]);
		free(g->targets[i]);
	}
	if (g->series.host)
		series_want(&g->series, 0);
	account_destroy(g->account);
	free(g->targets);
	free(g->snapshot);
	free(g);
}

struct target *gauge_target(const struct gauge *g, uint32_t slot)
{
	for (size_t i = 0; i < g->n_targets; i++)
		if (g->targets[i]->slot == slot)
			return g->targets[i];
	return NULL;
}

int gauge_add(struct gauge *g, struct target *t, uint32_t *ret_slot)
{
	struct target *own;
	uint32_t slot = 0;
	int r;

	if (g->n_targets >= GAUGE_MAX_TARGETS)
		return -E2BIG;
	r = make_room(g);
	if (r < 0)
		return r;
	while (gauge_target(g, slot))
		slot++;
	own = malloc(sizeof(*own));
	if (!own)
		return -ENOMEM;
	r = account_add_target(g->account, slot);
	if (r < 0) {
		free(own);
		return r;
	}
	*own = *t;
	own->slot = slot;
	t->ops = NULL;
	g->targets[g->n_targets++] = own;
	*ret_slot = slot;
	return 0;
}

void gauge_drop(struct gauge *g, uint32_t slot)
{
	for (size_t i = 0; i < g->n_targets; i++) {
		if (g->targets[i]->slot != slot)
			continue;
		target_close(g->targets[i]);
		free(g->targets[i]);
		g->targets[i] = g->targets[--g->n_targets];
		account_drop_target(g->account, slot);
		return;
	}
}

bool gauge_has_ended(const struct gauge *g, uint32_t slot)
{
	const struct target *t = gauge_target(g, slot);

	return !t || t->ended;
}

void gauge_read(struct gauge *g)
{
	snapshot_take(&g->series, g->kinds, g->targets, g->n_targets, SNAPSHOT_EDGE, g->snapshot);
	account_enter(g->account, g->snapshot);
}

uint64_t gauge_t_ns(const struct gauge *g)
{
	return g->snapshot->t_ns;
}

bool gauge_is_ready(const struct gauge *g)
{
	return rig_is_ready(g->rig, g->kinds, snapshot_readings(g->snapshot));
}

uint64_t gauge_capacity_ns(const struct gauge *g)
{
	return g->snapshot->capacity_ns;
}

uint64_t gauge_idle_ns(const struct gauge *g)
{
	return g->snapshot->idle_ns;
}

const struct account *gauge_account(const struct gauge *g)
{
	return g->account;
}
