// SPDX-License-Identifier: MIT
/*
 * Following the pace of a value that is updated now and then, by reading it: on made-up time, with
 * reads that come late and updates that do too.
 */
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "sensors/nvml/pace.h"

#define MS 1e6
#define N_SEEDS 60
#define SECONDS 20

struct world {
	double period_ns;
	double phase_ns;
	double jitter_ns;  /* an update is up to this much late */
	double latency_ns; /* as is a read ... */
	double stall_part; /* ... and this part of them by up to */
	double stall_ns;
	double known; /* the pace that is known beforehand, as a part of the true one */
};

/* What the worst of many runs was like. */
struct outcome {
	double first; /* deviation of an interval of one update from the truth: of the first ... */
	double one;   /* ... of any ... */
	double five;  /* ... and of one of five updates */
	double reads; /* in a period, without those before the first update was found */
	double off_ns;
	double doubts_missed; /* part of the updates that were not within err_ns */
};

static uint64_t seed;

static double chance(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (double) (seed >> 11) / 9007199254740992.0;
}

/* The same for the same update. */
static double update_ns(const struct world *w, long n)
{
	uint64_t z = (uint64_t) n * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z ^= z >> 31;
	return w->phase_ns + (double) n * w->period_ns +
		w->jitter_ns * (double) (z >> 11) / 9007199254740992.0;
}

static long last_update(const struct world *w, double t_ns)
{
	long n = (long) floor((t_ns - w->phase_ns) / w->period_ns);

	while (update_ns(w, n) > t_ns)
		n--;
	return n;
}

static double larger(double a, double b)
{
	return a > b ? a : b;
}

static double deviation(
	const struct world *w, const double *at_ns, const long *n, size_t i, size_t d)
{
	if (i < d)
		return 0;
	return fabs((double) (n[i] - n[i - d]) * w->period_ns / (at_ns[i] - at_ns[i - d]) - 1);
}

/* One session. */
static void follow(const struct world *w, struct outcome *o)
{
	static double at_ns[100 * SECONDS];
	static long n[100 * SECONDS];
	size_t found = 0, missed = 0, reads = 0;
	double begun_ns = 5e9 + chance() * w->period_ns, t_ns = begun_ns, found_ns = 0;
	struct pace e;

	pace_init(&e, (uint64_t) (w->period_ns * w->known));
	while (t_ns < begun_ns + SECONDS * 1e9 && found < sizeof(n) / sizeof(n[0])) {
		double read_ns = t_ns + chance() * w->latency_ns;
		bool news;

		if (chance() < w->stall_part)
			read_ns += chance() * w->stall_ns;
		n[found] = last_update(w, read_ns);
		news = pace_step(&e, (uint64_t) n[found] * 1000 + 7, (uint64_t) read_ns);
		reads += found > 0;
		if (news && e.located) {
			double off_ns = fabs((double) e.at_ns - update_ns(w, n[found]));

			if (found == 0)
				found_ns = read_ns;
			at_ns[found++] = (double) e.at_ns;
			missed += off_ns > (double) e.err_ns + 1;
			o->off_ns = larger(o->off_ns, off_ns);
		}
		t_ns = (double) pace_next_ns(&e, (uint64_t) read_ns);
		assert_true(t_ns > read_ns);
	}
	assert_true(found > 10);
	for (size_t i = 1; i < found; i++) {
		o->one = larger(o->one, deviation(w, at_ns, n, i, 1));
		o->five = larger(o->five, deviation(w, at_ns, n, i, 5));
	}
	o->first = larger(o->first, deviation(w, at_ns, n, 1, 1));
	o->reads = larger(o->reads, (double) reads * w->period_ns / (t_ns - found_ns));
	o->doubts_missed = larger(o->doubts_missed, (double) missed / (double) found);
}

static struct outcome follow_often(struct world w)
{
	struct outcome o = { 0 };

	for (unsigned i = 1; i <= N_SEEDS; i++) {
		seed = i * UINT64_C(0x2545f4914f6cdd1d);
		for (int k = 0; k < 5; k++)
			chance();
		w.phase_ns = 1e9 + chance() * w.period_ns;
		follow(&w, &o);
	}
	return o;
}

