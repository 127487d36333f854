// SPDX-License-Identifier: MIT
#include "meter/excess.h"

#include <stdio.h>

#include "util/format.h"

/* Of one sensor also what does not count contains its parts. */
static bool contains(const struct rig *rig, size_t outer, size_t inner)
{
	for (int i = rig_parent(rig, inner); i >= 0; i = rig_parent(rig, (size_t) i))
		if ((size_t) i == outer)
			return true;
	return rig_contains(rig, outer, inner);
}

static bool is_part(const struct rig *rig, const uint64_t *figures, size_t whole, size_t i)
{
	const struct domain *d = rig_domain(rig, i);

	/* What is only shown and belongs to nothing is no part of anything. */
	return (d->counted || rig_parent(rig, i) >= 0) && !d->twin &&
		d->quality != FLAG_ESTIMATED && figures[i] != EXCESS_UNKNOWN &&
		contains(rig, whole, i);
}

/* Parts of parts are in those. */
static uint64_t sum_of_parts(const struct rig *rig, const uint64_t *figures, size_t whole)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < rig_n_domains(rig); i++) {
		bool outermost = is_part(rig, figures, whole, i);

		for (size_t k = 0; k < rig_n_domains(rig) && outermost; k++)
			outermost = !(is_part(rig, figures, whole, k) && contains(rig, k, i));
		sum += outermost ? figures[i] : 0;
	}
	return sum;
}

size_t excess_find(const struct rig *rig, const uint64_t *figures, struct excess *ret, size_t n)
{
	size_t found = 0;

	for (size_t i = 0; i < rig_n_domains(rig) && found < n; i++) {
		const struct domain *d = rig_domain(rig, i);
		struct excess *e = &ret[found];

		if (!d->counted || d->quality == FLAG_ESTIMATED || figures[i] == EXCESS_UNKNOWN)
			continue;
		*e = (struct excess) { .whole = i,
			.whole_figure = figures[i],
			.parts_figure = sum_of_parts(rig, figures, i) };
		if ((double) e->parts_figure * 100 >
			(double) e->whole_figure * (100 + EXCESS_PERCENT))
			found++;
	}
	return found;
}

void excess_text(
	const struct rig *rig, const struct excess *e, const char *unit, char *ret, size_t n)
{
	const struct domain *d = rig_domain(rig, e->whole);
	char whole[32], parts[32];

	format_micro(e->whole_figure, whole, sizeof(whole));
	format_micro(e->parts_figure, parts, sizeof(parts));
	snprintf(ret, n,
		"%s %s reports less (%s %s) than its parts (%s %s); at least one reading is wrong",
		d->sensor, d->name, whole, unit, parts, unit);
}
