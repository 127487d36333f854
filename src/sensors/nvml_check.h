// SPDX-License-Identifier: MIT
/*
 * Whether a GPU's energy counter and its power tell the same: some counters are known to be far off
 * while the GPU idles.
 */
#ifndef PM_SENSORS_NVML_CHECK_H
#define PM_SENSORS_NVML_CHECK_H

#include "core/meter.h"

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
	double squares; /* of milliwatts */
};

/* Takes the next dated reading, raw in millijoules, with the power of that time; window_ns: that
 * power is a mean over so long. Returns whether the two differ by more than 5 % and more than the
 * samples' scatter explains: from then on always. */
bool gpu_check_step(struct gpu_check *c, const struct reading *r, uint64_t window_ns);

#endif
