// SPDX-License-Identifier: MIT
/*
 * The bounds of a phase's energy hold the truth, in every single phase: with power that is known at
 * every nanosecond, seen through counters of several kinds that are read now and then, and phases
 * that begin and end anywhere.
 */
#include "test.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "machine/clock.h"
#include "phases/phases.h"
#include "course.h"
#include "random.h"

#define MS NS_PER_MS
#define BEGIN_NS (1000 * NS_PER_S)
#define N_LENGTHS 4
#define N_EACH 60 /* phases of each length in a case: each has a name of its own */

static const uint64_t lengths_ns[N_LENGTHS] = { 5 * MS, 10 * MS, 50 * MS, 100 * MS };

/* How the counter is seen. */
static const struct view {
	const char *text;
	uint64_t update_ns;
	uint64_t quantum_uj;
	bool stamped;     /* the update's time is told; else that of the read */
	uint64_t read_ns; /* every so often */
} views[] = {
	{ "RAPL at 100 Hz", MS, 61, false, 10 * MS },
	{ "RAPL at 1 kHz", MS, 61, false, MS },
	{ "RAPL at 10 Hz", MS, 61, false, 100 * MS },
	{ "exact at 100 Hz", MS, 1, true, 10 * MS },
	{ "a GPU's, stamped", 100 * MS, 1000, true, 50 * MS },
	{ "a GPU's, not stamped", 20 * MS, 1000, false, 10 * MS },
};

struct phase {
	uint64_t from_ns;
	uint64_t to_ns;
};

static struct course power;

static uint64_t used_uj(uint64_t from_ns, uint64_t to_ns, bool up)
{
	u128 pj = course_sum(&power, to_ns) - course_sum(&power, from_ns);

	return (uint64_t) ((pj + (up ? 999999 : 0)) / 1000000);
}

static int compare_phases(const void *a, const void *b)
{
	const struct phase *x = a, *y = b;

	return (x->from_ns > y->from_ns) - (x->from_ns < y->from_ns);
}

/* Of the union of all phases of one length. */
static uint64_t union_uj(struct phase *list, size_t n, uint64_t *ret_ns)
{
	uint64_t uj = 0, to_ns = 0;

	*ret_ns = 0;
	qsort(list, n, sizeof(*list), compare_phases);
	for (size_t i = 0; i < n; i++) {
		uint64_t from_ns = list[i].from_ns > to_ns ? list[i].from_ns : to_ns;

		if (list[i].to_ns <= from_ns)
			continue;
		uj += used_uj(from_ns, list[i].to_ns, false);
		*ret_ns += list[i].to_ns - from_ns;
		to_ns = list[i].to_ns;
	}
	return uj;
}

static void check(const struct phases *p, uint32_t name, uint64_t truth_uj, uint64_t slack_uj,
	const struct view *v, uint64_t seed, uint64_t number)
{
	struct phase_energy e;

	phases_energy(p, name, 0, &e);
	if (!e.known || truth_uj + slack_uj < e.energy.low_uj ||
		truth_uj > e.energy.high_uj + slack_uj || e.energy.uj < e.energy.low_uj ||
		e.energy.uj > e.energy.high_uj)
		fail_msg("PM_SEED=%" PRIu64 " case %" PRIu64 " (%s), name %u: %" PRIu64
			 " uJ is not in %" PRIu64 " (%" PRIu64 " to %" PRIu64 "), known %d",
			seed, number, v->text, name, truth_uj, e.energy.uj, e.energy.low_uj,
			e.energy.high_uj, e.known);
}

