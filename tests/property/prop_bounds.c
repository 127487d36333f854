// SPDX-License-Identifier: MIT
/*
 * The range that is told with a figure holds the truth: on a machine whose power and whose
 * processes' CPU time are known at every nanosecond, and which is seen through a counter that is
 * updated now and then and through CPU clocks that are as fresh as the kernel's last tick.
 */
#include "test.h"

#include <inttypes.h>
#include <string.h>

#include "books/account.h"
#include "machine/clock.h"
#include "course.h"
#include "machine.h"
#include "random.h"
#include "util/u128.h"

#define MS NS_PER_MS
#define TICK_NS (4 * MS)
#define N_TARGETS 3

/* What a CPU clock shows: the time up to the last tick or the last change. */
static uint64_t clock_at(const struct course *c, uint64_t t_ns)
{
	uint64_t tick_ns = t_ns - t_ns % TICK_NS,
		 change_ns = c->segments[course_segment(c, t_ns)].from_ns;

	return (uint64_t) course_sum(c, tick_ns > change_ns ? tick_ns : change_ns);
}

/* How the counter is seen. */
struct view {
	uint64_t update_ns; /* between updates */
	uint64_t quantum_uj;
	bool stamped; /* the time of the update is told; else the time of the read is */
};

struct tally {
	uint64_t n;
	uint64_t outside;
};

static struct course power, threads[N_TARGETS];

/* n_threads: how many threads of a target may run at once. */
static void check_case(uint64_t seed, uint64_t number, uint64_t n_threads, struct tally *domain,
	struct tally *targets)
{
	static const struct view views[] = { { MS, 61, false }, { MS, 1, false },
		{ 100 * MS, 1000, true }, { 20 * MS, 1000, true }, { 20 * MS, 1000, false } };
	const struct account_options options = { .tick_ns = TICK_NS };
	struct rng r = rng_make(seed, number);
	const struct view *v = &views[rng_below(&r, 5)];
	uint64_t low_mw = rng_between(&r, 5000, 50000), begin_ns, read_ns[2] = { 0 };
	uint64_t seen_ns[2] = { 0 };
	struct account_mark *marks[N_TARGETS + 1];
	static struct machine m;
	struct account *a;

