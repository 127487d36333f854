// SPDX-License-Identifier: MIT
#include "sums.h"

#include <inttypes.h>

#include "test.h"

void sums_slice(void *ctx, const struct slice *slice)
{
	struct sums *s = ctx;
	uint64_t sum_uj = 0;

	for (size_t i = 0; i < slice->n_parts; i++) {
		const struct slice_part *p = &slice->parts[i];

		sum_uj += p->energy.uj;
		if (p->energy.low_uj > p->energy.uj || p->energy.uj > p->energy.high_uj)
			fail_msg("seed %" PRIu64 ", case %" PRIu64 ": a range that is none",
				s->seed, s->number);
		if (p->who == SLICE_TARGET)
			s->targets_uj[p->slot][slice->domain] += p->energy.uj;
	}
	if (sum_uj != slice->interval.energy_uj || slice->interval.ns == 0)
		fail_msg("seed %" PRIu64 ", case %" PRIu64 ": parts of %" PRIu64
			 " uJ add up to %" PRIu64,
			s->seed, s->number, slice->interval.energy_uj, sum_uj);
	s->total_uj[slice->domain] += slice->interval.energy_uj;
	s->ns[slice->domain] += slice->interval.ns;
}
