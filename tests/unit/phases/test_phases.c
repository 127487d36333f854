// SPDX-License-Identifier: MIT
/*
 * What becomes of markers and readings, in small cases that can be worked out by hand.
 */
#include "test.h"

#include "machine/clock.h"
#include "phases/phases.h"

#define MS NS_PER_MS
#define T0 (1000 * NS_PER_S)

/* Power is what a test says, in watts for each 10 ms; readings are exact and every 10 ms. */
static const struct phase_track exact = { 0 };

static struct phases *make(const struct phase_track *track)
{
	struct phases *p;

	assert_int_equal(phases_create(&p, track, 1, T0), 0);
	return p;
}

static void mark(
	struct phases *p, enum phase_mark what, uint32_t thread, uint32_t name, uint64_t ns)
{
	phases_mark(p, &(struct phase_marker) { what, thread, name, 0, T0 + ns });
}

/* Readings every 10 ms at so many watts, from 0 to ms. */
static void read_all(struct phases *p, const unsigned *watts, size_t n)
{
	uint64_t uj = 0;

	for (size_t i = 0; i <= n; i++) {
		phases_point(p, 0,
			&(struct phase_point) {
				.t_ns = T0 + i * 10 * MS, .uj = uj, .flags = FLAG_MEASURED });
		if (i < n)
			uj += watts[i] * 10000;
	}
}

static struct phase_energy energy_of(const struct phases *p, uint32_t name)
{
	struct phase_energy e;

	phases_energy(p, name, 0, &e);
	return e;
}

static void assert_energy(
	const struct phases *p, uint32_t name, uint64_t low_uj, uint64_t uj, uint64_t high_uj)
{
	struct phase_energy e = energy_of(p, name);

	assert_true(e.known);
	assert_int_equal(e.energy.low_uj, low_uj);
	assert_int_equal(e.energy.uj, uj);
	assert_int_equal(e.energy.high_uj, high_uj);
}

static struct phase_figures figures_of(const struct phases *p, uint32_t name)
{
	struct phase_figures list[PHASES_MAX_NAMES];
	size_t n = phases_list(p, list);

	for (size_t i = 0; i < n; i++)
		if (list[i].name == name)
			return list[i];
	fail_msg("name %u is not in the list", name);
	return list[0];
}

static void test_whole_intervals_are_exact(void **state)
{
	const unsigned watts[] = { 10, 20, 30, 40, 50 };
	struct phases *p = make(&exact);

	(void) state;
	mark(p, PHASE_BEGIN, 0, 1, 10 * MS);
	mark(p, PHASE_END, 0, 1, 40 * MS);
	read_all(p, watts, 5);
	phases_finish(p, T0 + 50 * MS);
	assert_energy(p, 1, 900000, 900000, 900000);
	assert_false(phase_is_too_short(&(struct phase_energy[]) { energy_of(p, 1) }[0]));
	phases_destroy(p);
}

/* 2.5 ms of a first interval, 7.5 of a last one: at least what lies between them, at most all. */
static void test_parts_are_bounded_and_shared_by_time(void **state)
{
	const unsigned watts[] = { 20, 20, 20, 20 };
	struct phases *p = make(&exact);

	(void) state;
	mark(p, PHASE_BEGIN, 0, 1, 7500000);
	mark(p, PHASE_END, 0, 1, 37500000);
	read_all(p, watts, 4);
	phases_finish(p, T0 + 40 * MS);
	assert_energy(p, 1, 400000, 600000, 800000);
	phases_destroy(p);
}

/* A domain of at most 40 W cannot use all of an interval's energy in a quarter of it. */
static void test_the_most_power_narrows_the_bounds(void **state)
{
	const struct phase_track track = { .max_power_mw = 40000 };
	const unsigned watts[] = { 20, 20, 20, 20 };
	struct phases *p = make(&track);

	(void) state;
	mark(p, PHASE_BEGIN, 0, 1, 7500000);
	mark(p, PHASE_END, 0, 1, 37500000);
	read_all(p, watts, 4);
	phases_finish(p, T0 + 40 * MS);
	/* 2.5 ms: 0 to 0.1 J; 7.5 ms: 0.2 J less what 2.5 ms can use, to 0.2 J. A microjoule for
	 * rounding. */
	assert_energy(p, 1, 499999, 600000, 700001);
	phases_destroy(p);
}

