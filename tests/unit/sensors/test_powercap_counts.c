// SPDX-License-Identifier: MIT
/* RAPL through powercap: what is read, through wraps, errors, and zones that come and go. */
#include "test.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "powercap_tree.h"
#include "random.h"
#include "util/u128.h"

TREE_TESTS(t, "rapl-powercap", TREE_INTEL)

/* ---- exactness -------------------------------------------------------------------------- */

/* What the kernel's driver shows for a 32-bit register. */
static uint64_t shown_uj(uint64_t total, uint64_t unit_nj)
{
	return (uint64_t) ((u128) (total & UINT32_MAX) * unit_nj / 1000);
}

/* Many wraps, read at random: the energy is that of all counts, to the microjoule. Where that cannot
 * be, a microjoule may be missing at each wrap. */
static void run_wraps(uint64_t unit_nj, uint64_t num, uint64_t den, bool exact)
{
	uint64_t seed = rng_seed();
	struct rng r = rng_make(seed, unit_nj);
	/* Counts that 1 kW can make in the time of three quarters of a wrap. */
	uint64_t most = UINT64_C(3) << 30, begin = rng_below(&r, UINT64_C(1) << 32);
	uint64_t most_ns = (uint64_t) ((u128) most * unit_nj / 1000); /* 1 uJ in 1 ns */
	uint64_t total = begin, wraps, begin_ns;

	tree_zone(&t, "intel-rapl:0", "package-0");
	tree_number(&t, "intel-rapl:0", "max_energy_range_uj",
		(uint64_t) ((u128) UINT32_MAX * unit_nj / 1000));
	tree_number(&t, "intel-rapl:0", "energy_uj", shown_uj(total, unit_nj));
	tree_open(&t);
	begin_ns = tree_read(&t, 0).t_ns;
	for (int i = 0; i < 3000; i++) {
		uint64_t step = 2 + (rng_one_in(&r, 4) ? rng_below(&r, 3) : rng_below(&r, most));
		u128 expected_uj;
		struct reading got;

		total += step;
		fakeclock_advance(&t.clock, most_ns);
		tree_number(&t, "intel-rapl:0", "energy_uj", shown_uj(total, unit_nj));
		got = tree_read(&t, 0);
		wraps = (total >> 32) - (begin >> 32);
		expected_uj = (u128) (total - begin) * num / den;
		if (got.error || got.since_ns != begin_ns ||
			(exact ? got.energy_uj != expected_uj
			       : got.energy_uj + 1 + wraps < expected_uj ||
						got.energy_uj > expected_uj + 1 + wraps))
			fail_msg("seed %" PRIu64 ", unit %" PRIu64 " nJ, reading %d, %" PRIu64
				 " wraps: %" PRIu64 " uJ, not %" PRIu64 " (error %d)",
				seed, unit_nj, i, wraps, got.energy_uj, (uint64_t) expected_uj,
				got.error);
	}
	assert_true(wraps > 500);
	tree_close(&t);
}

static void test_wraps(void **state)
{
	(void) state;
	for (unsigned esu = 10; esu <= 19; esu++)
		run_wraps(UINT64_C(1000000000) >> esu, 1000000, UINT64_C(1) << esu, true);
	/* What the driver takes for the DRAM of servers is 2^-16 J in truth. */
	run_wraps(15300, 1000000, 65536, true);
	/* Counts below a microjoule cannot be told apart: the driver's figures, but for a microjoule
	 * at each wrap. */
	run_wraps(UINT64_C(1000000000) >> 20, 953, 1000, false);
}

