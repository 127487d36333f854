// SPDX-License-Identifier: MIT
/* How old a counter's value may be, as it is learned from reads alone. */
#include "test.h"

#include <errno.h>
#include <inttypes.h>

#include "machine/clock.h"
#include "meter/pulse.h"
#include "random.h"

#define MS NS_PER_MS

static const struct domain counter = {
	.unit_num = 1, .unit_den = 1, .max_power_mw = 1000000, .learns_pace = true
};

static struct reading step(struct pulse *p, uint64_t raw, uint64_t t_ns)
{
	struct reading r = { .raw = raw, .t_ns = t_ns };

	pulse_step(p, &counter, &r);
	return r;
}

static void test_unknown_until_it_changed(void **state)
{
	struct pulse p = { 0 };

	(void) state;
	assert_true(step(&p, 5, NS_PER_S).stale_ns == PULSE_UNKNOWN_NS);
	assert_true(step(&p, 5, NS_PER_S + MS).stale_ns == PULSE_UNKNOWN_NS);
	/* It became true after the read before, which did not see it. */
	assert_int_equal(step(&p, 6, NS_PER_S + 3 * MS).stale_ns, 2 * MS);
	assert_int_equal(step(&p, 6, NS_PER_S + 4 * MS).stale_ns, 3 * MS);
}

/* Once it is seen how far updates are apart no value is older, however rarely it is read. */
static void test_learned(void **state)
{
	struct pulse p = { 0 };
	uint64_t t_ns = NS_PER_S;

	(void) state;
	for (uint64_t i = 0; i < 40; i++)
		step(&p, i / 4, t_ns += MS / 4);
	assert_in_range(p.apart_ns, MS, MS * 3 / 2);
	for (uint64_t i = 100; i < 110; i++)
		assert_in_range(step(&p, i, t_ns += 100 * MS).stale_ns, MS, MS * 3 / 2);
}

/* What is known already holds from the first read on. */
static void test_known_at_the_opening(void **state)
{
	struct domain d = counter;
	struct reading r = { .raw = 5, .t_ns = NS_PER_S };
	struct pulse p = { 0 };

	(void) state;
	d.late_ns = 2 * MS;
	pulse_step(&p, &d, &r);
	assert_int_equal(r.stale_ns, 2 * MS);
}

static void test_still(void **state)
{
	struct pulse p = { .apart_ns = MS };
	uint64_t t_ns = NS_PER_S;

	(void) state;
	step(&p, 1, t_ns);
	step(&p, 2, t_ns += MS);
	/* Longer than two updates are apart: it is as old as that. */
	assert_int_equal(step(&p, 2, t_ns + 40 * MS).stale_ns, 41 * MS);
	assert_int_equal(step(&p, 2, t_ns + 40 * MS).error, 0);
	assert_int_equal(step(&p, 2, t_ns + 60 * MS).error, -ESTALE);
	assert_int_equal(step(&p, 3, t_ns + 70 * MS).error, 0);
}

/* A counter that never moved is given three seconds, and one whose steps are a joule time for one. */
static void test_patience(void **state)
{
	struct domain coarse = counter;
	struct reading r = { .raw = 1, .t_ns = NS_PER_S };
	struct pulse p = { 0 };

	(void) state;
	step(&p, 1, NS_PER_S);
	assert_int_equal(step(&p, 1, 4 * NS_PER_S).error, 0);
	assert_int_equal(step(&p, 1, 4 * NS_PER_S + MS).error, -ESTALE);
	coarse.unit_num = 1000000;
	p = (struct pulse) { .apart_ns = 10 * MS };
	pulse_step(&p, &coarse, &r);
	r.t_ns += 1900 * MS;
	pulse_step(&p, &coarse, &r);
	assert_int_equal(r.error, 0);
	r.t_ns += 200 * MS;
	pulse_step(&p, &coarse, &r);
	assert_int_equal(r.error, -ESTALE);
}

/* Whatever the period and the times of reading: no value is older than is said. */
static void test_never_older(void **state)
{
	uint64_t seed = rng_seed();

	(void) state;
	for (uint64_t i = 0; i < rng_cases(2000); i++) {
		struct rng r = rng_make(seed, i);
		uint64_t period_ns = rng_between(&r, MS, 1000 * MS), t_ns = 10 * NS_PER_S;
		uint64_t most_ns = rng_between(&r, MS / 10, 300 * MS);
		struct pulse p = { 0 };

		for (int k = 0; k < 200; k++) {
			struct reading got = step(&p, t_ns / period_ns, t_ns);

			if (got.error || got.stale_ns < t_ns % period_ns)
				fail_msg("seed %" PRIu64 ", case %" PRIu64 ", read %d: %" PRIu64
					 " ns old, %" PRIu64 " said (error %d)",
					seed, i, k, t_ns % period_ns, got.stale_ns, got.error);
			t_ns += 1 + rng_below(&r, most_ns);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown_until_it_changed),
		cmocka_unit_test(test_learned),
		cmocka_unit_test(test_known_at_the_opening),
		cmocka_unit_test(test_still),
		cmocka_unit_test(test_patience),
		cmocka_unit_test(test_never_older),
	};

	return cmocka_run_group_tests_name("pulse", tests, NULL, NULL);
}
