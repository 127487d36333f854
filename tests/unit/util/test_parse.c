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

static void test_ratio(void **state)
{
	static const struct {
		const char *text;
		int shift;
		int r;
		uint64_t num, den;
	} cases[] = {
		{ "1", 0, 0, 1, 1 },
		{ "2.5e-1", 1, 0, 5, 2 },
		{ "2.3283064365386962890625e-10\n", 0, 0, 1, UINT64_C(1) << 32 },
		{ "2.3283064365386962890625e-10", 6, 0, 15625, UINT64_C(1) << 26 },
		{ "6.103515625e-05", 6, 0, 15625, 256 },
		{ "0.000061035156250", 6, 0, 15625, 256 },
		{ ".5", 0, 0, 1, 2 },
		{ "5.", 0, 0, 5, 1 },
		{ "1E+3", 0, 0, 1000, 1 },
		{ "0.0e-900", 0, 0, 0, 1 },
		{ "18446744073709551615", 0, 0, UINT64_MAX, 1 },
		{ "18446744073709551616", 0, -ERANGE, 0, 0 },
		{ "1e-19", 0, 0, 1, UINT64_C(10000000000000000000) },
		{ "1e-20", 0, -ERANGE, 0, 0 },
		{ "1e-300", 0, -ERANGE, 0, 0 },
		{ "1e99999", 0, -ERANGE, 0, 0 },
		{ "9999999999999999999999999999999999999999", 0, -ERANGE, 0, 0 },
		{ "", 0, -EINVAL, 0, 0 },
		{ ".", 0, -EINVAL, 0, 0 },
		{ "-1", 0, -EINVAL, 0, 0 },
		{ "1.2.3", 0, -EINVAL, 0, 0 },
		{ "1e", 0, -EINVAL, 0, 0 },
		{ "1e-", 0, -EINVAL, 0, 0 },
		{ "1 J", 0, -EINVAL, 0, 0 },
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t num = 0, den = 0;

		assert_int_equal(
			parse_ratio(cases[i].text, cases[i].shift, &num, &den), cases[i].r);
		assert_int_equal(num, cases[i].num);
		assert_int_equal(den, cases[i].den);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_u64),
		cmocka_unit_test(test_fixed),
		cmocka_unit_test(test_signed_hex_size),
		cmocka_unit_test(test_ratio),
	};

	return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