/* 10 W before, 90 W within: the interval of the change is shared by what its neighbours say. */
static void test_neighbours_tell_the_power(void **state)
{
	const unsigned watts[] = { 10, 10, 50, 90, 90 };
	struct phases *p = make(&exact);

	(void) state;
	mark(p, PHASE_BEGIN, 0, 1, 25 * MS);
	mark(p, PHASE_END, 0, 1, 50 * MS);
	read_all(p, watts, 5);
	phases_finish(p, T0 + 50 * MS);
	assert_energy(p, 1, 1800000, 1800000 + 450000, 1800000 + 500000);
	phases_destroy(p);
}

/* Only what is without is known: the rest is the phase's. */
static void test_a_short_phase_is_what_is_left(void **state)
{
	const unsigned watts[] = { 10, 10, 30, 10, 10 };
	struct phases *p = make(&exact);

	(void) state;
	mark(p, PHASE_BEGIN, 0, 1, 22 * MS);
	mark(p, PHASE_END, 0, 1, 24 * MS);
	read_all(p, watts, 5);
	phases_finish(p, T0 + 50 * MS);
	assert_energy(p, 1, 0, 300000 - 80000, 300000);
	assert_true(phase_is_too_short(&(struct phase_energy[]) { energy_of(p, 1) }[0]));
	phases_destroy(p);
}

static void test_a_reading_s_own_time_and_doubt(void **state)
{
	struct phases *p = make(&exact);
	struct phase_energy e;

	(void) state;
	mark(p, PHASE_BEGIN, 0, 1, 15 * MS);
	mark(p, PHASE_END, 0, 1, 55 * MS);
	for (uint64_t i = 0; i <= 7; i++)
		phases_point(p, 0,
			&(struct phase_point) { .t_ns = T0 + i * 10 * MS,
				.t_err_ns = 6 * MS,
				.uj = i * 100000,
				.doubt_uj = 1000 });
	phases_finish(p, T0 + 70 * MS);
	e = energy_of(p, 1);
	/* From 30 to 40 ms nothing else could have used it; within 6 ms of the edges it may. */
	assert_int_equal(e.energy.low_uj, 98000);
	assert_int_equal(e.energy.uj, 400000);
	/* All intervals reach into it, the first and the last by a millisecond. */
	assert_int_equal(e.energy.high_uj, 7 * 100000 + 2000);
	phases_destroy(p);
}

static void test_the_scale_is_no_reason_to_call_it_short(void **state)
{
	const struct phase_track track = { .scale_low_ppm = 500000, .scale_high_ppm = 1000000 };
	const unsigned watts[] = { 10, 20, 30 };
	struct phases *p = make(&track);
	struct phase_energy e;

	(void) state;
	mark(p, PHASE_BEGIN, 0, 1, 10 * MS);
	mark(p, PHASE_END, 0, 1, 20 * MS);
	read_all(p, watts, 3);
	phases_finish(p, T0 + 30 * MS);
	assert_energy(p, 1, 100000, 200000, 400000);
	e = energy_of(p, 1);
	assert_false(phase_is_too_short(&e));
	phases_destroy(p);
}

