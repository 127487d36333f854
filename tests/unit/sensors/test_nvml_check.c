// SPDX-License-Identifier: MIT
/*
 * Whether a GPU's counter and its power tell the same: on made-up readings.
 */
#include "test.h"

#include <math.h>

#include "machine/clock.h"
#include "random.h"
#include "sensors/nvml/nvml_check.h"

#define STEP_NS (100 * NS_PER_MS)

/* A GPU whose power is a wave; its counter counts `counted` times what it draws. */
struct gpu {
	double low_mw;
	double high_mw;
	uint64_t half_ns;
	double counted;
	uint64_t window_ns;
	uint64_t t_ns;
	double mj;
};

static double power_at(const struct gpu *g, uint64_t t_ns)
{
	return (t_ns / g->half_ns) % 2 ? g->high_mw : g->low_mw;
}

/* Runs it until it is said to differ, for so long at most; returns when that was, or 0. */
static uint64_t run(struct gpu *g, struct gpu_check *c, uint64_t ns)
{
	uint64_t begun_ns = g->t_ns;

	while (g->t_ns < begun_ns + ns) {
		double shown_mw = 0;
		struct reading r;
		size_t n = 1;

		for (uint64_t at = 0; at < STEP_NS; at += NS_PER_MS)
			g->mj += power_at(g, g->t_ns + at) * g->counted / 1e3;
		g->t_ns += STEP_NS;
		shown_mw = power_at(g, g->t_ns - NS_PER_MS);
		for (uint64_t at = NS_PER_MS; at < g->window_ns && at < g->t_ns; at += NS_PER_MS) {
			shown_mw += power_at(g, g->t_ns - NS_PER_MS - at);
			n++;
		}
		r = (struct reading) { .t_ns = g->t_ns,
			.raw = (uint64_t) g->mj,
			.power_mw = (uint64_t) (shown_mw / (double) n) };
		if (gpu_check_step(c, &r, g->window_ns > STEP_NS ? g->window_ns : 0))
			return g->t_ns - begun_ns;
	}
	return 0;
}

static struct gpu steady(double mw, double counted)
{
	return (struct gpu) { .low_mw = mw,
		.high_mw = mw,
		.half_ns = NS_PER_S,
		.counted = counted,
		.t_ns = NS_PER_S };
}

static void test_steady(void **state)
{
	static const struct {
		double mw, counted;
		bool differs;
	} cases[] = { { 300e3, 1, false }, { 300e3, 1.049, false }, { 300e3, 0.951, false },
		{ 300e3, 1.06, true }, { 300e3, 0.94, true }, { 65e3, 187.0 / 327, true },
		{ 0, 1, false }, { 20, 0, false }, { 300e3, 0, true } };

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gpu g = steady(cases[i].mw, cases[i].counted);
		struct gpu_check c = { .begun = false };
		uint64_t found_ns = run(&g, &c, 90 * NS_PER_S);

		assert_int_equal(found_ns > 0, cases[i].differs);
		/* Not before there is something to go by, and soon then. */
		if (found_ns)
			assert_in_range(found_ns, 10 * NS_PER_S, 11 * NS_PER_S);
	}
}

/* Power that is seen for a quarter of the time, or late, is no reason to doubt the counter. */
static void test_waves(void **state)
{
	uint64_t seed = rng_seed();

	(void) state;
	for (uint64_t i = 0; i < rng_cases(300); i++) {
		struct rng r = rng_make(seed, i);
		struct gpu g = steady(0, 1);
		struct gpu_check c = { .begun = false };

		g.low_mw = (double) rng_between(&r, 20, 200) * 1e3;
		g.high_mw = (double) rng_between(&r, 200, 700) * 1e3;
		g.half_ns = rng_between(&r, 150, 3000) * NS_PER_MS;
		g.window_ns = (rng_one_in(&r, 2) ? 25 : 1000) * NS_PER_MS;
		if (run(&g, &c, 120 * NS_PER_S))
			fail_msg("seed %llu, case %llu", (unsigned long long) seed,
				(unsigned long long) i);
	}
}

/* Waves of which each sample shows the same part: three in two samples, and beats of a minute. */
static void test_waves_in_step(void **state)
{
	static const uint64_t halves_ms[] = { 75, 100, 125, 150, 151, 200, 250, 300, 350, 450 };

	(void) state;
	for (size_t i = 0; i < sizeof(halves_ms) / sizeof(halves_ms[0]); i++) {
		for (uint64_t phase_ms = 0; phase_ms < 2 * halves_ms[i]; phase_ms += 5) {
			struct gpu g = steady(0, 1);
			struct gpu_check c = { .begun = false };

			g.low_mw = 43e3;
			g.high_mw = 602e3;
			g.half_ns = halves_ms[i] * NS_PER_MS;
			g.window_ns = 25 * NS_PER_MS;
			g.t_ns += phase_ms * NS_PER_MS;
			if (run(&g, &c, 120 * NS_PER_S))
				fail_msg("half a wave of %llu ms, begun at %llu ms",
					(unsigned long long) halves_ms[i],
					(unsigned long long) phase_ms);
		}
	}
}

static void test_found_under_load(void **state)
{
	struct gpu g = steady(0, 0.8);
	struct gpu_check c = { .begun = false };

	(void) state;
	g.low_mw = 100e3;
	g.high_mw = 300e3;
	g.half_ns = 730 * NS_PER_MS;
	assert_in_range(run(&g, &c, 120 * NS_PER_S), 10 * NS_PER_S, 60 * NS_PER_S);
}

/* A pause or a counter that begins anew is not compared over; what was found stays found. */
static void test_breaks(void **state)
{
	struct gpu g = steady(200e3, 1);
	struct gpu_check c = { .begun = false };

	(void) state;
	for (int i = 0; i < 20; i++) {
		assert_int_equal(run(&g, &c, 12 * NS_PER_S), 0);
		if (i % 2)
			g.t_ns += 5 * NS_PER_S;
		else
			g.mj = 0;
	}
	g.counted = 1.2;
	assert_in_range(run(&g, &c, 120 * NS_PER_S), 1, 80 * NS_PER_S);
	g.counted = 1;
	g.mj = 0;
	assert_int_equal(run(&g, &c, NS_PER_S), STEP_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steady),
		cmocka_unit_test(test_waves),
		cmocka_unit_test(test_waves_in_step),
		cmocka_unit_test(test_found_under_load),
		cmocka_unit_test(test_breaks),
	};

	return cmocka_run_group_tests_name("nvml_check", tests, NULL, NULL);
}