#define assert_below(what, limit)                                                                  \
	do {                                                                                       \
		if ((what) >= (limit))                                                             \
			fail_msg(#what " is %g, not below %g", (double) (what), (double) (limit)); \
	} while (0)

/* The promise: a few thousandths at any rate, for about one read an update. */
static void test_steady(void **state)
{
	static const double periods_ms[] = { 15, 20, 100, 100.3, 101.7, 250 };
	static const double known[] = { 0.999, 1, 1.0015 };

	(void) state;
	for (size_t i = 0; i < sizeof(periods_ms) / sizeof(periods_ms[0]); i++) {
		for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
			struct outcome o = follow_often(
				(struct world) { .period_ns = periods_ms[i] * MS,
					.latency_ns = 0.1 * MS,
					.known = known[k] });

			assert_below(o.one, 0.005);
			assert_below(o.five, 0.004);
			assert_below(o.reads, 1.6);
			assert_below(o.doubts_missed, 0.001);
		}
	}
}

/* On a machine that has other things to do some reads are late: each still finds its update. */
static void test_late_reads(void **state)
{
	struct outcome o = follow_often((struct world) { .period_ns = 100 * MS,
		.latency_ns = 0.1 * MS,
		.stall_part = 0.05,
		.stall_ns = 30 * MS,
		.known = 1.001 });

	(void) state;
	/* The first may have been found by a late read. */
	assert_below(o.five, 0.05);
	assert_below(o.off_ns, 16 * MS);
	assert_below(o.doubts_missed, 0.001);
	assert_below(o.reads, 1.6);
}

static void test_irregular_updates(void **state)
{
	struct outcome o = follow_often((struct world) { .period_ns = 100 * MS,
		.latency_ns = 0.1 * MS,
		.jitter_ns = 2 * MS,
		.known = 1.001 });

	(void) state;
	assert_below(o.five, 0.01);
	assert_below(o.off_ns, 4 * MS);
	o = follow_often((struct world) { .period_ns = 100 * MS,
		.latency_ns = 0.1 * MS,
		.jitter_ns = 10 * MS,
		.known = 1.001 });
	assert_below(o.off_ns, 20 * MS);
	assert_below(o.reads, 3);
}

/* A pace that is known badly is learned, and the place of updates is not lost on the way. */
static void test_wrong_pace(void **state)
{
	static const double known[] = { 0.9, 0.97, 0.993, 1.007, 1.03 };

	(void) state;
	for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
		struct world w = { .period_ns = 100 * MS, .phase_ns = 1e9, .known = known[k] };
		struct pace e;
		double t_ns = 5e9;

		pace_init(&e, (uint64_t) (w.period_ns * w.known));
		while (t_ns < 25e9) {
			pace_step(&e, (uint64_t) last_update(&w, t_ns), (uint64_t) t_ns);
			t_ns = (double) pace_next_ns(&e, (uint64_t) t_ns);
		}
		assert_true(e.located);
		assert_below(fabs((double) e.period_ns / w.period_ns - 1), 0.001);
		assert_below(
			fabs((double) e.at_ns - update_ns(&w, last_update(&w, t_ns - MS))), 2 * MS);
	}
}

/* A driver that begins to update at another pace is followed again before long. (One whose pace is
 * a multiple of the old one, or a part, may be taken for that: the times are right all the same.) */
static void test_changed_pace(void **state)
{
	static const double periods_ms[] = { 67, 80, 95, 103, 110, 140, 270 };

	(void) state;
	for (size_t i = 0; i < sizeof(periods_ms) / sizeof(periods_ms[0]); i++) {
		struct world before = { .period_ns = 100 * MS, .phase_ns = 1e9 };
		struct world after = { .period_ns = periods_ms[i] * MS, .phase_ns = 8.037e9 };
		struct pace e;
		double t_ns = 5e9;

		pace_init(&e, (uint64_t) before.period_ns);
		for (; t_ns < 8e9; t_ns = (double) pace_next_ns(&e, (uint64_t) t_ns))
			pace_step(&e, (uint64_t) last_update(&before, t_ns), (uint64_t) t_ns);
		for (; t_ns < 16e9; t_ns = (double) pace_next_ns(&e, (uint64_t) t_ns))
			pace_step(
				&e, (uint64_t) (last_update(&after, t_ns) + 1000), (uint64_t) t_ns);
		assert_true(e.located);
		if (fabs((double) e.period_ns / after.period_ns - 1) > 0.005)
			fail_msg("after %g ms: %g ms", periods_ms[i], (double) e.period_ns / MS);
	}
}

