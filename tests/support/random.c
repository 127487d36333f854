// SPDX-License-Identifier: MIT
#include "random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "util/parse.h"

/* splitmix64: each step's output depends on the whole state, and any seed is as good as another. */
uint64_t rng_u64(struct rng *r)
{
	uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t rng_seed(void)
{
	static uint64_t seed;
	static bool known;
	const char *given = getenv("PM_SEED");
	struct timespec now;

	if (known)
		return seed;
	known = true;
	if (!given || parse_u64(given, &seed) < 0) {
		struct rng r;

		clock_gettime(CLOCK_REALTIME, &now);
		r.state = (uint64_t) now.tv_sec ^ (uint64_t) now.tv_nsec << 20 ^
			(uint64_t) getpid();
		seed = rng_u64(&r) % 1000000000; /* short enough to be typed */
	}
	printf("# PM_SEED=%" PRIu64 "\n", seed);
	fflush(stdout);
	return seed;
}

struct rng rng_make(uint64_t seed, uint64_t number)
{
	struct rng r = { seed };

	r.state = rng_u64(&r) ^ number * UINT64_C(0x2545f4914f6cdd1d);
	rng_u64(&r);
	return r;
}

uint64_t rng_below(struct rng *r, uint64_t limit)
{
	return rng_u64(r) % limit;
}

uint64_t rng_between(struct rng *r, uint64_t lowest, uint64_t highest)
{
	return lowest + rng_below(r, highest - lowest + 1);
}

bool rng_one_in(struct rng *r, unsigned n)
{
	return rng_below(r, n) == 0;
}

void rng_bytes(struct rng *r, void *ret, size_t n)
{
	unsigned char *at = ret;

	for (size_t i = 0; i < n; i++)
		at[i] = (unsigned char) rng_u64(r);
}

size_t rng_cases(size_t usual)
{
	const char *given = getenv("PM_CASES");
	uint64_t n;

	return given && parse_u64(given, &n) == 0 && n > 0 ? (size_t) n : usual;
}
