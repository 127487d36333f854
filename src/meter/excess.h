// SPDX-License-Identifier: MIT
/* Parts ought to tell no more than what contains them. Some do: a laptop's platform counter may be
 * below its own package's. Both are shown as they are read, and it is said. */
#ifndef PM_METER_EXCESS_H
#define PM_METER_EXCESS_H

#include "meter/rig.h"

/* An excess above this is told: less is the difference of the times at which they were read. */
#define EXCESS_PERCENT 5

#define EXCESS_UNKNOWN UINT64_MAX

struct excess {
	size_t whole; /* the domain that contains the parts */
	uint64_t whole_figure;
	uint64_t parts_figure; /* the sum of the outermost of them */
};

/* figures[0 .. rig_n_domains()): what the domains used in the same time, energy or power, or
 * EXCESS_UNKNOWN. Finds the counted domains whose parts, estimates apart, tell more into
 * ret[0 .. n); returns how many there are. */
size_t excess_find(const struct rig *rig, const uint64_t *figures, struct excess *ret, size_t n);

/* One sentence on it, without a prefix or a full stop. unit: the figures', "J" or "W", without its
 * millionths. */
void excess_text(
	const struct rig *rig, const struct excess *e, const char *unit, char *ret, size_t n);

#endif
