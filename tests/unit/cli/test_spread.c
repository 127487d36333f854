// SPDX-License-Identifier: MIT
/* What several runs have in common. */
#include "test.h"

#include <math.h>

#include "cli/report/report.h"
#include "cli/compare/spread.h"

#define NEAR 1e-12

static void test_values(void **state)
{
	double four[] = { 4, 1, 3, 2 }, three[] = { 9, -1, 4 }, one[] = { 5 };
	struct spread s;

	(void) state;
	spread_over(four, 4, &s);
	assert_float_equal(s.mean, 2.5, NEAR);
	assert_float_equal(s.sigma, sqrt(5.0 / 3), NEAR);
	assert_float_equal(s.median, 2.5, NEAR);
	assert_float_equal(s.min, 1, NEAR);
	assert_float_equal(s.max, 4, NEAR);
	spread_over(three, 3, &s);
	assert_float_equal(s.mean, 4, NEAR);
	assert_float_equal(s.sigma, 5, NEAR);
	assert_float_equal(s.median, 4, NEAR);
	/* One run has no spread. */
	spread_over(one, 1, &s);
	assert_float_equal(s.mean, 5, NEAR);
	assert_float_equal(s.sigma, 0, NEAR);
	assert_float_equal(s.median, 5, NEAR);
}

static void test_runs(void **state)
{
	static struct run_record runs[2];
	struct run_report r = { .runs = runs };
	struct kind_figures *cpu = &runs[0].result.figures.kinds[KIND_CPU];
	struct spread s;

	(void) state;
	assert_false(spread_of(&r, SPREAD_ELAPSED, KIND_CPU, &s));
	r.n_runs = 2;
	runs[0].result.figures.elapsed_ns = 1000000000;
	runs[1].result.figures.elapsed_ns = 3000000000;
	assert_true(spread_of(&r, SPREAD_ELAPSED, KIND_CPU, &s));
	assert_float_equal(s.mean, 2, NEAR);
	cpu->known = cpu->shared = true;
	cpu->asked.uj = 2000000;
	cpu->whole.uj = 8000000;
	/* What one of the runs does not know is not known. */
	assert_false(spread_of(&r, SPREAD_COMMAND, KIND_CPU, &s));
	assert_false(spread_of(&r, SPREAD_WHOLE, KIND_CPU, &s));
	assert_false(spread_of(&r, SPREAD_MACHINE, KIND_CPU, &s));
	runs[1].result.figures.kinds[KIND_CPU] = *cpu;
	assert_true(spread_of(&r, SPREAD_COMMAND, KIND_CPU, &s));
	assert_float_equal(s.max, 2, NEAR);
	assert_true(spread_of(&r, SPREAD_WHOLE, KIND_CPU, &s));
	assert_float_equal(s.min, 8, NEAR);
	assert_false(spread_of(&r, SPREAD_COMMAND, KIND_GPU, &s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
