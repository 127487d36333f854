// SPDX-License-Identifier: MIT
/* How many times as much: known cases, and how often the interval holds the truth. */
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/compare/ratio.h"
#include "random.h"

#define MAX_RUNS 40

/* ---- known cases ------------------------------------------------------------------------- */

static void set_exact(struct ratio_run *runs, const double *joules, size_t n)
{
	memset(runs, 0, n * sizeof(*runs));
	for (size_t i = 0; i < n; i++)
		runs[i].parts[0] = (struct ratio_energy) { joules[i], joules[i], joules[i] };
}

static struct ratio ratio_of_exact(
	const double *base, size_t n_base, const double *other, size_t n_other, bool in_turn)
{
	struct ratio_run x[MAX_RUNS], y[MAX_RUNS];
	struct ratio_question q = { .base = { .runs = x, .n = n_base },
		.other = { .runs = y, .n = n_other },
		.n_parts = 1,
		.same_scales = true,
		.in_turn = in_turn };
	struct ratio r;

	set_exact(x, base, n_base);
	set_exact(y, other, n_other);
	ratio_of(&q, &r);
	return r;
}

static void test_students_t(void **state)
{
	(void) state;
	/* From tables of the distribution. */
	assert_float_equal(ratio_t95(1), 12.706, 1e-3);
	assert_float_equal(ratio_t95(2), 4.303, 1e-3);
	assert_float_equal(ratio_t95(10), 2.228, 1e-3);
	assert_float_equal(ratio_t95(20), 2.086, 1e-3);
	assert_float_equal(ratio_t95(21), 2.080, 1e-3);
	assert_float_equal(ratio_t95(30), 2.042, 1e-3);
	assert_float_equal(ratio_t95(120), 1.980, 1e-3);
	assert_float_equal(ratio_t95(1e9), 1.960, 1e-3);
	/* It falls all the way, and does not jump. */
	for (double df = 1; df < 60; df += 0.01) {
		assert_true(ratio_t95(df + 0.01) < ratio_t95(df));
		assert_true(ratio_t95(df) - ratio_t95(df + 0.01) < 0.2);
	}
}

static void test_no_scatter(void **state)
{
	const double x[] = { 2, 2, 2 }, y[] = { 3, 3, 3 }, none[] = { 0, 0, 0 };
	struct ratio r = ratio_of_exact(x, 3, y, 3, true);

	(void) state;
	assert_true(r.known && r.scatter_known);
	assert_float_equal(r.ratio, 1.5, 1e-12);
	assert_float_equal(r.low, 1.5, 1e-12);
	assert_float_equal(r.high, 1.5, 1e-12);
	assert_int_equal(ratio_judge(&r), RATIO_MORE);
	r = ratio_of_exact(y, 3, x, 3, true);
	assert_int_equal(ratio_judge(&r), RATIO_LESS);
	r = ratio_of_exact(x, 3, x, 3, true);
	assert_int_equal(ratio_judge(&r), RATIO_SAME);
	r = ratio_of_exact(x, 1, y, 3, true);
	assert_true(r.known && !r.scatter_known);
	r = ratio_of_exact(none, 3, y, 3, true);
	assert_false(r.known);
	assert_int_equal(ratio_judge(&r), RATIO_SAME);
	r = ratio_of_exact(x, 0, y, 3, true);
	assert_false(r.known);
}

static void test_fieller_by_hand(void **state)
{
	/* x: mean 10, variance of the mean 1/3 (2 degrees of freedom); y: mean 20, the same. With
	 * r = 2: a = 4/3, b = 1/3, df = (5/3)^2 / ((16/9) / 2 + (1/9) / 2) = 50/17. */
	const double x[] = { 9, 10, 11 }, y[] = { 19, 20, 21 };
	struct ratio r = ratio_of_exact(x, 3, y, 3, true);
	double t = ratio_t95(50.0 / 17), v = t * t / 3, root;

	(void) state;
	root = sqrt(200.0 * 200 - (100 - v) * (400 - v));
	assert_float_equal(r.ratio, 2, 1e-12);
	assert_float_equal(r.low, ((200 - root) / (100 - v)), 1e-6);
	assert_float_equal(r.high, ((200 + root) / (100 - v)), 1e-6);
	assert_float_equal(ratio_half_width(&r), (r.high - 2), 1e-6);
}

static void test_turns_that_differ_alike(void **state)
{
	const double x[] = { 9, 14, 10, 12, 17, 8 }, y[] = { 18.1, 28, 19.9, 24.2, 33.9, 16 };
	struct ratio r = ratio_of_exact(x, 6, y, 6, true),
		     alone = ratio_of_exact(x, 6, y, 6, false);

	(void) state;
	assert_true(ratio_half_width(&r) < 0.02);
	assert_true(ratio_half_width(&alone) > 0.5);
}

