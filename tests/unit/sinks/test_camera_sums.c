// SPDX-License-Identifier: MIT
/* Sessions that overlap, processes of one plugin, pids that are given again: each moment counts
 * once. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/clock.h"
#include "random.h"
#include "sinks/camera_traps_sums.h"

static struct sums sums;

static int set_up(void **state)
{
	(void) state;
	sums = (struct sums) { 0 };
	return 0;
}

static int tear_down(void **state)
{
	(void) state;
	sums_finish(&sums);
	return 0;
}

/* ---- stretches --------------------------------------------------------------------------- */

/* At so many watts, from one second to another. */
static void add(struct cover *c, unsigned from_s, unsigned to_s, unsigned watts)
{
	uint64_t uj = UINT64_C(1000000) * watts * (to_s - from_s);
	const struct stretch s = { from_s * NS_PER_S, to_s * NS_PER_S, { uj, uj / 2, uj * 2, 0 } };

	assert_int_equal(cover_add(c, &s, FLAG_MEASURED), 0);
}

static void expect(const struct cover *c, unsigned seconds, unsigned joules)
{
	struct energy e;

	assert_int_equal(cover_total(c, &e), seconds * NS_PER_S);
	assert_int_equal(e.uj, joules * UINT64_C(1000000));
	assert_int_equal(e.low_uj, joules * UINT64_C(500000));
	assert_int_equal(e.high_uj, joules * UINT64_C(2000000));
}

static void test_stretches(void **state)
{
	struct cover c = { 0 };

	(void) state;
	expect(&c, 0, 0);
	add(&c, 10, 12, 3);
	add(&c, 12, 14, 3); /* the next begins where one ends */
	expect(&c, 4, 12);
	add(&c, 13, 14, 9); /* in it, and the same end: it is known already */
	expect(&c, 4, 12);
	add(&c, 11, 15,
		5); /* takes the place of one; of the overlap with the other nothing counts */
	expect(&c, 5, 21);
	add(&c, 20, 30, 1);
	add(&c, 20, 30, 1);
	expect(&c, 15, 31);
	add(&c, 5, 31, 2); /* all of them lie in it */
	expect(&c, 26, 52);
	cover_settle(&c);
	add(&c, 31, 32, 7);
	expect(&c, 27, 59);
	add(&c, 32, 32, 7); /* of no length */
	expect(&c, 27, 59);
	assert_int_equal(c.flags, FLAG_MEASURED);
	cover_finish(&c);
}

#define SECONDS 60

/* Sessions end in the order of time and never half overlap: then all is exact, whatever power each
 * second had. */
static void test_any_sessions(void **state)
{
	const uint64_t seed = rng_seed();

	(void) state;
	for (uint64_t round = 0; round < rng_cases(300); round++) {
		struct rng rng = rng_make(seed, round);
		struct cover c = { 0 };
		uint64_t watts[SECONDS], expected_uj = 0, expected_s = 0;
		bool covered[SECONDS] = { false };
		unsigned starts[16], n_open = 0;
		struct energy e;

		for (unsigned t = 0; t < SECONDS; t++) {
			watts[t] = rng_below(&rng, 100);
			while (n_open > 0 && rng_one_in(&rng, 3)) {
				unsigned from =
					starts[--n_open]; /* the last one in is the first out */
				struct stretch s = { from * NS_PER_S, t * NS_PER_S, { 0 } };

				for (unsigned at = from; at < t; at++) {
					s.energy.uj += watts[at] * 1000000;
					covered[at] = true;
				}
				assert_int_equal(cover_add(&c, &s, 0), 0);
				if (n_open == 0 && rng_one_in(&rng, 2))
					cover_settle(&c);
			}
			if (n_open < 16 && rng_one_in(&rng, 2))
				starts[n_open++] = t;
		}
		for (unsigned t = 0; t < SECONDS; t++) {
			expected_s += covered[t];
			expected_uj += covered[t] ? watts[t] * 1000000 : 0;
		}
		assert_int_equal(cover_total(&c, &e), expected_s * NS_PER_S);
		assert_int_equal(e.uj, expected_uj);
		cover_finish(&c);
	}
}

/* ---- processes and plugins ---------------------------------------------------------------- */

