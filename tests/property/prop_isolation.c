// SPDX-License-Identifier: MIT
/*
 * A process's energy is its own affair: as long as the CPUs have time for all, it gets the same
 * whether others are measured or not, and however often these come and go.
 */
#include "test.h"

#include <inttypes.h>
#include <string.h>

#include "child.h"
#include "random.h"
#include "studio.h"

#define CPU KIND_BIT(KIND_CPU)
#define DRAM KIND_BIT(KIND_DRAM)
#define N_OTHERS 3
#define MS NS_PER_MS

static struct studio s;
static pid_t one, others[N_OTHERS];

static int set_up(void **state)
{
	(void) state;
	one = child_start(child_sleep, NULL);
	for (size_t i = 0; i < N_OTHERS; i++)
		others[i] = child_start(child_sleep, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void) state;
	child_end(one);
	for (size_t i = 0; i < N_OTHERS; i++)
		child_end(others[i]);
	return 0;
}

/* What one process got: each line, and the totals. */
struct outcome {
	size_t n_lines;
	uint64_t lines_uj[64];
	uint64_t lines_ns[64];
	uint64_t cpu_uj, dram_uj, cpu_ns, measured_ns;
};

static void collect(struct outcome *o)
{
	const struct session_report *end = &studio_record(&s, RECORD_END, one, 0)->session;

	*o = (struct outcome) { .cpu_uj = end->totals[KIND_CPU].energy.uj,
		.dram_uj = end->totals[KIND_DRAM].energy.uj,
		.cpu_ns = end->cpu_ns,
		.measured_ns = end->measured_ns };
	for (size_t i = 0; i < s.n_records; i++) {
		const struct record *r = &s.records[i].r;

		if (r->type != RECORD_LINE || r->pid != one)
			continue;
		assert_true(o->n_lines < 64);
		o->lines_uj[o->n_lines] = r->energy.uj;
		o->lines_ns[o->n_lines++] = r->interval_ns;
	}
}

/* The one is measured for ten seconds, from the same time on in both runs. Its load and the power
 * depend on the run's generator `life` alone, and change at ticks: within an interval nobody can
 * tell when which of them changed, and a snapshot more, for others, tells a little more. */
static void run(struct rng life, struct rng *company, struct outcome *ret)
{
	uint64_t left_ns = 12 * NS_PER_S;
	uint32_t load = 0;

	studio_init(&s);
	s.watts[machine_add_domain(&s.m, "dram", KIND_DRAM)] = 5;
	s.m.n_cpu = 4;
	s.options.details = false;
	studio_open(&s);
	studio_start_one(&s, one, CPU | DRAM, 10);
	while (left_ns > 0) {
		uint64_t ns = rng_between(&life, 1, 4) * 500 * MS;

		if (ns > left_ns)
			ns = left_ns;
		load = (uint32_t) rng_below(&life, 101);
		s.watts[0] = rng_between(&life, 5, 80);
		/* Others begin and stop within this stretch; each uses at most one of four CPUs. */
		for (uint64_t rest_ns = ns; rest_ns > 0;) {
			uint64_t part_ns = company ? rng_between(company, 1, 300) * MS : rest_ns;
			int32_t pid;

			if (company) {
				pid = others[rng_below(company, N_OTHERS)];
				if (rng_one_in(company, 2))
					studio_start_one(
						&s, pid, CPU, (uint32_t) rng_below(company, 4));
				else
					session_set_stop(s.ss, &pid, 1);
			}
			for (uint32_t slot = 0; slot < MACHINE_TARGETS; slot++)
				s.load_percent[slot] = !s.targets[slot] ? 0
					: s.targets[slot]->pid == one
					? load
					: (uint32_t) rng_below(company, 101);
			if (part_ns > rest_ns)
				part_ns = rest_ns;
			studio_run(&s, part_ns);
			rest_ns -= part_ns;
		}
		left_ns -= ns;
	}
	collect(ret);
	studio_close(&s);
}

static bool near(uint64_t a, uint64_t b, uint64_t by)
{
	return a > b ? a - b <= by : b - a <= by;
}

static void test_isolation(void **state)
{
	uint64_t seed = rng_seed();

	(void) state;
	for (uint64_t i = 0; i < rng_cases(40); i++) {
		struct rng company = rng_make(seed, 2 * i + 1);
		struct outcome alone, among;

		run(rng_make(seed, 2 * i), NULL, &alone);
		run(rng_make(seed, 2 * i), &company, &among);
		assert_int_equal(alone.n_lines, 20);
		/* A snapshot more or less rounds a microjoule this way or that. */
		if (alone.n_lines != among.n_lines || alone.measured_ns != among.measured_ns ||
			alone.cpu_ns != among.cpu_ns || !near(alone.cpu_uj, among.cpu_uj, 2) ||
			!near(alone.dram_uj, among.dram_uj, 2))
			fail_msg("seed %" PRIu64 ", case %" PRIu64 ": %zu lines, %" PRIu64
				 " uJ alone, %zu lines, %" PRIu64 " uJ among others",
				seed, i, alone.n_lines, alone.cpu_uj, among.n_lines, among.cpu_uj);
		for (size_t k = 0; k < alone.n_lines; k++)
			if (alone.lines_ns[k] != among.lines_ns[k] ||
				!near(alone.lines_uj[k], among.lines_uj[k], 2))
				fail_msg("seed %" PRIu64 ", case %" PRIu64 ", line %zu: %" PRIu64
					 " uJ alone, %" PRIu64 " among others",
					seed, i, k, alone.lines_uj[k], among.lines_uj[k]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_isolation, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("prop_isolation", tests, NULL, NULL);
}
