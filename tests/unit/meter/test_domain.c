// SPDX-License-Identifier: MIT
/* The rules of kinds, and the arithmetic of energy, time and power. */
#include "test.h"

#include "meter/domain.h"
#include "meter/power.h"

static void test_what_goes_by_cpu_time(void **state)
{
	(void) state;
	assert_true(kind_goes_by_cpu_time(KIND_CPU));
	assert_true(kind_goes_by_cpu_time(KIND_DRAM));
	assert_false(kind_goes_by_cpu_time(KIND_GPU));
	assert_false(kind_goes_by_cpu_time(KIND_PLATFORM));
}

static void test_power(void **state)
{
	const uint64_t year_ns = UINT64_C(31536000) * 1000000000;
	const uint64_t year_of_1kw_uj = UINT64_C(31536000) * 1000 * 1000000;

	(void) state;
	assert_int_equal(power_uw(10000000, 500000000), 20000000);
	assert_int_equal(power_mw(10000000, 500000000), 20000);
	/* Over no time there is no power. */
	assert_int_equal(power_uw(1, 0), 0);
	assert_int_equal(power_mw(1, 0), 0);
	/* Rounded down, and exact where the product needs more than 64 bits. */
	assert_int_equal(power_uw(2, 3), 666666666);
	assert_int_equal(power_uw(year_of_1kw_uj, year_ns), 1000000000);
	assert_int_equal(power_energy_uj(1000000, year_ns), year_of_1kw_uj);
	assert_int_equal(power_time_ns(year_of_1kw_uj, 1000000), year_ns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_goes_by_cpu_time),
		cmocka_unit_test(test_power),
	};

	return cmocka_run_group_tests_name("domain", tests, NULL, NULL);
}
