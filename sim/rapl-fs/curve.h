// SPDX-License-Identifier: MIT
/* Power over time as steps that repeat for ever from CLOCK_MONOTONIC 0, so that its energy between
 * any two times can be worked out by anybody, exactly. */
#ifndef RAPL_FS_CURVE_H
#define RAPL_FS_CURVE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "util/u128.h"

struct segment {
	uint64_t from_ns; /* within the period */
	uint64_t mw;
	u128 before_pj; /* energy of the period up to from_ns */
};

struct curve {
	struct segment *segments; /* owned; NULL: no curve, no energy */
	size_t n;
	uint64_t period_ns;
	u128 period_pj;
};

/* Reads [[seconds, watts], ...]. Returns 0, or -EINVAL where it is not a curve, or -ENOMEM. */
int curve_load(const json_t *json, struct curve *ret);

void curve_finish(struct curve *c);

/* The energy from time 0 to t_ns. 1 mW for 1 ns is 1 pJ, so nothing is rounded. */
u128 curve_energy_pj(const struct curve *c, uint64_t t_ns);

/* The highest power of the curve. */
uint64_t curve_max_mw(const struct curve *c);

#endif