/* Every count near the ends, and every small one. */
static void test_each_count(void **state)
{
	(void) state;
	for (unsigned esu = 10; esu <= 19; esu++) {
		uint64_t unit_nj = UINT64_C(1000000000) >> esu;

		tree_zone(&t, "intel-rapl:0", "package-0");
		tree_number(&t, "intel-rapl:0", "max_energy_range_uj",
			(uint64_t) ((u128) UINT32_MAX * unit_nj / 1000));
		tree_number(&t, "intel-rapl:0", "energy_uj", 0);
		tree_open(&t);
		for (uint64_t raw = 0; raw < 200; raw++) {
			tree_number(&t, "intel-rapl:0", "energy_uj", shown_uj(raw, unit_nj));
			assert_int_equal(tree_read(&t, 0).raw, raw);
			tree_number(&t, "intel-rapl:0", "energy_uj",
				shown_uj(UINT32_MAX - raw, unit_nj));
			assert_int_equal(tree_read(&t, 0).raw, UINT32_MAX - raw);
		}
		tree_close(&t);
	}
}

/* ---- readings --------------------------------------------------------------------------- */

static void test_reading(void **state)
{
	struct reading readings[SENSOR_MAX_DOMAINS];

	(void) state;
	tree_zone(&t, "intel-rapl:0", "package-0");
	tree_zone(&t, "intel-rapl:0:0", "dram");
	tree_open(&t);
	assert_int_equal(t.sensor->ops->read(t.sensor, readings), 0);
	assert_int_equal(readings[0].error, 0);
	assert_int_equal(readings[0].raw, 1000);
	assert_int_equal(readings[0].flags, FLAG_MEASURED);
	assert_int_equal(readings[0].t_ns, 1000 * NS_PER_S);
	assert_int_equal(readings[0].t_err_ns, 0);
	assert_true(t.sensor->domains[0].learns_pace); /* and how old a value is */
	assert_int_equal(readings[0].power_mw, 0);
	/* Kinds that nobody asked for are not read. */
	t.sensor->kinds = KIND_BIT(KIND_DRAM);
	assert_int_equal(t.sensor->ops->read(t.sensor, readings), 0);
	assert_int_equal(readings[0].error, -EAGAIN);
	assert_int_equal(readings[1].error, 0);
}

/* A bad value is an error of that reading and that domain alone. */
static void test_bad_values(void **state)
{
	static const struct {
		const char *text;
		int error;
	} values[] = {
		{ "", -ENODATA }, { "\n", -EINVAL }, { "-5\n", -EINVAL }, { "12 34\n", -EINVAL },
		{ "99999999999999999999\n", -ERANGE },
		{ "262143389886\n", -ERANGE }, /* more than the register holds */
	};
	struct reading readings[SENSOR_MAX_DOMAINS];

	(void) state;
	tree_zone(&t, "intel-rapl:0", "package-0");
	tree_zone(&t, "intel-rapl:1", "package-1");
	tree_open(&t);
	assert_int_equal(tree_read(&t, 0).error, 0);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		file_put(t.dir.path, POWERCAP "/intel-rapl:0/energy_uj", values[i].text);
		fakeclock_advance(&t.clock, NS_PER_S);
		assert_int_equal(tree_read(&t, 0).error, values[i].error);
		assert_int_equal(t.sensor->ops->read(t.sensor, readings), 0);
		assert_int_equal(readings[1].error, 0);
	}
	tree_number(&t, "intel-rapl:0", "energy_uj", 122070);
	assert_int_equal(tree_read(&t, 0).energy_uj, 61035);
}

/* ---- zones that go away ----------------------------------------------------------------- */

/* The zone's file answers with errors, as it does when the module is gone. */
static void lose_zone(const char *zone)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), POWERCAP "/%s/energy_uj", zone);
	file_put(t.dir.path, path, "");
	file_remove(t.dir.path, path);
	snprintf(path, sizeof(path), POWERCAP "/%s/name", zone);
	file_remove(t.dir.path, path);
}

/* Reads once a (paper) second until it works again; returns after how many seconds. */
static int read_until_back(size_t domain, int most)
{
	for (int i = 0; i < most; i++) {
		fakeclock_advance(&t.clock, NS_PER_S);
		if (tree_read(&t, domain).error == 0)
			return i;
	}
	fail_msg("not back within %d s", most);
	return most;
}