static void check_case(uint64_t seed, uint64_t number)
{
	static struct phase list[N_LENGTHS][N_EACH];
	static struct phase_marker markers[2 * N_LENGTHS * N_EACH * 2];
	struct rng r = rng_make(seed, number);
	const struct view *v = &views[rng_below(&r, sizeof(views) / sizeof(views[0]))];
	/* Spread over so long that some of one length overlap and some do not. */
	uint64_t end_ns = BEGIN_NS + rng_between(&r, 2 * NS_PER_S, 12 * NS_PER_S), read_ns, on_ns;
	uint64_t highest_mw = rng_between(&r, 10000, 300000);
	const struct phase_track track = { .max_power_mw = rng_one_in(&r, 2) ? 0 : highest_mw };
	struct phase_figures figures[PHASES_MAX_NAMES];
	struct phase_troubles troubles;
	struct phases *p;
	size_t n = 0;

	course_make(&power, &r, BEGIN_NS - NS_PER_S, end_ns + NS_PER_S, 5 * MS,
		rng_one_in(&r, 2) ? 20 * MS : 300 * MS, 0, highest_mw);
	for (uint32_t i = 0; i < N_LENGTHS * N_EACH; i++) {
		uint32_t which = i / N_EACH;
		uint64_t ns = lengths_ns[which];
		uint64_t from_ns = rng_between(&r, BEGIN_NS, end_ns - ns), to_ns = from_ns + ns;

		list[which][i % N_EACH] = (struct phase) { from_ns, to_ns };
		for (int both = 0; both < 2; both++) {
			uint32_t name = both ? PHASES_MAX_NAMES - 1 - which : i;

			markers[n++] = (struct phase_marker) { PHASE_BEGIN, i, name, 0, from_ns };
			markers[n++] = (struct phase_marker) { PHASE_END, i, name, 0, to_ns };
		}
	}
	assert_int_equal(phases_create(&p, &track, 1, BEGIN_NS), 0);
	/* The last reading tells of a time after the last phase, as a command's does. */
	for (read_ns = BEGIN_NS; read_ns < end_ns + v->update_ns + 2 * v->read_ns;) {
		uint64_t shown_ns = read_ns - read_ns % v->update_ns;
		const struct phase_point point = { .t_ns = v->stamped ? shown_ns : read_ns,
			.t_err_ns = v->stamped ? 0 : v->update_ns,
			.uj = (uint64_t) (course_sum(&power, shown_ns) / 1000000) / v->quantum_uj *
				v->quantum_uj,
			.doubt_uj = v->quantum_uj };

		phases_point(p, 0, &point);
		phases_settle(p, read_ns);
		read_ns += v->read_ns + rng_below(&r, v->read_ns / 10 + 1);
		/* They come in the order of threads, and at the next look. */
		for (size_t i = 0; i < n; i++) {
			if (markers[i].t_ns >= read_ns || markers[i].t_ns == 0)
				continue;
			phases_mark(p, &markers[i]);
			markers[i].t_ns = 0;
		}
	}
	phases_finish(p, read_ns);
	phases_troubles(p, &troubles);
	assert_int_equal(
		troubles.late + troubles.lost + troubles.stray_ends + troubles.unfinished, 0);
	for (uint32_t i = 0; i < N_LENGTHS * N_EACH; i++) {
		const struct phase *one = &list[i / N_EACH][i % N_EACH];

		check(p, i, used_uj(one->from_ns, one->to_ns, false), 1, v, seed, number);
	}
	assert_int_equal(phases_list(p, figures), N_LENGTHS * N_EACH + N_LENGTHS);
	for (uint32_t which = 0; which < N_LENGTHS; which++) {
		uint32_t name = PHASES_MAX_NAMES - 1 - which;
		uint64_t uj = union_uj(list[which], N_EACH, &on_ns);

		check(p, name, uj, N_EACH, v, seed, number);
		for (size_t k = 0; k < N_LENGTHS * N_EACH + N_LENGTHS; k++) {
			if (figures[k].name != name)
				continue;
			assert_int_equal(figures[k].count, N_EACH);
			assert_int_equal(figures[k].on_ns, on_ns);
			assert_int_equal(figures[k].sum_ns, N_EACH * lengths_ns[which]);
		}
	}
	phases_destroy(p);
}

/* 42 cases are more than 10 000 phases. */
static void test_truth_is_within_the_bounds(void **state)
{
	uint64_t seed = rng_seed(), cases = rng_cases(50);

	(void) state;
	for (uint64_t i = 0; i < cases; i++)
		check_case(seed, i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_truth_is_within_the_bounds),
	};

	return cmocka_run_group_tests_name("prop_phases", tests, NULL, NULL);
}
