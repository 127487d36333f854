// SPDX-License-Identifier: MIT
/*
 * When lines are written: the rules one by one, and then grids and sessions with any phase to each
 * other.
 */
#include "test.h"

#include <inttypes.h>

#include "machine/clock.h"
#include "session/lines.h"
#include "random.h"

#define MS NS_PER_MS

static bool due(uint64_t passed_ms, bool tick, uint64_t until_end_ms, enum line_end end)
{
	struct line_clock l = { .period_ns = 500 * MS, .last_ns = 1000 * MS, .any = true };
	uint64_t t_ns = (1000 + passed_ms) * MS;

	return line_is_due(&l, t_ns, tick, until_end_ms ? t_ns + until_end_ms * MS : 0, end);
}

static void test_ticks(void **state)
{
	(void) state;
	assert_false(due(0, true, 0, LINE_GOES_ON));
	assert_false(due(249, true, 0, LINE_GOES_ON));
	assert_true(due(250, true, 0, LINE_GOES_ON));
	assert_true(due(500, true, 0, LINE_GOES_ON));
	assert_true(due(5000, true, 0, LINE_GOES_ON));
	/* Only ticks write lines, not the snapshots in between. */
	assert_false(due(500, false, 0, LINE_GOES_ON));
	assert_false(due(5000, false, 0, LINE_GOES_ON));
}

static void test_known_end(void **state)
{
	(void) state;
	/* A tick shortly before it leaves the line to it. */
	assert_false(due(500, true, 1, LINE_GOES_ON));
	assert_false(due(500, true, 250, LINE_GOES_ON));
	assert_true(due(500, true, 251, LINE_GOES_ON));
	/* It writes one itself, however short. */
	assert_true(due(1, false, 0, LINE_ENDS_AS_KNOWN));
	assert_true(due(700, true, 0, LINE_ENDS_AS_KNOWN));
	/* At the same time as the last line there is nothing to write. */
	assert_false(due(0, true, 0, LINE_ENDS_AS_KNOWN));
}

static void test_early_end(void **state)
{
	(void) state;
	assert_false(due(0, false, 0, LINE_ENDS_EARLY));
	assert_false(due(124, true, 0, LINE_ENDS_EARLY));
	assert_true(due(125, false, 0, LINE_ENDS_EARLY));
	assert_true(due(400, false, 0, LINE_ENDS_EARLY));
}

static void test_one_line_at_least(void **state)
{
	const struct line_clock l = { .period_ns = 10000 * MS, .last_ns = 1000 * MS };

	(void) state;
	assert_true(line_is_due(&l, 1001 * MS, false, 0, LINE_ENDS_EARLY));
	assert_false(line_is_due(&l, 1000 * MS, false, 0, LINE_ENDS_EARLY));
	assert_false(line_is_due(&l, 1001 * MS, true, 0, LINE_GOES_ON));
}

/* Exactly half a period after the beginning and before the end: one of the two gives way. */
static void test_half_way(void **state)
{
	struct line_clock l = { .period_ns = 500 * MS, .last_ns = 1000 * MS };
	uint64_t end_ns = 11000 * MS;
	int n = 0;

	(void) state;
	for (uint64_t t_ns = 1250 * MS; t_ns < end_ns; t_ns += 500 * MS) {
		if (line_is_due(&l, t_ns, true, end_ns, LINE_GOES_ON)) {
			l.last_ns = t_ns;
			n++;
		}
	}
	n += line_is_due(&l, end_ns, false, 0, LINE_ENDS_AS_KNOWN);
	assert_int_equal(n, 20);
}

struct run {
	int n;
	uint64_t shortest_ns;
	uint64_t longest_ns;
	uint64_t covered_ns;
};