static void test_zone_returns(void **state)
{
	(void) state;
	tree_zone(&t, "intel-rapl:0", "package-0");
	tree_zone(&t, "intel-rapl:0:0", "dram");
	tree_zone(&t, "intel-rapl:1", "package-1");
	tree_zone(&t, "intel-rapl:1:0", "dram");
	tree_open(&t);
	assert_int_equal(t.sensor->n_domains, 4);
	for (size_t d = 0; d < 4; d++)
		assert_int_equal(tree_read(&t, d).error, 0);
	lose_zone("intel-rapl:1");
	lose_zone("intel-rapl:1:0");
	for (int i = 0; i < 30; i++) {
		fakeclock_advance(&t.clock, NS_PER_S);
		assert_true(tree_read(&t, 2).error < 0);
		assert_true(tree_read(&t, 3).error < 0);
		tree_number(&t, "intel-rapl:0", "energy_uj", 61035 * (uint64_t) (i + 2));
		assert_int_equal(tree_read(&t, 0).error, 0);
	}
	/* Back under other numbers: the domains are the same, by name. */
	tree_zone(&t, "intel-rapl:c", "package-1");
	tree_zone(&t, "intel-rapl:c:5", "dram");
	tree_number(&t, "intel-rapl:c", "energy_uj", 610350); /* 10,000 counts */
	tree_number(&t, "intel-rapl:c:5", "energy_uj", 1220700);
	assert_true(read_until_back(2, 70) > 0);
	read_until_back(3, 70);
	assert_int_equal(tree_read(&t, 2).raw, 10000);
	assert_int_equal(tree_read(&t, 3).raw, 20000);
	assert_string_equal(t.sensor->domains[2].name, "package-1");
	/* And once more. */
	lose_zone("intel-rapl:c");
	for (int i = 0; i < 15; i++) {
		fakeclock_advance(&t.clock, NS_PER_S);
		assert_true(tree_read(&t, 2).error < 0);
	}
	tree_zone(&t, "intel-rapl:1", "package-1");
	assert_true(read_until_back(2, 20) < 10);
}

/* It is looked for ever more rarely, up to once a minute: each look walks through the class. */
static void test_retries_grow(void **state)
{
	int last = 0, looks = 0;

	(void) state;
	tree_zone(&t, "intel-rapl:0", "package-0");
	tree_open(&t);
	lose_zone("intel-rapl:0");
	for (int i = 0; i < 600; i++) {
		struct reading got;

		fakeclock_advance(&t.clock, NS_PER_S);
		/* It is there for this one look only. */
		tree_zone(&t, "intel-rapl:1", "package-0");
		tree_number(&t, "intel-rapl:1", "energy_uj", 61035 * (uint64_t) (i + 2));
		got = tree_read(&t, 0);
		if (got.error == 0) {
			looks++;
			assert_in_range(i - last, 0, 70);
			last = i;
			lose_zone("intel-rapl:1");
			continue;
		}
		lose_zone("intel-rapl:1");
	}
	assert_true(looks > 10);
}

/* Everything is gone, with the class itself. */
static void test_class_gone(void **state)
{
	struct tmpdir class;

	(void) state;
	tree_zone(&t, "intel-rapl:0", "package-0");
	tree_open(&t);
	lose_zone("intel-rapl:0");
	snprintf(class.path, sizeof(class.path), "%.200s/sys", t.dir.path);
	tmpdir_remove(&class);
	for (int i = 0; i < 100; i++) {
		fakeclock_advance(&t.clock, NS_PER_S);
		assert_true(tree_read(&t, 0).error < 0);
	}
	tree_zone(&t, "intel-rapl:0", "package-0");
	read_until_back(0, 70);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_wraps),
		TEST(test_each_count),
		TEST(test_reading),
		TEST(test_bad_values),
		TEST(test_zone_returns),
		TEST(test_retries_grow),
		TEST(test_class_gone),
	};

	return cmocka_run_group_tests_name("powercap_counts", tests, NULL, NULL);
}