static void test_a_base_that_may_be_nothing(void **state)
{
	const double x[] = { 0.1, 2 }, y[] = { 3, 3.1 };
	struct ratio r = ratio_of_exact(x, 2, y, 2, true);

	(void) state;
	assert_true(r.known && isinf(r.high));
	assert_true(isinf(ratio_half_width(&r)));
}

static void test_one_run_has_its_bounds(void **state)
{
	struct ratio_run x = { { { 10, 9, 12 } } }, y = { { { 30, 27, 33 } } };
	struct ratio_question q = { .base = { .runs = &x, .n = 1 },
		.other = { .runs = &y, .n = 1 },
		.n_parts = 1,
		.same_scales = true };
	struct ratio r;

	(void) state;
	ratio_of(&q, &r);
	assert_false(r.scatter_known);
	assert_float_equal(r.low, (27.0 / 12), 1e-6);
	assert_float_equal(r.high, (33.0 / 9), 1e-6);
	x.parts[0].low_j = 0;
	ratio_of(&q, &r);
	assert_true(isinf(r.high));
	y.parts[0].low_j = 0;
	ratio_of(&q, &r);
	assert_float_equal(r.low, 0, 0);
}

static void test_scales(void **state)
{
	/* Half or twice of all: the ranges contain nothing else. */
	struct ratio_run x = { { { 10, 5, 20 }, { 10, 5, 20 } } };
	struct ratio_run y = { { { 30, 15, 60 }, { 30, 15, 60 } } };
	const struct ratio_scale half = { 0.5, 1 };
	struct ratio_question q = { .base = { .runs = &x, .n = 1, .scales = { half, half } },
		.other = { .runs = &y, .n = 1, .scales = { half, half } },
		.n_parts = 2,
		.same_scales = true };
	struct ratio r;

	(void) state;
	ratio_of(&q, &r);
	assert_float_equal(r.low, 3, 1e-9);
	assert_float_equal(r.high, 3, 1e-9);
	/* Of several sensors each may be off by itself. */
	q.same_scales = false;
	ratio_of(&q, &r);
	assert_float_equal(r.low, (3 * 0.5 / 2), 1e-6);
	assert_float_equal(r.high, (3 * 2 / 0.5), 1e-6);
	/* Where it is not told what of the range is the scale. */
	q.same_scales = true;
	memset(q.base.scales, 0, sizeof(q.base.scales));
	memset(q.other.scales, 0, sizeof(q.other.scales));
	ratio_of(&q, &r);
	assert_float_equal(r.low, (3 * 0.5 / 2), 1e-6);
	assert_float_equal(r.high, (3 * 2 / 0.5), 1e-6);
	/* Twice as much of the one part and as much of the other: either may be the larger one. */
	q.base.scales[0] = q.base.scales[1] = q.other.scales[0] = q.other.scales[1] = half;
	y.parts[0] = (struct ratio_energy) { 20, 10, 40 };
	y.parts[1] = (struct ratio_energy) { 10, 5, 20 };
	ratio_of(&q, &r);
	assert_float_equal(r.ratio, 1.5, 1e-9);
	assert_float_equal(r.low, ((20 * 0.5 + 10 * 2) / (10 * 0.5 + 10 * 2)), 1e-6);
	assert_float_equal(r.high, ((20 * 2 + 10 * 0.5) / (10 * 2 + 10 * 0.5)), 1e-6);
}

static void test_bounds_that_last(void **state)
{
	struct ratio_run x[16], y[16];
	struct ratio_question q = { .base = { .runs = x, .n = 16 },
		.other = { .runs = y, .n = 16 },
		.n_parts = 1,
		.same_scales = true };
	struct ratio r;

	(void) state;
	memset(x, 0, sizeof(x));
	memset(y, 0, sizeof(y));
	for (size_t i = 0; i < 16; i++)
		x[i].parts[0] = y[i].parts[0] = (struct ratio_energy) { 10, 9, 11 };
	ratio_of(&q, &r);
	assert_float_equal(r.high, (10.25 / 9.75), 1e-6);
	q.base.lasting[0] = q.other.lasting[0] = true;
	ratio_of(&q, &r);
	assert_float_equal(r.high, (11.0 / 9), 1e-6);
}

/* ---- how often it holds the truth --------------------------------------------------------- */

struct world {
	size_t n_base, n_other;
	double ratio;  /* the truth */
	double spread; /* sigma of a run, as a part of its energy */
	double shared; /* the part of that variance which a turn's two runs share */
	double edge;   /* half the width of a run's bounds, as a part of the base's energy */
	double bias;   /* of the edges' error: the part of `edge` that is the same in each run */
	double scale;  /* how far off the sensor's scale may be, and is, at either end */
};

static double uniform(struct rng *r)
{
	return (double) (rng_u64(r) >> 11) / 9007199254740992.0;
}

static double normal(struct rng *r)
{
	return sqrt(-2 * log(1 - uniform(r))) * cos(2 * 3.14159265358979 * uniform(r));
}