/* Two threads and a nested one: a name's time and energy count once, each name has its own. */
static void test_overlap_counts_once(void **state)
{
	const unsigned watts[] = { 10, 10, 10, 10, 10, 10 };
	struct phases *p = make(&exact);
	struct phase_figures f;

	(void) state;
	mark(p, PHASE_BEGIN, 0, 1, 10 * MS);
	mark(p, PHASE_BEGIN, 1, 1, 20 * MS);
	mark(p, PHASE_BEGIN, 0, 2, 20 * MS);
	mark(p, PHASE_BEGIN, 0, 1, 20 * MS);
	mark(p, PHASE_END, 0, 1, 30 * MS);
	mark(p, PHASE_END, 0, 2, 30 * MS);
	mark(p, PHASE_END, 0, 1, 40 * MS);
	mark(p, PHASE_END, 1, 1, 50 * MS);
	read_all(p, watts, 6);
	phases_finish(p, T0 + 60 * MS);
	f = figures_of(p, 1);
	assert_int_equal(f.count, 3);
	assert_int_equal(f.on_ns, 40 * MS);
	assert_int_equal(f.sum_ns, 70 * MS);
	assert_energy(p, 1, 400000, 400000, 400000);
	assert_energy(p, 2, 100000, 100000, 100000);
	phases_destroy(p);
}

static void test_bad_markers(void **state)
{
	struct phase_troubles t;
	struct phases *p = make(&exact);

	(void) state;
	mark(p, PHASE_END, 0, 1, 1 * MS);   /* no beginning */
	mark(p, PHASE_BEGIN, 0, 2, 2 * MS); /* no end */
	mark(p, PHASE_BEGIN, 0, 3, 3 * MS); /* wrong nesting */
	mark(p, PHASE_BEGIN, 0, 4, 4 * MS);
	mark(p, PHASE_END, 0, 3, 5 * MS);
	mark(p, PHASE_END, 0, 4, 6 * MS);
	mark(p, PHASE_END, 1, 4, 7 * MS);                    /* another thread's */
	mark(p, PHASE_BEGIN, PHASES_MAX_THREADS, 1, 8 * MS); /* no thread, no name */
	mark(p, PHASE_BEGIN, 0, PHASES_MAX_NAMES, 8 * MS);
	phases_finish(p, T0 + 10 * MS);
	phases_troubles(p, &t);
	assert_int_equal(t.stray_ends, 2);
	assert_int_equal(t.unfinished, 1);
	assert_int_equal(t.misnested, 1);
	assert_int_equal(t.rubbish, 2);
	assert_int_equal(figures_of(p, 2).unfinished, 1);
	assert_int_equal(figures_of(p, 2).on_ns, 8 * MS);
	assert_int_equal(figures_of(p, 3).on_ns, 2 * MS);
	assert_int_equal(figures_of(p, 1).count, 0);
	assert_int_equal(figures_of(p, 1).stray_ends, 1);
	phases_destroy(p);
}

static void test_a_thread_that_ends_ends_its_phases(void **state)
{
	struct phases *p = make(&exact);

	(void) state;
	mark(p, PHASE_BEGIN, 0, 1, 1 * MS);
	mark(p, PHASE_BEGIN, 0, 1, 2 * MS);
	mark(p, PHASE_BEGIN, 1, 2, 2 * MS);
	mark(p, PHASE_GONE, 0, PHASES_NO_NAME, 5 * MS);
	mark(p, PHASE_BEGIN, 0, 1, 7 * MS); /* another thread's by now */
	mark(p, PHASE_END, 0, 1, 8 * MS);
	phases_finish(p, T0 + 10 * MS);
	assert_int_equal(figures_of(p, 1).count, 3);
	assert_int_equal(figures_of(p, 1).unfinished, 2);
	assert_int_equal(figures_of(p, 1).on_ns, 5 * MS);
	assert_int_equal(figures_of(p, 2).on_ns, 8 * MS);
	phases_destroy(p);
}

/* Rings are read one after the other, and a marker may be told later than its time. */
static void test_order_is_by_time_and_lateness_is_told(void **state)
{
	struct phase_troubles t;
	struct phases *p = make(&exact);

	(void) state;
	mark(p, PHASE_BEGIN, 1, 1, 50 * MS);
	mark(p, PHASE_END, 1, 1, 60 * MS);
	phases_settle(p, T0 + 100 * MS);
	mark(p, PHASE_BEGIN, 2, 1, 10 * MS);
	mark(p, PHASE_END, 2, 1, 20 * MS);
	phases_settle(p, T0 + 60 * MS + PHASES_WAIT_NS);
	phases_troubles(p, &t);
	assert_int_equal(t.late, 0);
	mark(p, PHASE_BEGIN, 3, 1, 30 * MS); /* too late: from what is settled on */
	mark(p, PHASE_END, 3, 1, 100 * MS);
	phases_finish(p, T0 + 400 * MS);
	phases_troubles(p, &t);
	assert_int_equal(t.late, 1);
	assert_int_equal(figures_of(p, 1).count, 3);
	assert_int_equal(figures_of(p, 1).on_ns, (10 + 10 + 40) * MS);
	phases_destroy(p);
}

