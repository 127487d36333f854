// SPDX-License-Identifier: MIT
#include "test.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "random.h"
#include "util/timestamp.h"

#define S INT64_C(1000000000)

static void set_zone(const char *tz)
{
	setenv("TZ", tz, 1);
	tzset();
}

static void test_good(void **state)
{
	static const struct {
		const char *text;
		int64_t wall_ns;
	} cases[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "1970-01-01 00:00:00", 0 },
		{ "1970-01-01t00:00:00z", 0 },
		{ "1970-01-01T00:00:00.000000001Z", 1 },
		{ "1969-12-31T23:59:59.999999999Z", -1 },
		{ "1970-01-01T01:00:00+01:00", 0 },
		{ "1969-12-31T23:30:00-00:30", 0 },
		{ "1970-01-01T00:00:00-00:00", 0 },
		{ "2026-11-22T10:28:37.376716+00:00", 1795343317 * S + 376716000 },
		{ "2026-11-22T10:28:37.376716", 1795343317 * S + 376716000 },
		{ "2026-11-22T10:28:37.3", 1795343317 * S + 300000000 },
		{ "2026-11-22T10:28:37.123456789", 1795343317 * S + 123456789 },
		{ "2026-11-22T10:28:37.1234567899999", 1795343317 * S + 123456789 },
		{ "2026-11-22T10:28:37.376716+05:45", (1795343317 - 20700) * S + 376716000 },
		{ "2026-11-22T10:28:37-23:59", (1795343317 + 86340) * S },
		{ "2000-02-29T00:00:00Z", 951782400 * S },
		{ "2024-02-29T12:00:00", 1709208000 * S },
		/* Leap seconds are the second after: POSIX time has no room for them. */
		{ "1998-12-31T23:59:60Z", 915148800 * S },
		{ "2016-12-31T23:59:60.5Z", 1483228800 * S + S / 2 },
		/* Beyond what 64 bits of nanoseconds hold. */
		{ "9999-12-31T23:59:59Z", INT64_MAX },
		{ "2262-04-11T23:47:16.854775807Z", INT64_MAX },
		{ "2262-04-11T23:47:16.854775808Z", INT64_MAX },
		{ "2262-04-11T23:47:16.854775806Z", INT64_MAX - 1 },
		{ "0000-01-01T00:00:00Z", INT64_MIN },
		{ "1677-09-21T00:12:43Z", INT64_MIN },
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t wall_ns = 7;
		int r = timestamp_parse(cases[i].text, strlen(cases[i].text), &wall_ns);

		if (r != 0 || wall_ns != cases[i].wall_ns)
			fail_msg("%s: %d, %" PRId64, cases[i].text, r, wall_ns);
	}
}

static void test_bad(void **state)
{
	static const char *const texts[] = {
		"",
		"now",
		"2026",
		"2026-11-22",
		"2026-11-22T10:28",
		"2026-11-22T10:28:37.",
		"2026-11-22T10:28:37.Z",
		"2026-11-22T10:28:37,5",
		"2026-11-22T10:28:37+",
		"2026-11-22T10:28:37+1",
		"2026-11-22T10:28:37+01",
		"2026-11-22T10:28:37+0100",
		"2026-11-22T10:28:37+01:0",
		"2026-11-22T10:28:37+24:00",
		"2026-11-22T10:28:37+01:60",
		"2026-11-22T10:28:37Zx",
		"2026-11-22T10:28:37Z ",
		" 2026-11-22T10:28:37Z",
		"2026-11-22_10:28:37",
		"2026-11-22  10:28:37",
		"+026-11-22T10:28:37",
		"-2026-11-22T10:28:37",
		"20261-11-22T10:28:37",
		"2026-1-22T10:28:37",
		"2026-00-22T10:28:37",
		"2026-13-22T10:28:37",
		"2026-11-00T10:28:37",
		"2026-11-31T10:28:37",
		"2026-02-29T10:28:37",
		"1900-02-29T10:28:37",
		"2026-11-22T24:00:00",
		"2026-11-22T10:60:37",
		"2026-11-22T10:28:61",
		"2026-11-22T10:28:-1",
		"1795343317",
	};

	(void) state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		int64_t wall_ns = 7;

		if (timestamp_parse(texts[i], strlen(texts[i]), &wall_ns) != -EINVAL ||
			wall_ns != 7)
			fail_msg("\"%s\" is a time: %" PRId64, texts[i], wall_ns);
	}
	/* The length counts, not a NUL. */
	int64_t wall_ns;
	assert_int_equal(timestamp_parse("2026-11-22T10:28:37\0", 20, &wall_ns), -EINVAL);
	assert_int_equal(timestamp_parse("2026-11-22T10:28:37.5", 19, &wall_ns), 0);
	assert_int_equal(wall_ns, 1795343317 * S);
}