	machine_init(&m);
	m.n_cpu = (uint32_t) rng_between(&r, n_threads, 12);
	machine_add_domain(&m, "d", KIND_CPU);
	m.domains[0].update_ns = v->update_ns;
	m.domains[0].unit_num = v->quantum_uj;
	begin_ns = m.t_ns;
	course_make(&power, &r, begin_ns - NS_PER_S, begin_ns + 20 * NS_PER_S, 20 * MS, 400 * MS,
		low_mw, 2 * low_mw);
	for (size_t i = 0; i < N_TARGETS; i++)
		course_make(&threads[i], &r, begin_ns - NS_PER_S, begin_ns + 20 * NS_PER_S, MS,
			rng_one_in(&r, 2) ? 30 * MS : 700 * MS, 0,
			/* as many as can run at once */
			(i + 1) * n_threads <= m.n_cpu ? n_threads : 0);
	assert_int_equal(account_create(&a, m.list, 1, &options, NULL), 0);
	for (uint32_t slot = 0; slot < N_TARGETS; slot++) {
		assert_int_equal(account_add_target(a, slot), 0);
		machine_add_target(&m, slot);
	}
	for (int step = 0; step < 30; step++) {
		uint64_t ns = step ? 500 * MS + rng_below(&r, 2 * MS) - MS : 0, shown_ns;
		uint64_t truth_uj;
		struct span span;

		machine_pass(&m, ns, 0);
		shown_ns = m.t_ns - m.t_ns % v->update_ns;
		for (uint32_t slot = 0; slot < N_TARGETS; slot++)
			machine_target(&m, slot)->cpu_ns = clock_at(&threads[slot], m.t_ns);
		m.readings[0] = (struct reading) {
			.t_ns = v->stamped ? shown_ns : m.t_ns,
			.t_err_ns = v->stamped ? 0 : v->update_ns,
			.since_ns = 1,
			.energy_uj = (uint64_t) (course_sum(&power, shown_ns) / 1000000) /
				v->quantum_uj * v->quantum_uj,
		};
		account_enter(a, machine_snapshot(&m, step ? 0 : SNAPSHOT_FIRST));
		read_ns[0] = read_ns[1];
		read_ns[1] = m.readings[0].t_ns;
		seen_ns[0] = seen_ns[1];
		seen_ns[1] = m.t_ns;
		if (step == 0) {
			for (size_t i = 0; i <= N_TARGETS; i++)
				marks[i] = account_mark_new(
					a, i < N_TARGETS ? (uint32_t) i : ACCOUNT_NO_SLOT);
			continue;
		}
		/* The machine: what it used between the times of the two readings. */
		truth_uj = (uint64_t) ((course_sum(&power, read_ns[1]) -
					       course_sum(&power, read_ns[0])) /
			1000000);
		account_since(a, marks[N_TARGETS], ACCOUNT_NO_SLOT, KIND_CPU, &span);
		assert_true(span.known);
		domain->n++;
		if (truth_uj + 1 < span.energy.low_uj || truth_uj > span.energy.high_uj + 1)
			domain->outside++;
		/* A target: its part of that, by the CPU time that it really used. */
		for (uint32_t slot = 0; slot < N_TARGETS; slot++) {
			u128 used_ns = course_sum(&threads[slot], seen_ns[1]) -
				course_sum(&threads[slot], seen_ns[0]);
			uint64_t part_uj = (uint64_t) (used_ns * truth_uj /
				(m.n_cpu * (seen_ns[1] - seen_ns[0])));

			account_since(a, marks[slot], slot, KIND_CPU, &span);
			targets->n++;
			if (part_uj + 1 < span.energy.low_uj || part_uj > span.energy.high_uj + 1)
				targets->outside++;
		}
		for (size_t i = 0; i <= N_TARGETS; i++)
			account_mark_renew(a, marks[i]);
	}
	for (size_t i = 0; i <= N_TARGETS; i++)
		account_mark_free(marks[i]);
	account_destroy(a);
}

static void test_bounds(void **state)
{
	uint64_t seed = rng_seed(), cases = rng_cases(300);
	struct tally domain = { 0 }, targets = { 0 };

	(void) state;
	for (uint64_t i = 0; i < cases; i++)
		check_case(seed, i, 1, &domain, &targets);
	/* Where all CPUs are busy, what a clock shows too late is given in the next interval: now and
	 * then that is more than its range knows of. */
	if (domain.outside > 0 || targets.outside * 1000 > targets.n)
		fail_msg("seed %" PRIu64 ": %" PRIu64 " of %" PRIu64
			 " figures of the machine and %" PRIu64 " of %" PRIu64
			 " of processes are outside of their ranges",
			seed, domain.outside, domain.n, targets.outside, targets.n);
}

/* Of a process with several threads nobody knows how many run when its clock is read: the range is
 * the likely one. */
static void test_bounds_of_threads(void **state)
{
	uint64_t seed = rng_seed(), cases = rng_cases(300);
	struct tally domain = { 0 }, targets = { 0 };

	(void) state;
	for (uint64_t i = 0; i < cases; i++)
		check_case(seed, 1000000 + i, 4, &domain, &targets);
	if (domain.outside > 0 || targets.outside * 10 > targets.n)
		fail_msg("seed %" PRIu64 ": %" PRIu64 " of %" PRIu64
			 " figures of the machine and %" PRIu64 " of %" PRIu64
			 " of processes are outside of their ranges",
			seed, domain.outside, domain.n, targets.outside, targets.n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_bounds_of_threads),
	};

	return cmocka_run_group_tests_name("prop_bounds", tests, NULL, NULL);
}
