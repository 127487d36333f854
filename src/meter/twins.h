// SPDX-License-Identifier: MIT
/* Two sensors that tell of the same thing ought to tell the same. */
#ifndef PM_METER_TWINS_H
#define PM_METER_TWINS_H

#include "meter/domain.h"

/* A difference above this is told. */
#define TWINS_PERCENT 5

#define TWINS_UNKNOWN UINT64_MAX

/* What one sensor that counts and another one tell of a kind. */
struct twins {
	enum kind kind;
	const char *counted;
	const char *other;
	uint64_t counted_figure;
	uint64_t other_figure;
};

/* figures[0 .. n_domains): what the domains used in the same time, energy or power, or
 * TWINS_UNKNOWN. Finds the sensors that differ, estimates apart, into ret[0 .. n); returns how many
 * there are. */
size_t twins_find(const struct domain *const *domains, size_t n_domains, const uint64_t *figures,
	struct twins *ret, size_t n);

/* One sentence on a difference, in whatever room reports it: without a prefix or a full stop. unit: the
 * figures', "J" or "W", without its millionths. */
void twins_text(const struct twins *t, const char *unit, char *ret, size_t n);

#endif