static struct session_report report_of(
	int pid, uint64_t start_ticks, unsigned seconds, unsigned watts)
{
	const uint64_t uj = UINT64_C(1000000) * watts * seconds;
	struct session_report report = { .pid = pid,
		.start_ticks = start_ticks,
		.name = "x",
		.kinds = KIND_BIT(KIND_CPU) | KIND_BIT(KIND_GPU),
		.measured_ns = seconds * NS_PER_S };

	report.totals[KIND_CPU] = (struct session_total) { true, true, { uj, uj, uj, 0 },
		FLAG_ESTIMATED, false, { 0 } };
	/* The device draws 100 W, and a quarter of that is the process's. */
	report.totals[KIND_GPU] = (struct session_total) { true, true,
		{ seconds * UINT64_C(100000000), 0, 0, 0 }, FLAG_MEASURED, true,
		{ seconds * UINT64_C(25000000), 0, 1, 0 } };
	return report;
}

static struct process_sum *begin(const struct session_report *report, const char *name)
{
	bool is_new;
	struct process_sum *p = sums_process(&sums, report, &is_new);

	assert_non_null(p);
	if (is_new)
		assert_int_equal(sums_name(&sums, p, name, true, strdup(name)), 0);
	sums_begin(&sums, p, report);
	return p;
}

static void end(const struct session_report *report, unsigned to_s)
{
	bool is_new;
	struct process_sum *p = sums_process(&sums, report, &is_new);

	assert_false(is_new);
	assert_int_equal(sums_end(&sums, p, report, to_s * NS_PER_S), 0);
}

static void expect_plugin(size_t plugin, unsigned seconds, unsigned cpu_joules, unsigned own_joules)
{
	struct amount cpu, gpu;

	sums_of_plugin(&sums, plugin, KIND_CPU, &cpu);
	sums_of_plugin(&sums, plugin, KIND_GPU, &gpu);
	assert_true(cpu.known && gpu.known && gpu.own_known && !cpu.own_known);
	assert_int_equal(cpu.ns, seconds * NS_PER_S);
	assert_int_equal(cpu.energy.uj, cpu_joules * UINT64_C(1000000));
	assert_int_equal(gpu.energy.uj, seconds * UINT64_C(100000000)); /* the device's: once */
	assert_int_equal(gpu.own.uj, own_joules * UINT64_C(1000000));
	assert_int_equal(cpu.flags, FLAG_ESTIMATED);
}

static void test_plugins(void **state)
{
	const struct session_report one = report_of(7, 1, 10, 4), two = report_of(8, 1, 10, 6);
	const struct session_report again = report_of(7, 2, 5, 2);
	struct amount amount;

	(void) state;
	/* Side by side: they draw what they draw together. */
	begin(&one, "a");
	begin(&two, "a");
	end(&one, 10);
	end(&two, 10);
	expect_plugin(0, 10, 100, 500);
	/* One after the other: the mean over both times. The pid is that of another process by now. */
	begin(&again, "a");
	end(&again, 15);
	expect_plugin(0, 15, 110, 625);
	assert_int_equal(sums.n, 3);
	assert_int_equal(sums.n_plugins, 1);
	assert_false(sums.processes[0].pid_again || sums.processes[1].pid_again);
	assert_true(sums.processes[2].pid_again);
	sums_of_process(&sums.processes[0], KIND_CPU, &amount);
	assert_int_equal(amount.energy.uj, 40000000);
	sums_of_process(&sums.processes[2], KIND_CPU, &amount);
	assert_int_equal(amount.energy.uj, 10000000);
	/* The same process once more, for longer than its first session: nothing twice. */
	const struct session_report later = report_of(8, 1, 20, 6);

	begin(&later, "a");
	end(&later, 40);
	expect_plugin(0, 35, 230, 1125);
	/* Another plugin has its own. */
	begin(&(struct session_report) { .pid = 9, .kinds = KIND_BIT(KIND_CPU) }, "b");
	sums_of_plugin(&sums, 1, KIND_CPU, &amount);
	assert_false(amount.known);
	assert_int_equal(amount.ns, 0);
}

