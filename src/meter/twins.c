// SPDX-License-Identifier: MIT
#include "meter/twins.h"

#include <stdio.h>
#include <string.h>

#include "util/format.h"

/* The sum of what a sensor tells of a kind, or TWINS_UNKNOWN where something of it is missing. */
static uint64_t sum_of(const struct domain *const *domains, size_t n_domains,
	const uint64_t *figures, const char *sensor, enum kind kind, bool twin)
{
	uint64_t sum = 0;
	bool any = false;

	for (size_t i = 0; i < n_domains; i++) {
		const struct domain *d = domains[i];

		if (d->kind != kind || strcmp(d->sensor, sensor) != 0 ||
			!(twin ? d->twin : d->counted) || d->quality == FLAG_ESTIMATED)
			continue;
		if (figures[i] == TWINS_UNKNOWN)
			return TWINS_UNKNOWN;
		sum += figures[i];
		any = true;
	}
	return any ? sum : TWINS_UNKNOWN;
}

static bool differ(uint64_t a, uint64_t b)
{
	uint64_t more = a > b ? a : b, less = a > b ? b : a;

	return (double) (more - less) * 100 > (double) more * TWINS_PERCENT;
}

/* The first domain of a sensor's and kind's that is there twice. */
static bool is_first(const struct domain *const *domains, size_t i)
{
	const struct domain *d = domains[i];

	for (size_t k = 0; k < i; k++) {
		const struct domain *e = domains[k];

		if (e->twin && e->kind == d->kind && strcmp(e->sensor, d->sensor) == 0)
			return false;
	}
	return true;
}

static const char *counted_sensor(
	const struct domain *const *domains, size_t n_domains, enum kind kind)
{
	for (size_t i = 0; i < n_domains; i++)
		if (domain_adds_to(domains[i], kind))
			return domains[i]->sensor;
	return NULL;
}

size_t twins_find(const struct domain *const *domains, size_t n_domains, const uint64_t *figures,
	struct twins *ret, size_t n)
{
	size_t found = 0;

	for (size_t i = 0; i < n_domains && found < n; i++) {
		const struct domain *d = domains[i];
		struct twins *t = &ret[found];

		if (!d->twin || !is_first(domains, i))
			continue;
		*t = (struct twins) { .kind = d->kind,
			.counted = counted_sensor(domains, n_domains, d->kind),
			.other = d->sensor };
		if (!t->counted)
			continue;
		t->counted_figure = sum_of(domains, n_domains, figures, t->counted, d->kind, false);
		t->other_figure = sum_of(domains, n_domains, figures, t->other, d->kind, true);
		if (t->counted_figure != TWINS_UNKNOWN && t->other_figure != TWINS_UNKNOWN &&
			differ(t->counted_figure, t->other_figure))
			found++;
	}
	return found;
}

void twins_text(const struct twins *t, const char *unit, char *ret, size_t n)
{
	char counted[32], other[32];

	format_micro(t->counted_figure, counted, sizeof(counted));
	format_micro(t->other_figure, other, sizeof(other));
	snprintf(ret, n,
		"%s: %s reports %s %s, %s reports %s %s for the same domain; using %s (choose with "
		"--sensors)",
		kind_title(t->kind), t->counted, counted, unit, t->other, other, unit, t->counted);
}
