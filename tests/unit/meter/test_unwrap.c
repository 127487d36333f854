// SPDX-License-Identifier: MIT
#include "test.h"

#include <errno.h>
#include <inttypes.h>

#include "machine/clock.h"
#include "meter/unwrap.h"

/* A domain as RAPL has it: 32 bits, a count of 1/16384 J. */
static const struct domain rapl = { .modulus = UINT64_C(1) << 32,
	.unit_num = 1000000,
	.unit_den = 16384,
	.max_power_mw = 1000000 };

/* One that never starts again, in microjoules. */
static const struct domain plain = { .unit_num = 1, .unit_den = 1 };

static struct reading step(struct unwrap *u, const struct domain *d, uint64_t raw, uint64_t t_ns)
{
	struct reading r = { .raw = raw, .t_ns = t_ns };

	unwrap_step(u, d, &r);
	return r;
}

static void expect(struct unwrap *u, const struct domain *d, uint64_t raw, uint64_t t_ns,
	uint64_t energy_uj, uint64_t since_ns)
{
	struct reading r = step(u, d, raw, t_ns);

	assert_int_equal(r.error, 0);
	if (r.energy_uj != energy_uj || r.since_ns != since_ns)
		fail_msg("%" PRIu64 " at %" PRIu64 " ms: %" PRIu64 " uJ since %" PRIu64 " ms", raw,
			t_ns / NS_PER_MS, r.energy_uj, r.since_ns / NS_PER_MS);
}

/* A value that cannot follow the last one is not taken at once. */
static void expect_odd(struct unwrap *u, const struct domain *d, uint64_t raw, uint64_t t_ns)
{
	assert_int_equal(step(u, d, raw, t_ns).error, -EBADMSG);
}

static void test_grows(void **state)
{
	struct unwrap u = { 0 };

	(void) state;
	expect(&u, &plain, 1000, 1 * NS_PER_S, 0, NS_PER_S);
	expect(&u, &plain, 1000, 2 * NS_PER_S, 0, NS_PER_S);
	expect(&u, &plain, 1500, 3 * NS_PER_S, 500, NS_PER_S);
	expect(&u, &plain, UINT64_MAX, 4 * NS_PER_S, UINT64_MAX - 1000, NS_PER_S);
	/* Forgotten: a new beginning. */
	unwrap_restart(&u);
	expect(&u, &plain, 7, 5 * NS_PER_S, 0, 5 * NS_PER_S);
	expect(&u, &plain, 9, 6 * NS_PER_S, 2, 5 * NS_PER_S);
}

/* What is below a microjoule is carried: after 16384 counts it is a joule, whatever the steps. */
static void test_fraction(void **state)
{
	struct unwrap one = { 0 }, many = { 0 };
	struct reading r;

	(void) state;
	step(&one, &rapl, 0, NS_PER_S);
	step(&many, &rapl, 0, NS_PER_S);
	for (uint64_t i = 1; i <= 16384; i++)
		r = step(&many, &rapl, i, NS_PER_S + i * NS_PER_MS);
	assert_int_equal(r.energy_uj, 1000000);
	r = step(&one, &rapl, 16384, 20 * NS_PER_S);
	assert_int_equal(r.energy_uj, 1000000);
	/* 61.035 uJ: never more than there is. */
	unwrap_restart(&many);
	step(&many, &rapl, 0, NS_PER_S);
	for (uint64_t i = 1; i <= 100; i++) {
		r = step(&many, &rapl, i, NS_PER_S + i * NS_PER_MS);
		assert_int_equal(r.energy_uj, i * 1000000 / 16384);
	}
}

