// SPDX-License-Identifier: MIT
/*
 * Unwrapping: whatever the counter's range and unit are, whenever it is read, and whatever goes
 * wrong, the energy of an epoch is exactly that of the counts in it, and no epoch has more.
 */
#include "test.h"

#include <errno.h>
#include <inttypes.h>

#include "machine/clock.h"
#include "meter/unwrap.h"
#include "random.h"
#include "util/u128.h"

struct counter {
	struct domain d;
	uint64_t max_mw; /* what it really draws at most */
	u128 counts;     /* since the beginning, unwrapped */
	u128 zero;       /* counts when it last began at 0 */
	u128 rest;       /* of a count, in 1 / (unit_num * 10^6) of one */
};

static struct counter make_counter(struct rng *r)
{
	static const uint64_t units[][2] = { { 1000000, 16384 }, { 1000000, 65536 },
		{ 1000000, 1024 }, { 1, 1 }, { 1000, 1 }, { 1, 1000 }, { 999, 7 }, { 7, 1000003 } };
	size_t u = rng_below(r, 8);
	struct counter c = { .max_mw = rng_between(r, 1000, 900000) };

	c.d.unit_num = units[u][0];
	c.d.unit_den = units[u][1];
	c.d.max_power_mw = 1000000;
	switch (rng_below(r, 3)) {
	case 0:
		c.d.modulus = UINT64_C(1) << 32;
		break;
	case 1:
		c.d.modulus = rng_between(r, UINT64_C(1) << 24, UINT64_C(1) << 40);
		break;
	default:
		break;
	}
	c.counts = rng_below(r, c.d.modulus ? c.d.modulus : UINT64_C(1) << 50);
	return c;
}

/* How long after the last reading the next one may come without an overrun: the counter's range at
 * the highest power, less what a late read may add. */
static uint64_t longest_ns(const struct counter *c)
{
	u128 range_uj;
	uint64_t ns;

	if (!c->d.modulus)
		return 1000 * NS_PER_S;
	range_uj = (u128) c->d.modulus * c->d.unit_num / c->d.unit_den;
	/* 1 kW: a microjoule each nanosecond */
	ns = range_uj > 1000 * NS_PER_S ? 1000 * NS_PER_S : (uint64_t) range_uj;
	return ns > 50 * NS_PER_MS ? ns - 30 * NS_PER_MS : 0;
}

static void draw(struct counter *c, struct rng *r, uint64_t ns)
{
	uint64_t mw = rng_one_in(r, 5) ? 0 : rng_below(r, c->max_mw + 1);
	/* 1 mW for 1 ns is a millionth of a microjoule */
	u128 parts = (u128) mw * ns * c->d.unit_den + c->rest;
	u128 per_count = (u128) c->d.unit_num * 1000000;

	c->counts += parts / per_count;
	c->rest = parts % per_count;
}

static uint64_t raw_of(const struct counter *c)
{
	u128 shown = c->counts - c->zero;

	return (uint64_t) (c->d.modulus ? shown % c->d.modulus : shown);
}

