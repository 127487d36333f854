// SPDX-License-Identifier: MIT
/*
 * Random numbers that can be had again: the seed is printed when a test begins and taken from
 * PM_SEED where that is set.
 */
#ifndef PM_TEST_RANDOM_H
#define PM_TEST_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rng {
	uint64_t state;
};

/* The seed of this run: PM_SEED, or another one each time. Printed once. */
uint64_t rng_seed(void);

/* A generator of its own for one case: the same for the same two numbers. */
struct rng rng_make(uint64_t seed, uint64_t number);

uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t limit); /* 0 .. limit - 1; limit > 0 */
uint64_t rng_between(struct rng *r, uint64_t lowest, uint64_t highest);
bool rng_one_in(struct rng *r, unsigned n);
void rng_bytes(struct rng *r, void *ret, size_t n);

/* How many cases a property is tried with: `usual`, or PM_CASES where that is set. */
size_t rng_cases(size_t usual);

#endif