/* Markers of before the measuring count from its beginning, and are not late. */
static void test_what_is_on_already(void **state)
{
	const unsigned watts[] = { 10, 10 };
	struct phase_troubles t;
	struct phases *p = make(&exact);

	(void) state;
	phases_mark(p, &(struct phase_marker) { PHASE_BEGIN, 0, 1, 0, T0 - 500 * MS });
	mark(p, PHASE_END, 0, 1, 10 * MS);
	read_all(p, watts, 2);
	phases_finish(p, T0 + 20 * MS);
	phases_troubles(p, &t);
	assert_int_equal(t.late, 0);
	assert_int_equal(figures_of(p, 1).on_ns, 10 * MS);
	assert_energy(p, 1, 100000, 100000, 100000);
	phases_destroy(p);
}

/* What began and ended before is none of the measuring's. */
static void test_what_was_before(void **state)
{
	struct phase_troubles t;
	struct phases *p = make(&exact);

	(void) state;
	phases_mark(p, &(struct phase_marker) { PHASE_BEGIN, 0, 1, 0, T0 - 500 * MS });
	phases_mark(p, &(struct phase_marker) { PHASE_END, 0, 1, 0, T0 - 400 * MS });
	phases_mark(p, &(struct phase_marker) { PHASE_END, 0, 2, 0, T0 - 400 * MS });
	phases_mark(p, &(struct phase_marker) { PHASE_BEGIN, 1, 1, 0, T0 - 300 * MS });
	phases_mark(p, &(struct phase_marker) { PHASE_GONE, 1, PHASES_NO_NAME, 0, T0 - 200 * MS });
	mark(p, PHASE_BEGIN, 0, 1, 10 * MS);
	mark(p, PHASE_END, 0, 1, 20 * MS);
	phases_finish(p, T0 + 20 * MS);
	phases_troubles(p, &t);
	assert_int_equal(t.late + t.stray_ends + t.unfinished, 0);
	assert_int_equal(figures_of(p, 1).count, 1);
	assert_int_equal(figures_of(p, 1).on_ns, 10 * MS);
	assert_int_equal(figures_of(p, 1).sum_ns, 10 * MS);
	phases_destroy(p);
}

static void test_without_readings_nothing_is_known(void **state)
{
	struct phases *p = make(&exact);

	(void) state;
	mark(p, PHASE_BEGIN, 0, 1, 0);
	mark(p, PHASE_END, 0, 1, 10 * MS);
	phases_point(p, 0, &(struct phase_point) { .t_ns = T0 + MS, .uj = 5 });
	phases_finish(p, T0 + 20 * MS);
	assert_false(energy_of(p, 1).known);
	phases_destroy(p);
}

/* A sensor that is slower than the end: what is beyond its last reading is as before it. */
static void test_beyond_the_readings(void **state)
{
	const unsigned watts[] = { 10, 10 };
	struct phases *p = make(&exact);

	(void) state;
	mark(p, PHASE_BEGIN, 0, 1, 10 * MS);
	mark(p, PHASE_END, 0, 1, 30 * MS);
	read_all(p, watts, 2);
	phases_finish(p, T0 + 30 * MS);
	assert_energy(p, 1, 100000, 200000, 200001);
	phases_destroy(p);
}

