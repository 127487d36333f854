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
	/* The energy may hold up to over_ns of time outside of the interval, and lack up to under_ns of
	 * the time in it: a value may be old, and readings are not where somebody asks from or to. */
	uint64_t over_ns;
	uint64_t under_ns;
	uint64_t hole_ns; /* of this time in it no energy is known */
	unsigned flags;   /* FLAG_* */
};

#endif