static void check_case(uint64_t seed, uint64_t number)
{
	struct rng r = rng_make(seed, number);
	struct counter c = make_counter(&r);
	struct unwrap u = { 0 };
	uint64_t t_ns = rng_below(&r, 1000000 * NS_PER_S), since_ns = 0, last_uj = 0;
	uint64_t most_ns = longest_ns(&c);
	u128 epoch = 0; /* counts at the epoch's beginning */
	bool begun = false;
	uint64_t left_ns = 0; /* since the last good reading */
	uint64_t last_raw = 0;
	bool odd = false; /* the counter was reset, and one value shows it */

	if (most_ns == 0)
		return;
	for (int i = 0; i < 300; i++) {
		uint64_t room_ns = most_ns > left_ns ? most_ns - left_ns : 0;
		uint64_t ns = rng_below(&r, (rng_one_in(&r, 4) ? room_ns : room_ns / 100) + 1);
		struct reading got = { 0 };
		/* A fall that can be seen: to 0, from more. */
		bool reset = c.d.modulus == 0 && begun && last_raw > 0 && !odd &&
			rng_one_in(&r, 40);
		uint64_t exact_uj;

		t_ns += ns;
		left_ns += ns;
		draw(&c, &r, ns);
		if (reset) {
			/* It begins at 0, with next to nothing since. */
			c.zero = c.counts;
			c.rest = 0;
		}
		got.raw = raw_of(&c);
		got.t_ns = t_ns;
		if (!reset && rng_one_in(&r, 10))
			got.error = -EIO;
		unwrap_step(&u, &c.d, &got);
		if (reset) {
			if (got.error != -EBADMSG)
				fail_msg("seed %" PRIu64 ", case %" PRIu64
					 ", reading %d: a reset was taken",
					seed, number, i);
			odd = true;
		}
		if (got.error)
			continue;
		left_ns = 0;
		last_raw = got.raw;
		if (!begun || odd) {
			begun = true;
			odd = false;
			since_ns = t_ns;
			epoch = c.counts;
			last_uj = 0;
		}
		exact_uj = (uint64_t) ((c.counts - epoch) * c.d.unit_num / c.d.unit_den);
		if (got.since_ns != since_ns || got.energy_uj != exact_uj || exact_uj < last_uj)
			fail_msg("seed %" PRIu64 ", case %" PRIu64 ", reading %d: %" PRIu64
				 " uJ since %" PRIu64 ", not %" PRIu64 " since %" PRIu64,
				seed, number, i, got.energy_uj, got.since_ns, exact_uj, since_ns);
		last_uj = exact_uj;
	}
}

static void test_exact(void **state)
{
	uint64_t seed = rng_seed();

	(void) state;
	for (uint64_t i = 0; i < rng_cases(4000); i++)
		check_case(seed, i);
}

/* Whatever values a broken counter shows: energy only grows within an epoch, an epoch begins at 0,
 * and nothing impossible is ever reported. */
static void test_garbage(void **state)
{
	uint64_t seed = rng_seed();

	(void) state;
	for (uint64_t i = 0; i < rng_cases(4000); i++) {
		struct rng r = rng_make(seed, 1000000 + i);
		struct counter c = make_counter(&r);
		struct reading last = { 0 };
		struct unwrap u = { 0 };
		uint64_t t_ns = NS_PER_S;

		for (int k = 0; k < 100; k++) {
			struct reading got = { .t_ns = t_ns += 1 + rng_below(&r, NS_PER_S),
				.raw = rng_one_in(&r, 3)
					? rng_u64(&r)
					: rng_below(&r, c.d.modulus ? c.d.modulus : 1000000) };
			u128 most_uj;

			unwrap_step(&u, &c.d, &got);
			if (got.error) {
				assert_true(got.error == -ERANGE || got.error == -EBADMSG);
				continue;
			}
			if (k > 0 && last.since_ns && got.since_ns == last.since_ns) {
				/* 1 kW, and the slack of 20 ms */
				most_uj = (u128) (got.t_ns - last.t_ns) + 20 * NS_PER_MS +
					2 * c.d.unit_num / c.d.unit_den + 2;
				if (got.energy_uj < last.energy_uj ||
					got.energy_uj - last.energy_uj > most_uj)
					fail_msg("seed %" PRIu64 ", case %" PRIu64
						 ", reading %d: from %" PRIu64 " to %" PRIu64 " uJ",
						seed, i, k, last.energy_uj, got.energy_uj);
			} else if (got.energy_uj != 0 || got.since_ns != got.t_ns) {
				fail_msg("seed %" PRIu64 ", case %" PRIu64
					 ", reading %d: an epoch begins with %" PRIu64 " uJ",
					seed, i, k, got.energy_uj);
			}
			last = got;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact),
		cmocka_unit_test(test_garbage),
	};

	return cmocka_run_group_tests_name("prop_unwrap", tests, NULL, NULL);
}
