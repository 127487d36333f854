// SPDX-License-Identifier: MIT
#include "daemon/timetable.h"

#include <stdlib.h>
#include <string.h>

#include "util/grow.h"

void grid_init(struct grid *g, const uint64_t period_ns[KIND_COUNT])
{
	*g = (struct grid) { .step_ns = UINT64_MAX };
	for (int k = 0; k < KIND_COUNT; k++) {
		g->period_ns[k] = period_ns[k];
		if (period_ns[k] < g->step_ns)
			g->step_ns = period_ns[k];
	}
}

void grid_begin(struct grid *g, uint64_t now_ns)
{
	g->origin_ns = now_ns;
	g->next_ns = now_ns + g->step_ns;
	memset(g->last_index, 0, sizeof(g->last_index));
}

static uint32_t kinds_due(struct grid *g, uint64_t tick_ns)
{
	uint32_t due = 0;

	for (int k = 0; k < KIND_COUNT; k++) {
		uint64_t index = (tick_ns - g->origin_ns) / g->period_ns[k];

		if (index > g->last_index[k]) {
			g->last_index[k] = index;
			due |= KIND_BIT(k);
		}
	}
	return due;
}

uint64_t grid_pass(struct grid *g, uint64_t now_ns, uint32_t *ret_kinds)
{
	uint64_t over = (now_ns - g->next_ns) / g->step_ns;

	g->next_ns += (over + 1) * g->step_ns;
	*ret_kinds = kinds_due(g, g->next_ns - g->step_ns);
	return over;
}

void deadlines_set(struct deadlines *d, uint32_t id, uint64_t t_ns)
{
	struct deadline *list;

	for (size_t i = d->n; i-- > 0;)
		if (d->list[i].id == id)
			d->list[i] = d->list[--d->n];
	if (t_ns == 0)
		return;
	list = grow_list(d->list, d->n, &d->cap, sizeof(*list));
	if (!list)
		return;
	d->list = list;
	d->list[d->n++] = (struct deadline) { .id = id, .t_ns = t_ns };
}

uint64_t deadlines_earliest(const struct deadlines *d)
{
	uint64_t t_ns = UINT64_MAX;

	for (size_t i = 0; i < d->n; i++)
		if (d->list[i].t_ns < t_ns)
			t_ns = d->list[i].t_ns;
	return t_ns;
}

bool deadlines_pass(struct deadlines *d, uint64_t now_ns)
{
	bool any = false;

	for (size_t i = d->n; i-- > 0;) {
		if (d->list[i].t_ns > now_ns)
			continue;
		d->list[i] = d->list[--d->n];
		any = true;
	}
	return any;
}

void deadlines_finish(struct deadlines *d)
{
	free(d->list);
}
