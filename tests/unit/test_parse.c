// SPDX-License-Identifier: MIT
#include "test.h"

#include <errno.h>
#include <stdio.h>

#include "util/parse.h"

static void test_u64(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t value;
	} cases[] = {
		{ "0", 0, 0 },
		{ "12\n", 0, 12 },
		{ "000123456789 \n", 0, 123456789 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, 7 },
		{ "", -EINVAL, 7 },
		{ "\n", -EINVAL, 7 },
		{ "-1", -EINVAL, 7 },
		{ "+1", -EINVAL, 7 },
		{ "12x", -EINVAL, 7 },
		{ "0x10", -EINVAL, 7 },
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t value = 7;

		if (parse_u64(cases[i].text, &value) != cases[i].result || value != cases[i].value)
			fail_msg("\"%s\" gave %llu", cases[i].text, (unsigned long long) value);
	}
}

static void test_fixed(void **state)
{
	static const struct {
		const char *text;
		unsigned digits;
		int result;
		uint64_t value;
	} cases[] = {
		{ "2", 6, 0, 2000000 },
		{ "0.1", 6, 0, 100000 },
		{ ".5", 3, 0, 500 },
		{ "1.23456789", 3, 0, 1234 },
		{ "10.", 1, 0, 100 },
		{ ".", 3, -EINVAL, 7 },
		{ "", 3, -EINVAL, 7 },
		{ "1e3", 3, -EINVAL, 7 },
		{ "99999999999999999999", 0, -ERANGE, 7 },
		{ "18446744073709551615", 1, -ERANGE, 7 },
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t value = 7;

		if (parse_fixed(cases[i].text, cases[i].digits, &value) != cases[i].result ||
			value != cases[i].value)
			fail_msg("\"%s\" gave %llu", cases[i].text, (unsigned long long) value);
	}
}

static void test_signed_hex_size(void **state)
{
	int64_t i = 0;
	uint64_t u = 0;

	(void) state;
	assert_int_equal(parse_i64("-392\n", &i), 0);
	assert_int_equal(i, -392);
	assert_int_equal(parse_i64("9223372036854775808", &i), -ERANGE);
	assert_int_equal(parse_hex_u64("aF", &u), 0);
	assert_int_equal(u, 0xaf);
	assert_int_equal(parse_size("100M", &u), 0);
	assert_int_equal(u, UINT64_C(104857600));
	assert_int_equal(parse_size("7", &u), 0);
	assert_int_equal(u, 7);
	assert_int_equal(parse_size("7X", &u), -EINVAL);
	assert_int_equal(parse_size("7MB", &u), -EINVAL);
	assert_int_equal(parse_size("99999999999G", &u), -ERANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_u64),
		cmocka_unit_test(test_fixed),
		cmocka_unit_test(test_signed_hex_size),
	};

	return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