static void test_a_hole_is_flagged(void **state)
{
	struct phases *p = make(&exact);
	struct phase_point point = { .t_ns = T0, .flags = FLAG_MEASURED };

	(void) state;
	mark(p, PHASE_BEGIN, 0, 1, 0);
	mark(p, PHASE_END, 0, 1, 10 * MS);
	mark(p, PHASE_BEGIN, 0, 2, 15 * MS);
	mark(p, PHASE_END, 0, 2, 18 * MS);
	for (int i = 0; i < 3; i++) {
		phases_point(p, 0, &point);
		point.t_ns += 10 * MS;
		point.uj += 1000;
		point.flags = FLAG_MEASURED | (i == 1 ? FLAG_RESET : 0);
	}
	phases_finish(p, T0 + 20 * MS);
	assert_int_equal(energy_of(p, 1).flags, FLAG_MEASURED);
	assert_int_equal(energy_of(p, 2).flags, FLAG_MEASURED | FLAG_RESET);
	phases_destroy(p);
}

/* However many come, and however long it takes, nothing is kept that is settled. */
static void test_a_million_markers(void **state)
{
	struct phases *p = make(&exact);
	struct phase_troubles t;
	uint64_t ns = 0, uj = 0;

	(void) state;
	for (int look = 0; look < 100; look++) {
		for (int i = 0; i < 5000; i++) {
			mark(p, PHASE_BEGIN, 0, 1, ns += 1000);
			mark(p, PHASE_END, 0, 1, ns += 1000);
		}
		uj += 100000;
		phases_point(p, 0, &(struct phase_point) { .t_ns = T0 + ns, .uj = uj });
		phases_settle(p, T0 + ns);
	}
	phases_finish(p, T0 + ns);
	phases_troubles(p, &t);
	assert_int_equal(t.lost, 0);
	assert_int_equal(figures_of(p, 1).count, 500000);
	assert_int_equal(figures_of(p, 1).on_ns, 500000 * NS_PER_US);
	/* Half of the time; at most all of what was used, but for the time before the first reading. */
	assert_in_range(energy_of(p, 1).energy.high_uj, uj - 50000, uj - 50000 + 20);
	assert_in_range(energy_of(p, 1).energy.uj, uj / 2 - 200000, uj / 2 + 200000);
	phases_destroy(p);
}

/* Never ended, never read: there is an end to what is kept. */
static void test_too_much_is_lost_and_told(void **state)
{
	struct phases *p = make(&exact);
	struct phase_troubles t;

	(void) state;
	for (uint64_t i = 0; i < 1200000; i++)
		mark(p, PHASE_BEGIN, 0, 1, i);
	phases_finish(p, T0 + NS_PER_S);
	phases_troubles(p, &t);
	assert_int_equal(figures_of(p, 1).count + t.lost, 1200000);
	assert_int_equal(figures_of(p, 1).unfinished, figures_of(p, 1).count);
	phases_destroy(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_intervals_are_exact),
		cmocka_unit_test(test_parts_are_bounded_and_shared_by_time),
		cmocka_unit_test(test_the_most_power_narrows_the_bounds),
		cmocka_unit_test(test_neighbours_tell_the_power),
		cmocka_unit_test(test_a_short_phase_is_what_is_left),
		cmocka_unit_test(test_a_reading_s_own_time_and_doubt),
		cmocka_unit_test(test_the_scale_is_no_reason_to_call_it_short),
		cmocka_unit_test(test_overlap_counts_once),
		cmocka_unit_test(test_bad_markers),
		cmocka_unit_test(test_a_thread_that_ends_ends_its_phases),
		cmocka_unit_test(test_order_is_by_time_and_lateness_is_told),
		cmocka_unit_test(test_what_is_on_already),
		cmocka_unit_test(test_what_was_before),
		cmocka_unit_test(test_without_readings_nothing_is_known),
		cmocka_unit_test(test_beyond_the_readings),
		cmocka_unit_test(test_a_hole_is_flagged),
		cmocka_unit_test(test_a_million_markers),
		cmocka_unit_test(test_too_much_is_lost_and_told),
	};

	return cmocka_run_group_tests_name("phases", tests, NULL, NULL);
}