static void test_wrap(void **state)
{
	const uint64_t m = UINT64_C(1) << 32;
	struct unwrap u = { 0 };

	(void) state;
	step(&u, &rapl, m - 16384, NS_PER_S);
	expect(&u, &rapl, m - 1, 2 * NS_PER_S, 16383 * UINT64_C(1000000) / 16384, NS_PER_S);
	expect(&u, &rapl, 0, 3 * NS_PER_S, 1000000, NS_PER_S);
	expect(&u, &rapl, 16384, 4 * NS_PER_S, 2000000, NS_PER_S);
	/* Most of the way around, as fast as can be. */
	expect(&u, &rapl, 16384 + 250000 * UINT64_C(16384), 254 * NS_PER_S, 250002000000, NS_PER_S);
	expect(&u, &rapl, 10, 268 * NS_PER_S,
		2000000 + (m - 16384 + 10) * UINT64_C(1000000) / 16384, NS_PER_S);
}

/* Where more than a whole wrap fits into the time nobody knows how many there were. */
static void test_too_long(void **state)
{
	struct unwrap u = { 0 };

	(void) state;
	step(&u, &rapl, 100, NS_PER_S);
	expect(&u, &rapl, 200, 264 * NS_PER_S, 0, 264 * NS_PER_S);
	expect(&u, &rapl, 16584, 265 * NS_PER_S, 1000000, 264 * NS_PER_S);
	/* Without a wrap any time is good. */
	unwrap_restart(&u);
	step(&u, &plain, 100, NS_PER_S);
	expect(&u, &plain, 200, 100000 * NS_PER_S, 100, NS_PER_S);
}

/* A value that fell by more than a wrap explains: the counter began anew. */
static void test_reset(void **state)
{
	struct unwrap u = { 0 };

	(void) state;
	step(&u, &rapl, 1000000000, NS_PER_S);
	expect(&u, &rapl, 1000016384, 2 * NS_PER_S, 1000000, NS_PER_S);
	/* At most 1 kJ fits into a second; a wrap from there to 0 would be 201 kJ. */
	expect_odd(&u, &rapl, 0, 3 * NS_PER_S);
	expect(&u, &rapl, 1, 4 * NS_PER_S, 0, 4 * NS_PER_S);
	expect(&u, &rapl, 16385, 5 * NS_PER_S, 1000000, 4 * NS_PER_S);
	/* A counter without a wrap never falls. */
	unwrap_restart(&u);
	step(&u, &plain, 1000, NS_PER_S);
	expect_odd(&u, &plain, 998, 2 * NS_PER_S);
	expect(&u, &plain, 999, 3 * NS_PER_S, 0, 3 * NS_PER_S);
	expect(&u, &plain, 1000, 4 * NS_PER_S, 1, 3 * NS_PER_S);
}

/* One odd value among good ones: the next difference spans it, and nothing is lost. */
static void test_glitch(void **state)
{
	const uint64_t joule = 16384;
	struct unwrap u = { 0 };

	(void) state;
	step(&u, &rapl, 100000 * joule, NS_PER_S);
	for (uint64_t i = 1; i <= 10; i++) {
		uint64_t odd = i % 2 ? 80000 * joule : 120000 * joule;

		expect_odd(&u, &rapl, odd, (10 * i + 5) * NS_PER_S);
		expect(&u, &rapl, (100000 + 38 * i) * joule, (10 * i + 10) * NS_PER_S, 38000000 * i,
			NS_PER_S);
	}
}

/* Counting went on from 0, and soon is where it was before: that is a reset all the same, for the odd
 * value is one that can be followed. */
static void test_reset_that_catches_up(void **state)
{
	const uint64_t joule = 16384;
	struct unwrap u = { 0 };

	(void) state;
	step(&u, &plain, 20 * joule, NS_PER_S);
	expect_odd(&u, &plain, 0, 2 * NS_PER_S);
	expect(&u, &plain, 30 * joule, 3 * NS_PER_S, 0, 3 * NS_PER_S);
}

