// SPDX-License-Identifier: MIT
#include "cli/compare/side.h"

#include <errno.h>
#include <stdlib.h>

_Static_assert(SIDE_KINDS <= RATIO_MAX_PARTS, "a kind is a part");

bool side_scale(
	const struct rig *rig, enum kind kind, struct ratio_scale *ret, const char **ret_model)
{
	bool found = false;

	for (size_t i = 0; i < rig_n_domains(rig); i++) {
		const struct domain *d = rig_domain(rig, i);
		struct ratio_scale scale = { (double) d->scale_low_ppm / 1e6,
			(double) d->scale_high_ppm / 1e6 };

		if (!domain_adds_to(d, kind))
			continue;
		if (found &&
			(scale.low < ret->low || scale.low > ret->low || scale.high < ret->high ||
				scale.high > ret->high))
			return false;
		*ret = scale;
		*ret_model = d->model;
		found = true;
	}
	return found;
}

static struct ratio_energy joules(struct energy e)
{
	return (struct ratio_energy) { .j = (double) e.uj / 1e6,
		.low_j = (double) e.low_uj / 1e6,
		.high_j = (double) e.high_uj / 1e6 };
}

int side_take(struct side *ret, const struct run_report *r)
{
	const char *model;
	struct side c = { .name = r->name };

	c.runs = calloc(r->n_runs ? r->n_runs : 1, sizeof(*c.runs));
	if (!c.runs)
		return -ENOMEM;
	for (int k = 0; k < SIDE_KINDS; k++) {
		c.kinds |= KIND_BIT(k);
		c.lasting[k] = !side_scale(r->rig, (enum kind) k, &c.scales[k], &model);
		c.n_runs = 0;
		for (size_t i = 0; i < r->n_runs; i++) {
			const struct kind_figures *f = &r->runs[i].result.figures.kinds[k];

			if (!run_counts(&r->runs[i].result))
				continue;
			c.runs[c.n_runs++].parts[k] = joules(f->asked);
			if (f->known)
				c.partly |= KIND_BIT(k);
			if (!f->shared)
				c.kinds &= ~KIND_BIT(k);
		}
		if (c.lasting[k])
			c.scales[k] = (struct ratio_scale) { 0 };
	}
	*ret = c;
	return 0;
}

void side_finish(struct side *c)
{
	free(c->runs);
	c->runs = NULL;
}

uint32_t side_kinds(const struct side *list, size_t n, uint32_t *ret_left_out)
{
	uint32_t all = KIND_BIT(SIDE_KINDS) - 1, some = 0;

	for (size_t i = 0; i < n; i++) {
		all &= list[i].kinds;
		some |= list[i].partly;
	}
	*ret_left_out = some & ~all;
	return n ? all : 0;
}

double side_mean_j(const struct side *c, uint32_t kinds)
{
	double sum = 0;

	for (size_t i = 0; i < c->n_runs; i++)
		for (int k = 0; k < SIDE_KINDS; k++)
			if (kinds & KIND_BIT(k))
				sum += c->runs[i].parts[k].j;
	return c->n_runs ? sum / (double) c->n_runs : 0;
}

/* Only the kinds that count, as parts one after the other. Returns NULL where there is no memory. */
static struct ratio_run *make_side(const struct side *c, uint32_t kinds, struct ratio_side *ret)
{
	struct ratio_run *runs = calloc(c->n_runs ? c->n_runs : 1, sizeof(*runs));
	size_t part = 0;

	if (!runs)
		return NULL;
	*ret = (struct ratio_side) { .runs = runs, .n = c->n_runs };
	for (int k = 0; k < SIDE_KINDS; k++) {
		if (!(kinds & KIND_BIT(k)))
			continue;
		for (size_t i = 0; i < c->n_runs; i++)
			runs[i].parts[part] = c->runs[i].parts[k];
		ret->scales[part] = c->scales[k];
		ret->lasting[part] = c->lasting[k];
		part++;
	}
	return runs;
}

void side_ratio(const struct side *base, const struct side *other, const struct side_how *how,
	struct ratio *ret)
{
	struct ratio_question q = { .same_scales = how->same_sensors, .in_turn = how->in_turn };
	struct ratio_run *x = make_side(base, how->kinds, &q.base);
	struct ratio_run *y = make_side(other, how->kinds, &q.other);

	for (int k = 0; k < SIDE_KINDS; k++)
		q.n_parts += how->kinds >> k & 1;
	*ret = (struct ratio) { 0 };
	if (x && y)
		ratio_of(&q, ret);
	free(x);
	free(y);
}