/* Each cut of a good text is either another good text or none; nothing behind it is looked at. */
static void test_every_cut(void **state)
{
	static const char text[] = "2026-11-22T10:28:37.376716+02:00";

	(void) state;
	for (size_t n = 0; n < sizeof(text); n++) {
		char *exact = malloc(n ? n : 1); /* so that a sanitizer sees reads behind it */
		int64_t wall_ns;
		bool good = n == 19 || (n >= 21 && n <= 26) || n == 32;

		memcpy(exact, text, n);
		if ((timestamp_parse(exact, n, &wall_ns) == 0) != good)
			fail_msg("the first %zu bytes", n);
		free(exact);
	}
}

static void test_written(void **state)
{
	char text[TIMESTAMP_MAX];

	(void) state;
	set_zone("CET-1CEST,M3.5.0,M10.5.0/3");
	timestamp_local_second(1692935459 * S + 999999999, text, sizeof(text));
	assert_string_equal(text, "2023-08-25 05:50:59");
	timestamp_local_micro(1692935459 * S + 500000999, text, sizeof(text));
	assert_string_equal(text, "2023-08-25 05:50:59.500000");
	timestamp_rfc3339(1692935459 * S + 500000000, text, sizeof(text));
	assert_string_equal(text, "2023-08-25T05:50:59.500000+02:00");
	timestamp_utc_naive(1692935459 * S + 500000000, text, sizeof(text));
	assert_string_equal(text, "2023-08-25T03:50:59.500000");
	/* Rounded down before 1970, too. */
	timestamp_utc_naive(-1, text, sizeof(text));
	assert_string_equal(text, "1969-12-31T23:59:59.999999");
	set_zone("NST3:30");
	timestamp_rfc3339(0, text, sizeof(text));
	assert_string_equal(text, "1969-12-31T20:30:00.000000-03:30");
	set_zone("UTC0");
	timestamp_rfc3339(0, text, sizeof(text));
	assert_string_equal(text, "1970-01-01T00:00:00.000000+00:00");
	timestamp_rfc3339(INT64_MAX, text, sizeof(text));
	assert_string_equal(text, "2262-04-11T23:47:16.854775+00:00");
	timestamp_rfc3339(INT64_MIN, text, sizeof(text));
	assert_string_equal(text, "1677-09-21T00:12:43.145224+00:00");
}

/* What is written can be read again, to the microsecond, in any zone. */
static void test_there_and_back(void **state)
{
	static const char *const zones[] = { "UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "NPT-5:45",
		"NST3:30NDT,M3.2.0,M11.1.0", "LINT-14" };
	uint64_t seed = rng_seed();

	(void) state;
	for (uint64_t i = 0; i < 20000; i++) {
		struct rng r = rng_make(seed, i);
		int64_t wall_ns = (int64_t) rng_u64(&r), read_ns;
		char text[TIMESTAMP_MAX];

		if (i % 4000 == 0)
			set_zone(zones[i / 4000]);
		if (rng_one_in(&r, 2)) /* the years that matter */
			wall_ns = (int64_t) rng_below(&r, UINT64_C(4000000000) * S);
		wall_ns -= (wall_ns % 1000 + 1000) % 1000;
		timestamp_rfc3339(wall_ns, text, sizeof(text));
		if (timestamp_parse(text, strlen(text), &read_ns) != 0 || read_ns != wall_ns)
			fail_msg("seed %" PRIu64 ": %" PRId64
				 " was written as %s and read as %" PRId64,
				seed, wall_ns, text, read_ns);
		timestamp_utc_naive(wall_ns, text, sizeof(text));
		if (timestamp_parse(text, strlen(text), &read_ns) != 0 || read_ns != wall_ns)
			fail_msg("seed %" PRIu64 ": %" PRId64
				 " was written as %s and read as %" PRId64,
				seed, wall_ns, text, read_ns);
	}
	set_zone("UTC0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_written),
		cmocka_unit_test(test_there_and_back),
	};

	return cmocka_run_group_tests_name("timestamp", tests, NULL, NULL);
}