/* Nothing is known at all: the first two updates tell the pace. */
static void test_measuring(void **state)
{
	static const double periods_ms[] = { 7, 20, 33, 100, 190, 400 };

	(void) state;
	for (size_t i = 0; i < sizeof(periods_ms) / sizeof(periods_ms[0]); i++) {
		struct world w = { .period_ns = periods_ms[i] * MS, .phase_ns = 1e9 };
		struct pace e;
		double t_ns = 5e9, until_ns = t_ns + 12 * w.period_ns;

		pace_init(&e, (uint64_t) (100 * MS));
		e.measuring = true;
		while (t_ns < until_ns) {
			pace_step(&e, (uint64_t) last_update(&w, t_ns), (uint64_t) t_ns);
			t_ns = (double) pace_next_ns(&e, (uint64_t) t_ns);
		}
		assert_true(e.located);
		assert_below(fabs((double) e.period_ns / w.period_ns - 1), 0.02);
	}
}

/* A value that stands still is not asked for all the time, and is found again when it moves. */
static void test_standing(void **state)
{
	struct world w = { .period_ns = 100 * MS, .phase_ns = 1e9 };
	struct pace e;
	double t_ns = 5e9;
	long stood = 0;
	int reads = 0;
	bool located = false;

	(void) state;
	pace_init(&e, (uint64_t) w.period_ns);
	for (; t_ns < 8e9; t_ns = (double) pace_next_ns(&e, (uint64_t) t_ns))
		pace_step(&e, (uint64_t) (stood = last_update(&w, t_ns)), (uint64_t) t_ns);
	for (; t_ns < 18e9; t_ns = (double) pace_next_ns(&e, (uint64_t) t_ns), reads++)
		assert_false(pace_step(&e, (uint64_t) stood, (uint64_t) t_ns));
	assert_below(reads, 130);
	for (; t_ns < 20e9; t_ns = (double) pace_next_ns(&e, (uint64_t) t_ns))
		located |= pace_step(&e, (uint64_t) last_update(&w, t_ns), (uint64_t) t_ns) &&
			e.located;
	assert_true(located);
	assert_below(fabs((double) e.at_ns - update_ns(&w, last_update(&w, t_ns - MS))), 2 * MS);

	/* The same where it never moved at all. */
	pace_init(&e, (uint64_t) w.period_ns);
	for (reads = 0, t_ns = 5e9; t_ns < 15e9;
		t_ns = (double) pace_next_ns(&e, (uint64_t) t_ns), reads++)
		assert_false(pace_step(&e, 5, (uint64_t) t_ns));
	assert_below(reads, 600);
}

/* Reads that were left out: the next update is found where it is, however many there were. */
static void test_missed_updates(void **state)
{
	struct world w = { .period_ns = 100 * MS, .phase_ns = 1e9 };

	(void) state;
	for (int periods = 2; periods < 200; periods += 7) {
		struct pace e;
		double t_ns = 5e9, off_ns;
		int found = 0, rough = 0;

		pace_init(&e, (uint64_t) w.period_ns);
		for (; t_ns < 8e9; t_ns = (double) pace_next_ns(&e, (uint64_t) t_ns))
			pace_step(&e, (uint64_t) last_update(&w, t_ns), (uint64_t) t_ns);
		t_ns += periods * w.period_ns;
		for (double until_ns = t_ns + 5e9; t_ns < until_ns;
			t_ns = (double) pace_next_ns(&e, (uint64_t) t_ns)) {
			bool news = pace_step(
				&e, (uint64_t) last_update(&w, t_ns), (uint64_t) t_ns);

			if (!news || !e.located)
				continue;
			found++;
			off_ns = fabs((double) e.at_ns - update_ns(&w, last_update(&w, t_ns)));
			assert_below(off_ns, (double) (e.err_ns + 1));
			rough += (double) e.err_ns > 10 * MS;
		}
		assert_true(found > 40);
		assert_below(rough, 4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steady),
		cmocka_unit_test(test_late_reads),
		cmocka_unit_test(test_irregular_updates),
		cmocka_unit_test(test_wrong_pace),
		cmocka_unit_test(test_changed_pace),
		cmocka_unit_test(test_measuring),
		cmocka_unit_test(test_standing),
		cmocka_unit_test(test_missed_updates),
	};

	return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
