// SPDX-License-Identifier: MIT
/*
 * RAPL by events and by registers: whatever the unit is, however often the counters wrap, whenever
 * they are read and whatever fails meanwhile, not a microjoule is lost or added.
 */
#include "test.h"

#include <inttypes.h>

#include "random.h"
#include "rapl_tree.h"
#include "util/u128.h"

static struct tree t;

static int set_up(void **state)
{
	(void) state;
	tree_init(&t);
	tree_package(&t, "0-1", 0, 0);
	tree_online(&t, "0-1");
	return 0;
}

static int tear_down(void **state)
{
	(void) state;
	tree_finish(&t);
	return 0;
}

/* Counts that were made since the beginning, and how they are shown. */
struct run {
	u128 counts;
	void (*show)(const struct run *run);
};

static void show_msr(const struct run *run)
{
	tree_msr(&t, 0, 0x611, (uint64_t) run->counts & UINT32_MAX);
}

static void show_core_msrs(const struct run *run)
{
	/* Two cores that share the counts somehow. */
	uint64_t half = (uint64_t) (run->counts / 3);

	tree_msr(&t, 0, 0xc001029a, half & UINT32_MAX);
	tree_msr(&t, 1, 0xc001029a, ((uint64_t) run->counts - half) & UINT32_MAX);
}

static void show_event(const struct run *run)
{
	tree_count(&t, "power", 0, "energy-pkg", (uint64_t) run->counts);
}

/* Reads at random; each step is at most most_counts, in the time that these take at 1 kW. */
static void check(struct run *run, size_t domain, struct rng *r, uint64_t seed, uint64_t number,
	uint64_t most_counts)
{
	const struct domain *d = &t.sensor->domains[domain];
	uint64_t step_ns = (uint64_t) ((u128) most_counts * d->unit_num / d->unit_den) + 1;
	u128 begin = run->counts;
	uint64_t since_ns = tree_read(&t, domain).since_ns;

	for (int i = 0; i < 60; i++) {
		struct reading got;
		uint64_t exact_uj;

		/* An event that stands still for seconds is taken for lost. */
		run->counts += rng_one_in(r, 4) ? rng_between(r, 1, 3)
						: rng_between(r, 1, most_counts);
		run->show(run);
		/* At least so long that the cores are read again. */
		fakeclock_advance(&t.clock, step_ns > 100000000 ? step_ns : 100000000);
		got = tree_read(&t, domain);
		exact_uj = (uint64_t) ((run->counts - begin) * d->unit_num / d->unit_den);
		if (got.error || got.energy_uj != exact_uj || got.since_ns != since_ns)
			fail_msg("seed %" PRIu64 ", case %" PRIu64 ", reading %d: %" PRIu64
				 " uJ, not %" PRIu64 " (error %d)",
				seed, number, i, got.energy_uj, exact_uj, got.error);
	}
}

static void test_registers(void **state)
{
	uint64_t seed = rng_seed();

	(void) state;
	t.sensor_name = "rapl-msr";
	tree_cpu(&t, TREE_INTEL);
	for (uint64_t i = 0; i < rng_cases(30); i++) {
		struct rng r = rng_make(seed, i);
		struct run run = { 1 + rng_below(&r, UINT32_MAX), show_msr };

		tree_msr(&t, 0, 0x606, rng_between(&r, 10, 20) << 8);
		run.show(&run);
		tree_open(&t);
		check(&run, 0, &r, seed, i, UINT64_C(3) << 30);
		tree_close(&t);
	}
}

static void test_core_registers(void **state)
{
	uint64_t seed = rng_seed();

	(void) state;
	t.sensor_name = "rapl-msr";
	tree_model(&t, "AuthenticAMD", 0x17, 0x31);
	tree_msr(&t, 0, 0xc0010299, 0x1000);
	tree_msr(&t, 0, 0xc001029b, 1);
	for (uint64_t i = 0; i < rng_cases(30); i++) {
		struct rng r = rng_make(seed, 1000 + i);
		struct run run = { 10 + rng_below(&r, UINT32_MAX), show_core_msrs };

		run.show(&run);
		tree_open(&t);
		check(&run, 1, &r, seed, i, UINT64_C(3) << 30);
		tree_close(&t);
	}
}

static void test_events(void **state)
{
	uint64_t seed = rng_seed();

	(void) state;
	t.sensor_name = "rapl-perf";
	tree_cpu(&t, TREE_INTEL);
	tree_power(&t, "0", "energy-pkg");
	for (uint64_t i = 0; i < rng_cases(30); i++) {
		struct rng r = rng_make(seed, 2000 + i);
		struct run run = { 1 + rng_below(&r, UINT64_C(1) << 60), show_event };

		run.show(&run);
		tree_open(&t);
		/* 25 s at 1 kW */
		check(&run, 0, &r, seed, i, UINT64_C(25000) << 32);
		tree_close(&t);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_registers),
		TEST(test_core_registers),
		TEST(test_events),
	};

	return cmocka_run_group_tests_name("prop_rapl", tests, NULL, NULL);
}
