// SPDX-License-Identifier: MIT
/* How many lines of the log are let through. */
#include "test.h"

#include "daemon/log.h"

#define S UINT64_C(1000000000)

/* Tries one line each so often; returns how many went through, and adds up what was told to be left out. */
static unsigned flood(
	struct log_bucket *b, uint64_t from_ns, uint64_t seconds, uint64_t every_ns, uint64_t *told)
{
	unsigned n = 0;

	for (uint64_t t = from_ns; t < from_ns + seconds * S; t += every_ns) {
		uint64_t left_out;

		n += log_bucket_take(b, t, &left_out);
		*told += left_out;
	}
	return n;
}

static void test_a_flood_is_cut_and_counted(void **state)
{
	struct log_bucket b = { .left = 100 };
	uint64_t told = 0, left_out;
	unsigned through;

	(void) state;
	through = flood(&b, S, 100, S / 1000, &told);
	/* What was there and what came, 20 a second. */
	assert_in_range(through, 100 + 99 * 20, 100 + 100 * 20);
	/* The next line tells the rest. */
	assert_true(log_bucket_take(&b, 200 * S, &left_out));
	assert_int_equal(through + told + left_out, 100 * 1000);
}

static void test_what_is_rare_all_goes_through(void **state)
{
	struct log_bucket b = { .left = 1 };
	uint64_t told = 0;

	(void) state;
	assert_int_equal(flood(&b, S, 1000, S / 10, &told), 10000);
	assert_int_equal(told, 0);
}

static void test_the_count_is_told_once_a_second(void **state)
{
	struct log_bucket b = { .left = 1 };
	unsigned n_told = 0;

	(void) state;
	for (uint64_t t = S; t < 11 * S; t += S / 1000) {
		uint64_t left_out;

		n_told += log_bucket_take(&b, t, &left_out) && left_out;
	}
	assert_in_range(n_told, 9, 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_flood_is_cut_and_counted),
		cmocka_unit_test(test_what_is_rare_all_goes_through),
		cmocka_unit_test(test_the_count_is_told_once_a_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