static void test_absurd_jump(void **state)
{
	const uint64_t joule = 16384;
	struct unwrap u = { 0 };

	(void) state;
	step(&u, &rapl, 0, NS_PER_S);
	/* 1000 W for a second, and the slack for a late read. */
	expect(&u, &rapl, 1000 * joule, 2 * NS_PER_S, 1000000000, NS_PER_S);
	expect(&u, &rapl, 2020 * joule, 3 * NS_PER_S, 2020000000, NS_PER_S);
	expect_odd(&u, &rapl, 3042 * joule, 4 * NS_PER_S);
	expect(&u, &rapl, 3043 * joule, 4 * NS_PER_S + 1, 0, 4 * NS_PER_S + 1);
	expect(&u, &rapl, 3044 * joule, 5 * NS_PER_S, 1000000, 4 * NS_PER_S + 1);
	/* A value that is known to be off by up to 100 ms may show 100 ms more at both ends. */
	unwrap_restart(&u);
	struct reading r = { .raw = 0, .t_ns = NS_PER_S, .t_err_ns = 100 * NS_PER_MS };
	unwrap_step(&u, &rapl, &r);
	r = (struct reading) {
		.raw = 1219 * joule, .t_ns = 2 * NS_PER_S, .t_err_ns = 100 * NS_PER_MS
	};
	unwrap_step(&u, &rapl, &r);
	assert_int_equal(r.energy_uj, 1219000000);
	r = (struct reading) {
		.raw = 2441 * joule, .t_ns = 3 * NS_PER_S, .t_err_ns = 100 * NS_PER_MS
	};
	unwrap_step(&u, &rapl, &r);
	assert_int_equal(r.error, -EBADMSG);
	/* Where no limit is known anything is believed. */
	unwrap_restart(&u);
	step(&u, &plain, 0, NS_PER_S);
	expect(&u, &plain, UINT64_C(1) << 60, NS_PER_S + 1, UINT64_C(1) << 60, NS_PER_S);
}

static void test_beyond_modulus(void **state)
{
	struct unwrap u = { 0 };
	struct reading r;

	(void) state;
	r = step(&u, &rapl, UINT64_C(1) << 32, NS_PER_S);
	assert_int_equal(r.error, -ERANGE);
	step(&u, &rapl, 100, 2 * NS_PER_S);
	r = step(&u, &rapl, UINT64_MAX, 3 * NS_PER_S);
	assert_int_equal(r.error, -ERANGE);
	/* It changed nothing. */
	expect(&u, &rapl, 100 + 16384, 4 * NS_PER_S, 1000000, 2 * NS_PER_S);
}

static void test_failed_reading(void **state)
{
	struct unwrap u = { 0 };
	struct reading r = { .error = -EIO, .raw = 5, .energy_uj = 77, .since_ns = 88 };

	(void) state;
	unwrap_step(&u, &rapl, &r);
	assert_false(u.started);
	assert_int_equal(r.error, -EIO);
	assert_int_equal(r.energy_uj, 77);
	step(&u, &rapl, 100, 2 * NS_PER_S);
	unwrap_step(&u, &rapl, &r);
	expect(&u, &rapl, 16484, 4 * NS_PER_S, 1000000, 2 * NS_PER_S);
}

/* The same time twice, and even a time that went back, divide nothing by nothing. */
static void test_odd_times(void **state)
{
	struct unwrap u = { 0 };

	(void) state;
	step(&u, &rapl, 0, NS_PER_S);
	expect(&u, &rapl, 16384, NS_PER_S, 1000000, NS_PER_S);
	expect(&u, &rapl, 2 * 16384, NS_PER_S - 1, 2000000, NS_PER_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_fraction),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_glitch),
		cmocka_unit_test(test_reset_that_catches_up),
		cmocka_unit_test(test_absurd_jump),
		cmocka_unit_test(test_beyond_modulus),
		cmocka_unit_test(test_failed_reading),
		cmocka_unit_test(test_odd_times),
	};

	return cmocka_run_group_tests_name("unwrap", tests, NULL, NULL);
}
