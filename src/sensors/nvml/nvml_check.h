// SPDX-License-Identifier: MIT
/*
 * Whether a GPU's energy counter and its power tell the same: some counters are known to be far off
 * while the GPU idles.
 */
#ifndef PM_SENSORS_NVML_NVML_CHECK_H
#define PM_SENSORS_NVML_NVML_CHECK_H

#include "meter/domain.h"

/* A stretch of time over which the two are compared. All zero to begin with. */
struct gpu_check {
	bool begun;
	bool disputed; /* they were found to differ */
	uint64_t from_ns;
	uint64_t from_mj;
	uint64_t last_ns;
	uint64_t last_mj;
	uint64_t last_mw;
	uint64_t least_mw;
	uint64_t most_mw;
	uint64_t n;
	double nj; /* power added up: 10^-9 J */
	double sum_mw;
	double squares;     /* of milliwatts */
	double counted_mw;  /* by the counter, between the last two readings */
	uint64_t steady_ns; /* in all, of what follows */
	double steady_mj;   /* counted while both stood still, and power added up over the same */
	double steady_nj;
};

/* Takes the next dated reading, raw in millijoules, with the power of that time; window_ns: that
 * power is a mean over so long. Returns whether the two differ by more than 5 % and more than the
 * samples' scatter explains, and do where the load is steady: from then on always. What no such reading can tell apart is a
 * counter that is wrong and a load whose period fits exactly into that of the samples. */
bool gpu_check_step(struct gpu_check *c, const struct reading *r, uint64_t window_ns);

#endif