/* A session from begin_ns to end_ns on a grid; known: the end is. */
static struct run run_session(
	uint64_t period_ns, uint64_t phase_ns, uint64_t begin_ns, uint64_t end_ns, bool known)
{
	struct line_clock l = { .period_ns = period_ns, .last_ns = begin_ns };
	struct run run = { .shortest_ns = UINT64_MAX };
	uint64_t tick_ns = phase_ns;

	while (tick_ns <= begin_ns)
		tick_ns += period_ns;
	for (;;) {
		bool last = tick_ns >= end_ns;
		uint64_t t_ns = last ? end_ns : tick_ns, ns = t_ns - l.last_ns;

		if (line_is_due(&l, t_ns, tick_ns == t_ns, known ? end_ns : 0,
			    !last           ? LINE_GOES_ON
				    : known ? LINE_ENDS_AS_KNOWN
					    : LINE_ENDS_EARLY)) {
			l.last_ns = t_ns;
			l.any = true;
			run.n++;
			run.covered_ns += ns;
			if (ns < run.shortest_ns)
				run.shortest_ns = ns;
			if (ns > run.longest_ns)
				run.longest_ns = ns;
		}
		if (last)
			return run;
		tick_ns += period_ns;
	}
}

static void test_any_phase(void **state)
{
	uint64_t seed = rng_seed();

	(void) state;
	for (uint64_t i = 0; i < 200000; i++) {
		struct rng r = rng_make(seed, i);
		uint64_t period_ns = rng_one_in(&r, 2) ? 500 * MS : rng_between(&r, MS, 10000 * MS);
		uint64_t n = rng_between(&r, 1, 30);
		uint64_t begin_ns = 100 * NS_PER_S + rng_below(&r, period_ns);
		uint64_t end_ns = begin_ns + n * period_ns;
		struct run run = run_session(period_ns, 99 * NS_PER_S + rng_below(&r, period_ns),
			begin_ns, end_ns, true);

		/* So many periods, so many lines; no time is left out, none is too short. */
		if ((uint64_t) run.n != n || run.covered_ns != n * period_ns ||
			run.shortest_ns < period_ns / 2 || run.longest_ns > 3 * (period_ns / 2) + 1)
			fail_msg("seed %" PRIu64 ", case %" PRIu64 ": %d lines for %" PRIu64
				 " periods, of %" PRIu64 " to %" PRIu64 " ns",
				seed, i, run.n, n, run.shortest_ns, run.longest_ns);
	}
}

/* Ends at any time, known or not. */
static void test_any_length(void **state)
{
	uint64_t seed = rng_seed();

	(void) state;
	for (uint64_t i = 0; i < 200000; i++) {
		struct rng r = rng_make(seed, 1000000 + i);
		uint64_t period_ns = rng_between(&r, 10 * MS, 1000 * MS), left_ns;
		uint64_t begin_ns = 100 * NS_PER_S + rng_below(&r, period_ns);
		uint64_t span_ns = rng_between(&r, 1, 10 * period_ns);
		bool known = rng_one_in(&r, 2);
		struct run run = run_session(period_ns, 99 * NS_PER_S + rng_below(&r, period_ns),
			begin_ns, begin_ns + span_ns, known);

		left_ns = span_ns - run.covered_ns;
		if ((known && left_ns != 0) || (!known && left_ns >= period_ns / 4 + 1) ||
			(run.n > 0 && run.longest_ns > (known ? 4 : 3) * (period_ns / 2) + 2) ||
			(run.shortest_ns < period_ns / 4 && run.n > 1) || run.n == 0)
			fail_msg("seed %" PRIu64 ", case %" PRIu64 ": %d lines over %" PRIu64
				 " of %" PRIu64 " ns, of %" PRIu64 " to %" PRIu64 " ns",
				seed, i, run.n, run.covered_ns, span_ns, run.shortest_ns,
				run.longest_ns);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ticks),
		cmocka_unit_test(test_known_end),
		cmocka_unit_test(test_early_end),
		cmocka_unit_test(test_one_line_at_least),
		cmocka_unit_test(test_half_way),
		cmocka_unit_test(test_any_phase),
		cmocka_unit_test(test_any_length),
	};

	return cmocka_run_group_tests_name("lines", tests, NULL, NULL);
}
