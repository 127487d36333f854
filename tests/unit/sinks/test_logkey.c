// SPDX-License-Identifier: MIT
#include "test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "random.h"
#include "sinks/logkey.h"

#define S INT64_C(1000000000)
#define MS INT64_C(1000000)
#define T0 (1692942659 * S) /* 2023-08-25 05:50:59 UTC */

static void set_zone(const char *tz)
{
	setenv("TZ", tz, 1);
	tzset();
}

static int in_utc(void **state)
{
	(void) state;
	set_zone("UTC0");
	return 0;
}

static void expect_key(struct logkey *k, int64_t wall_ns, const char *expected)
{
	char key[64];

	assert_false(logkey_must_turn_over(k, wall_ns));
	logkey_next(k, wall_ns, key, sizeof(key));
	assert_string_equal(key, expected);
}

static void test_seconds(void **state)
{
	struct logkey k;

	(void) state;
	logkey_begin(&k, "");
	expect_key(&k, T0 + 900 * MS, "2023-08-25 05:50:59");
	expect_key(&k, T0 + 1 * S, "2023-08-25 05:51:00");
	expect_key(&k, T0 + 3 * S + 999 * MS, "2023-08-25 05:51:02");
}

/* Two lines a second: the whole second first, then the very time. */
static void test_within_a_second(void **state)
{
	struct logkey k;

	(void) state;
	logkey_begin(&k, "");
	expect_key(&k, T0 + 100 * MS, "2023-08-25 05:50:59");
	expect_key(&k, T0 + 600 * MS, "2023-08-25 05:50:59.600000");
	expect_key(&k, T0 + 1100 * MS, "2023-08-25 05:51:00");
	expect_key(&k, T0 + 1600 * MS, "2023-08-25 05:51:00.600000");
	/* Several processes' lines of the same tick. */
	expect_key(&k, T0 + 1600 * MS, "2023-08-25 05:51:00.600001");
	expect_key(&k, T0 + 1600 * MS + 500, "2023-08-25 05:51:00.600002");
	expect_key(&k, T0 + 1600 * MS + 5000, "2023-08-25 05:51:00.600005");
	expect_key(&k, T0 + 2000 * MS, "2023-08-25 05:51:01");
	expect_key(&k, T0 + 2000 * MS, "2023-08-25 05:51:01.000001");
}

/* A pile of lines at the end of a second goes over into the next; then the whole second is taken. */
static void test_over_the_second(void **state)
{
	struct logkey k;
	char key[64];

	(void) state;
	logkey_begin(&k, "");
	for (int i = 0; i < 3; i++)
		logkey_next(&k, T0 + S - 1000, key, sizeof(key));
	assert_string_equal(key, "2023-08-25 05:51:00");
	expect_key(&k, T0 + S - 1000, "2023-08-25 05:51:00.000001");
	expect_key(&k, T0 + S, "2023-08-25 05:51:00.000002");
}

static void test_clock_set_back(void **state)
{
	struct logkey k;

	(void) state;
	logkey_begin(&k, "");
	expect_key(&k, T0 + 10 * S, "2023-08-25 05:51:09");
	/* A little: the keys just go on. */
	expect_key(&k, T0 + 9 * S, "2023-08-25 05:51:09.000001");
	expect_key(&k, T0 + 8 * S + 5000, "2023-08-25 05:51:09.000002");
	assert_false(logkey_must_turn_over(&k, T0 + 8 * S + 2000));
	/* By more than two seconds: a new file. */
	assert_true(logkey_must_turn_over(&k, T0 + 8 * S + 1999));
	assert_true(logkey_must_turn_over(&k, 0));
	logkey_begin(&k, "");
	expect_key(&k, T0 - 3600 * S, "2023-08-25 04:50:59");
}

