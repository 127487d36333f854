// SPDX-License-Identifier: MIT
/* Which of several ways to the same counters is used. Time passes, and counters move, when somebody
 * sleeps: the linker puts this file's nanosleep() in the place of the real one. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "meter/rig.h"
#include "rapl_tree.h"

static struct tree t;
static struct rig *rig;
static unsigned n_sleeps;
static unsigned period; /* in sleeps, of the counters */
static struct {
	bool perf, perf_1, powercap, msr;
} moves;

int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left);

int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left)
{
	uint64_t value;

	(void) wanted;
	(void) left;
	n_sleeps++;
	value = 1000 + n_sleeps / period * 1000;
	if (moves.perf)
		tree_count(&t, "power", 0, "energy-pkg", value);
	if (moves.perf_1)
		tree_count(&t, "power", 1, "energy-pkg", value);
	if (moves.powercap)
		tree_number(&t, "intel-rapl:0", "energy_uj", value / 1000 * 61035);
	if (moves.msr)
		tree_msr(&t, 0, 0x611, value);
	return 0;
}

static int set_up(void **state)
{
	(void) state;
	tree_init(&t);
	tree_cpu(&t, TREE_INTEL);
	tree_package(&t, "0-1", 0, 0);
	tree_online(&t, "0-1");
	memset(&moves, 0, sizeof(moves));
	period = 1;
	rig = NULL;
	assert_int_equal(host_init(&t.host, t.dir.path, &t.clock.clock), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void) state;
	rig_close(rig, NS_PER_S);
	host_finish(&t.host);
	tree_finish(&t);
	return 0;
}

static void put_perf(void)
{
	tree_power(&t, "0", "energy-pkg");
}

static void put_powercap(void)
{
	tree_zone(&t, "intel-rapl:0", "package-0");
}

static void put_msr(void)
{
	tree_msr(&t, 0, 0x606, 0xa0e03);
	tree_msr(&t, 0, 0x611, 1000);
}

static void open_rig(const char *sensors)
{
	const struct rig_options options = { .sensors = sensors, .sensor = &t.options };
	const char *bad_name;

	rig_close(rig, NS_PER_S);
	n_sleeps = 0;
	assert_int_equal(rig_open(&rig, &t.host, &options, &bad_name), 0);
}

static const struct rig_verdict *verdict_of(const char *name)
{
	for (size_t i = 0; i < rig_n_verdicts(rig); i++)
		if (strcmp(rig_verdict(rig, i)->ops->name, name) == 0)
			return rig_verdict(rig, i);
	fail_msg("nothing is said of %s", name);
	return NULL;
}

/* Exactly this one of the group is used: its domains alone are there. NULL: none. */
static void expect_used(const char *name)
{
	static const char *const all[] = { "rapl-perf", "rapl-powercap", "rapl-msr" };

	for (size_t i = 0; i < 3; i++)
		if (verdict_of(all[i])->used != (name && strcmp(name, all[i]) == 0))
			fail_msg("%s: %d, %s", all[i], verdict_of(all[i])->error,
				verdict_of(all[i])->why.reason);
	if (name)
		assert_string_equal(rig_domain(rig, 0)->sensor, name);
	for (size_t i = 0; i < rig_n_domains(rig); i++)
		if (rig_domain(rig, i)->quality == FLAG_MEASURED)
			assert_string_equal(rig_domain(rig, i)->sensor, name);
}

static void expect_said(const char *name, int error, bool spare, const char *reason)
{
	const struct rig_verdict *v = verdict_of(name);

	if (v->error != error || v->spare != spare || !strstr(v->why.reason, reason))
		fail_msg("%s: %d, %d, \"%s\"", name, v->error, v->spare, v->why.reason);
}

/* The first that moves; it takes as long as it takes to move, and some ms to see how often: here never, for
 * the clock stands still. */
static void test_first(void **state)
{
	(void) state;
	put_perf();
	put_powercap();
	put_msr();
	moves.perf = moves.powercap = moves.msr = true;
	open_rig(NULL);
	expect_used("rapl-perf");
	assert_in_range(n_sleeps, 1, 20);
	expect_said("rapl-powercap", 0, true, "not used: rapl-perf measures the same");
	expect_said("rapl-msr", 0, true, "not used: rapl-perf measures the same");
	assert_false(verdict_of("estimate")->used);
	/* The rest of the list is tried as ever. */
	assert_true(verdict_of("nvml")->error != 0 || verdict_of("nvml")->used);
}