static void test_two_starts_of_one_process(void **state)
{
	const struct session_report first = report_of(7, 1, 10, 4), second = report_of(7, 1, 3, 9);
	struct amount amount;

	(void) state;
	begin(&first, "a");
	begin(&second, "a");
	assert_int_equal(sums.processes[0].n_open, 2);
	end(&second, 6);
	end(&first, 10);
	expect_plugin(0, 10, 40, 250);
	sums_of_process(&sums.processes[0], KIND_CPU, &amount);
	assert_int_equal(amount.energy.uj, 40000000);
	assert_int_equal(sums.n, 1);
}

static void test_samples(void **state)
{
	const struct session_report one = report_of(7, 1, 10, 4), reused = report_of(7, 2, 10, 4);

	(void) state;
	begin(&one, "a");
	sums_sample(&sums, 7);
	sums_sample(&sums, 8); /* nobody */
	end(&one, 10);
	sums_sample(&sums, 7); /* nobody any more */
	begin(&reused, "a");
	sums_sample(&sums, 7);
	sums_sample(&sums, 7);
	assert_int_equal(sums.processes[0].samples, 1);
	assert_int_equal(sums.processes[1].samples, 2);
}

/* A sender may have any number of processes measured, one after the other. */
static void test_more_processes_than_are_listed(void **state)
{
	const unsigned more = 10;
	struct amount amount;
	uint64_t samples = 0;

	(void) state;
	for (unsigned i = 0; i < SUMS_MAX_PROCESSES + more; i++) {
		const struct session_report report = report_of(i < 2 ? 7 : 1000 + (int) i, i, 1, 3);

		begin(&report, "a");
		sums_sample(&sums, report.pid);
		if (i > 0) /* the first goes on and stays */
			end(&report, i + 1);
	}
	assert_int_equal(sums.n, SUMS_MAX_PROCESSES);
	assert_int_equal(sums.processes[0].start_ticks, 0);
	assert_int_equal(sums.processes[1].start_ticks, more + 1);
	assert_int_equal(sums.plugins[0].n_forgotten, more);
	sums_of_plugin(&sums, 0, KIND_CPU, &amount);
	assert_int_equal(amount.energy.uj, (SUMS_MAX_PROCESSES + more - 1) * 3000000ull);
	sums_of_plugin(&sums, 0, KIND_GPU, &amount);
	assert_int_equal(amount.own.uj, (SUMS_MAX_PROCESSES + more - 1) * 25000000ull);
	for (size_t i = 0; i < sums.n; i++)
		samples += sums.processes[i].samples;
	assert_int_equal(samples + sums.plugins[0].forgotten_samples, SUMS_MAX_PROCESSES + more);
}

static void test_all_listed_are_under_way(void **state)
{
	struct session_report report;
	bool is_new;

	(void) state;
	for (int i = 0; i < SUMS_MAX_PROCESSES; i++) {
		report = report_of(10 + i, 1, 1, 1);
		begin(&report, "a");
	}
	report = report_of(9, 1, 1, 1);
	assert_null(sums_process(&sums, &report, &is_new));
}

static void test_more_names_than_there_is_room_for(void **state)
{
	bool is_new;
	char name[16];

	(void) state;
	for (int i = 0; i < SUMS_MAX_PLUGINS + 5; i++) {
		const struct session_report report = report_of(10 + i, 1, 1, 1);
		struct process_sum *p = sums_process(&sums, &report, &is_new);

		snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(sums_name(&sums, p, name, false, strdup("x")), 0);
	}
	assert_int_equal(sums.n_plugins, SUMS_MAX_PLUGINS + 1);
	assert_string_equal(sums.plugins[SUMS_MAX_PLUGINS].name, "(others)");
	/* A name that is known is always taken. */
	const struct session_report report = report_of(9999, 1, 1, 1);

	begin(&report, "oracle_plugin");
	assert_string_equal(sums.plugins[SUMS_MAX_PLUGINS + 1].name, "oracle_plugin");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_stretches),
		TEST(test_any_sessions),
		TEST(test_plugins),
		TEST(test_two_starts_of_one_process),
		TEST(test_samples),
		TEST(test_more_processes_than_are_listed),
		TEST(test_all_listed_are_under_way),
		TEST(test_more_names_than_there_is_room_for),
	};

	return cmocka_run_group_tests_name("camera_sums", tests, NULL, NULL);
}