/* What a sensor makes of a run that really uses so much. */
static struct ratio_run measure(struct rng *rng, const struct world *w, double j, double gain)
{
	double error = w->edge * (w->bias + (1 - fabs(w->bias)) * (2 * uniform(rng) - 1));
	double told = fmax(j + error, 1e-6), low = fmax(told - w->edge, 0), high = told + w->edge;
	struct ratio_run run = { 0 };

	run.parts[0] = (struct ratio_energy) { told * gain, low * gain * (1 - w->scale),
		high * gain * (1 + w->scale) };
	return run;
}

static void make_runs(
	struct rng *rng, const struct world *w, struct ratio_run *x, struct ratio_run *y)
{
	double gain = 1 + w->scale * (rng_one_in(rng, 2) ? 1 : -1);

	for (size_t i = 0; i < w->n_base || i < w->n_other; i++) {
		double turn = sqrt(w->shared) * normal(rng), own = sqrt(1 - w->shared);
		double j = 1 + w->spread * (turn + own * normal(rng));
		double k = w->ratio * (1 + w->spread * (turn + own * normal(rng)));

		if (i < w->n_base)
			x[i] = measure(rng, w, fmax(j, 0.01), gain);
		if (i < w->n_other)
			y[i] = measure(rng, w, fmax(k, 0.01), gain);
	}
}

/* The part of so many tries in which the interval holds the truth. */
static double coverage(const struct world *w, uint64_t seed, uint64_t number, size_t tries)
{
	struct rng rng = rng_make(seed, number);
	struct ratio_run x[MAX_RUNS], y[MAX_RUNS];
	struct ratio_question q = { .base = { .runs = x, .n = w->n_base },
		.other = { .runs = y, .n = w->n_other },
		.n_parts = 1,
		.same_scales = true,
		.in_turn = true };
	size_t held = 0;
	struct ratio r;

	q.base.scales[0] = q.other.scales[0] = (struct ratio_scale) { w->scale, w->scale };
	for (size_t i = 0; i < tries; i++) {
		make_runs(&rng, w, x, y);
		ratio_of(&q, &r);
		held += r.known && r.low <= w->ratio && w->ratio <= r.high;
	}
	return (double) held / (double) tries;
}

/* 95 % is what the interval aims at, and the worst of these worlds have 94. Less than this is a
 * mistake, and not the draw: over 3,000 tries the share is off by 0.4 points (sigma). */
#define LEAST 0.92
#define TRIES 3000

static void test_coverage(void **state)
{
	static const size_t ns[][2] = { { 2, 2 }, { 3, 3 }, { 5, 5 }, { 10, 10 }, { 30, 30 },
		{ 3, 10 }, { 12, 2 } };
	static const double spreads[] = { 0.001, 0.02, 0.1 }, shares[] = { 0, 0.5, 0.9 };
	static const double edges[] = { 0, 0.01, 0.1 }, biases[] = { 0, 0.25, -0.25 };
	static const double ratios[] = { 1, 1.83, 0.3 }, scales[] = { 0, 0.5 };
	size_t cases = 1, bad = 0, limits[] = { 7, 3, 3, 3, 3, 3, 2 };
	uint64_t seed = rng_seed();
	double worst = 1;

	(void) state;
	for (size_t i = 0; i < 7; i++)
		cases *= limits[i];
	for (size_t c = 0; c < cases; c++) {
		size_t at[7], rest = c;
		struct world w;
		double held;

		for (size_t i = 0; i < 7; i++, rest /= limits[i - 1])
			at[i] = rest % limits[i];
		/* Of all the worlds some, others each time. */
		if (rng_make(seed ^ 0x5eed, c).state % 10 != 0)
			continue;
		w = (struct world) { .n_base = ns[at[0]][0],
			.n_other = ns[at[0]][1],
			.spread = spreads[at[1]],
			.shared = shares[at[2]],
			.edge = edges[at[3]],
			.bias = biases[at[4]],
			.ratio = ratios[at[5]],
			.scale = scales[at[6]] };
		held = coverage(&w, seed, c, TRIES);
		if (held < worst)
			worst = held;
		if (held >= LEAST)
			continue;
		bad++;
		print_message("n %zu and %zu, ratio %g, spread %g, shared %g, edge %g, bias %g, "
			      "scale %g: %.1f %%\n",
			w.n_base, w.n_other, w.ratio, w.spread, w.shared, w.edge, w.bias, w.scale,
			held * 100);
	}
	print_message("at worst %.1f %%\n", worst * 100);
	assert_int_equal(bad, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_students_t),
		cmocka_unit_test(test_no_scatter),
		cmocka_unit_test(test_fieller_by_hand),
		cmocka_unit_test(test_turns_that_differ_alike),
		cmocka_unit_test(test_a_base_that_may_be_nothing),
		cmocka_unit_test(test_one_run_has_its_bounds),
		cmocka_unit_test(test_scales),
		cmocka_unit_test(test_bounds_that_last),
		cmocka_unit_test(test_coverage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
