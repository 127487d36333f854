// SPDX-License-Identifier: MIT
/* What is known of one energy between two readings. */
#ifndef PM_BOOKS_INTERVAL_H
#define PM_BOOKS_INTERVAL_H

#include <stdint.h>

struct interval {
	uint64_t from_ns;
	uint64_t to_ns;
	uint64_t energy_uj;
	uint64_t ns; /* of the time between, what the energy is of: a hole leaves some of it out */
	uint64_t err_ns; /* how far the readings' own times may be off, both together */
	unsigned flags;  /* FLAG_* */
};

#endif