static void test_one_alone(void **state)
{
	(void) state;
	put_msr();
	moves.msr = true;
	open_rig(NULL);
	expect_used("rapl-msr");
	expect_said("rapl-perf", -ENOENT, true, "power is not there");
	expect_said("rapl-powercap", -ENOENT, true, "not loaded");
	assert_true(verdict_of("rapl-perf")->why.fix[0]);
}

/* What stands still is passed over, after a while. */
static void test_stands_still(void **state)
{
	(void) state;
	put_perf();
	put_powercap();
	moves.powercap = true;
	open_rig(NULL);
	expect_used("rapl-powercap");
	expect_said("rapl-perf", -ENODATA, true, "its counters stand still");
	assert_in_range(n_sleeps, 50, 1000);
	/* The last resort, since the others do not count. */
	put_msr();
	moves.powercap = false;
	moves.msr = true;
	open_rig(NULL);
	expect_used("rapl-msr");
	expect_said("rapl-powercap", 0, true, "not used: rapl-msr measures the same");
}

/* Zones are there only where the kernel saw them count: they are believed. Events and registers
 * are there on any virtual machine. */
static void test_nothing_moves(void **state)
{
	(void) state;
	put_perf();
	put_msr();
	open_rig(NULL);
	expect_used(NULL);
	assert_true(verdict_of("estimate")->used);
	expect_said("rapl-perf", -ENODATA, false, "stand still");
	expect_said("rapl-msr", -ENODATA, false, "stand still");
	put_powercap();
	open_rig(NULL);
	expect_used("rapl-powercap");
	expect_said("rapl-powercap", 0, false, "its counters stand still");
	expect_said("rapl-msr", -ENODATA, true, "stand still");
	assert_false(verdict_of("estimate")->used);
}

/* Counters with coarse steps are waited for. */
static void test_slow(void **state)
{
	(void) state;
	put_perf();
	put_powercap();
	moves.perf = moves.powercap = true;
	period = 40;
	open_rig(NULL);
	expect_used("rapl-perf");
	assert_in_range(n_sleeps, 40, 80);
}

/* All packages must move; part of them is better than nothing. */
static void test_part(void **state)
{
	(void) state;
	tree_package(&t, "1", 1, 0);
	tree_power(&t, "0-1", "energy-pkg");
	put_powercap();
	moves.perf = moves.powercap = true;
	open_rig(NULL);
	expect_used("rapl-powercap");
	expect_said("rapl-perf", 0, true, "not used: rapl-powercap measures the same");
	moves.powercap = false;
	open_rig(NULL);
	expect_used("rapl-perf");
	expect_said("rapl-powercap", 0, true, "not used: rapl-perf measures the same");
	moves.perf_1 = moves.powercap = true;
	open_rig(NULL);
	expect_used("rapl-perf");
}

static void test_by_hand(void **state)
{
	(void) state;
	put_perf();
	put_powercap();
	put_msr();
	moves.perf = moves.powercap = moves.msr = true;
	open_rig("rapl-powercap");
	expect_used("rapl-powercap");
	expect_said("rapl-perf", -ECANCELED, false, "not in the list");
	/* The order is the list's, and still one of them is used. */
	open_rig("estimate,rapl-msr,rapl-perf,rapl-msr");
	expect_used("rapl-msr");
	expect_said("rapl-perf", 0, true, "not used: rapl-msr measures the same");
	expect_said("rapl-powercap", -ECANCELED, false, "not in the list");
	moves.msr = false;
	open_rig("rapl-msr,rapl-perf");
	expect_used("rapl-perf");
	open_rig("rapl-msr");
	expect_used(NULL);
	assert_int_equal(rig_n_domains(rig), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_first),
		TEST(test_one_alone),
		TEST(test_stands_still),
		TEST(test_nothing_moves),
		TEST(test_slow),
		TEST(test_part),
		TEST(test_by_hand),
	};

	return cmocka_run_group_tests_name("rig_choice", tests, NULL, NULL);
}