static void test_end_of_summer_time(void **state)
{
	/* In central Europe clocks went from 3 back to 2 o'clock on 2023-10-29, 01:00 UTC. */
	const int64_t change = 1698541200 * S;
	struct logkey k;

	(void) state;
	set_zone("CET-1CEST,M3.5.0,M10.5.0/3");
	logkey_begin(&k, "");
	expect_key(&k, change - 1 * S, "2023-10-29 02:59:59");
	assert_true(logkey_must_turn_over(&k, change));
	logkey_begin(&k, "");
	expect_key(&k, change, "2023-10-29 02:00:00");
	/* In spring an hour is left out, which harms nobody. */
	logkey_begin(&k, "");
	expect_key(&k, 1679792399 * S, "2023-03-26 01:59:59");
	expect_key(&k, 1679792400 * S, "2023-03-26 03:00:00");
	set_zone("UTC0");
}

static void test_continued(void **state)
{
	struct logkey k;

	(void) state;
	logkey_begin(&k, "2023-08-25 05:50:59");
	expect_key(&k, T0 + 700 * MS, "2023-08-25 05:50:59.700000");
	logkey_begin(&k, "2023-08-25 05:50:59.700000");
	expect_key(&k, T0 + 700 * MS, "2023-08-25 05:50:59.700001");
	logkey_begin(&k, "2023-08-25 05:51:59");
	assert_true(logkey_must_turn_over(&k, T0));
	/* No time, no last key. */
	logkey_begin(&k, "once upon a time");
	expect_key(&k, T0, "2023-08-25 05:50:59");
}

/* Keys that somebody else wrote may be at the ends of what a number holds. */
static void test_far_keys(void **state)
{
	struct logkey k;

	(void) state;
	logkey_begin(&k, "0001-01-01 00:00:00");
	expect_key(&k, T0, "2023-08-25 05:50:59");
	logkey_begin(&k, "9999-12-31 23:59:59");
	assert_true(logkey_must_turn_over(&k, T0));
}

/* Whatever the clock does, keys increase, as times and as text, until the file is turned over. */
static void test_always_increasing(void **state)
{
	uint64_t seed = rng_seed();

	(void) state;
	for (uint64_t i = 0; i < 200; i++) {
		struct rng r = rng_make(seed, i);
		int64_t wall_ns = T0 + (int64_t) rng_below(&r, UINT64_C(100000000000000));
		char last[64] = "", key[64];
		struct logkey k;

		logkey_begin(&k, "");
		for (int line = 0; line < 300; line++) {
			if (logkey_must_turn_over(&k, wall_ns)) {
				logkey_begin(&k, "");
				last[0] = '\0';
			}
			logkey_next(&k, wall_ns, key, sizeof(key));
			/* '.' is after the end of the text, so plain comparison is right. */
			if (strcmp(key, last) <= 0)
				fail_msg("seed %" PRIu64 ", case %" PRIu64 ": %s after %s", seed, i,
					key, last);
			strcpy(last, key);
			if (rng_one_in(&r, 40))
				wall_ns -= (int64_t) rng_below(&r, 5 * (uint64_t) S);
			else if (!rng_one_in(&r, 3))
				wall_ns += (int64_t) rng_below(
					&r, rng_one_in(&r, 2) ? 2000000 : (uint64_t) S);
			if (rng_one_in(&r, 50)) /* the program was started again */
				logkey_begin(&k, last);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_seconds, in_utc),
		cmocka_unit_test_setup(test_within_a_second, in_utc),
		cmocka_unit_test_setup(test_over_the_second, in_utc),
		cmocka_unit_test_setup(test_clock_set_back, in_utc),
		cmocka_unit_test_setup(test_end_of_summer_time, in_utc),
		cmocka_unit_test_setup(test_continued, in_utc),
		cmocka_unit_test_setup(test_far_keys, in_utc),
		cmocka_unit_test_setup(test_always_increasing, in_utc),
	};

	return cmocka_run_group_tests_name("logkey", tests, NULL, NULL);
}
