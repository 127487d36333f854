// SPDX-License-Identifier: MIT
/*
 * A value that is constant for a while and then another one, and its sum so far: milliwatts and
 * picojoules, or threads that run and CPU nanoseconds.
 */
#ifndef PM_TEST_COURSE_H
#define PM_TEST_COURSE_H

#include <stddef.h>

#include "random.h"
#include "util/u128.h"

#define COURSE_MAX 4000

struct course {
	struct {
		uint64_t from_ns;
		uint64_t value;
		u128 before; /* the sum up to from_ns */
	} segments[COURSE_MAX];
	size_t n;
};

/* Random segments between these lengths and with values between these. */
void course_make(struct course *c, struct rng *r, uint64_t from_ns, uint64_t to_ns,
	uint64_t shortest_ns, uint64_t longest_ns, uint64_t lowest, uint64_t highest);

/* The segment that a time is in, and the sum up to it. */
size_t course_segment(const struct course *c, uint64_t t_ns);
u128 course_sum(const struct course *c, uint64_t t_ns);

#endif
