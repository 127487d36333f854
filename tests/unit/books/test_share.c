// SPDX-License-Identifier: MIT
#include "test.h"

#include <inttypes.h>

#include "books/share.h"
#include "machine/clock.h"

#define J UINT64_C(1000000)

/* Two CPUs for a second, 100 J. */
static struct share_interval two_cpus(void)
{
	return (struct share_interval) { .energy_uj = 100 * J, .capacity = 2 * NS_PER_S };
}

static void test_split(void **state)
{
	struct share_interval i = two_cpus();
	struct share_target t[3] = { { .used = NS_PER_S / 2 }, { .used = NS_PER_S }, { 0 } };

	(void) state;
	assert_int_equal(share_split(&i, t, 3), 25 * J);
	assert_int_equal(t[0].energy_uj, 25 * J);
	assert_int_equal(t[1].energy_uj, 50 * J);
	assert_int_equal(t[2].energy_uj, 0);
	for (int k = 0; k < 3; k++) {
		assert_int_equal(t[k].surplus, 0);
		assert_int_equal(t[k].fraction, 0);
	}
	/* Nobody: all is left. */
	assert_int_equal(share_split(&i, t, 0), 100 * J);
}

/* What is below a microjoule goes to the target in the end, and not to the others. */
static void test_fraction(void **state)
{
	struct share_interval i = { .energy_uj = 1, .capacity = 3 };
	struct share_target t = { .used = 1 };
	uint64_t given = 0, left = 0;

	(void) state;
	for (int n = 1; n <= 3000; n++) {
		left += share_split(&i, &t, 1);
		given += t.energy_uj;
		assert_int_equal(given + left, n);
		/* Never ahead of its share, and behind by less than two. */
		assert_in_range(given, (uint64_t) (n / 3 ? n / 3 - 1 : 0), (uint64_t) (n + 2) / 3);
	}
}

static void test_surplus(void **state)
{
	struct share_interval i = two_cpus();
	struct share_target t[2] = { { .used = 2 * NS_PER_S }, { .used = 2 * NS_PER_S } };

	(void) state;
	/* Twice as much as there is: cut in proportion, and the rest comes next. */
	assert_int_equal(share_split(&i, t, 2), 0);
	assert_int_equal(t[0].energy_uj, 50 * J);
	assert_int_equal(t[1].energy_uj, 50 * J);
	assert_int_equal(t[0].surplus, NS_PER_S);
	t[0].used = t[1].used = 0;
	i.energy_uj = 10 * J;
	assert_int_equal(share_split(&i, t, 2), 0);
	assert_int_equal(t[0].energy_uj, 5 * J);
	assert_int_equal(t[0].surplus, 0);
	assert_int_equal(share_split(&i, t, 2), 10 * J);
	/* A clock that is a tick ahead: nothing is lost by it. */
	t[0] = (struct share_target) { .used = 2 * NS_PER_S + 4 * NS_PER_MS };
	assert_int_equal(share_split(&i, t, 1), 0);
	assert_int_equal(t[0].surplus, 4 * NS_PER_MS);
	t[0].used = NS_PER_S;
	assert_int_equal(share_split(&i, t, 1), 10 * J - 10 * J * 1004 / 2000);
	assert_int_equal(t[0].energy_uj, 10 * J * 1004 / 2000);
}

static void test_no_capacity(void **state)
{
	struct share_interval i = { .energy_uj = 5 * J };
	struct share_target t = { .used = 100, .surplus = 11 };

	(void) state;
	assert_int_equal(share_split(&i, &t, 1), 5 * J);
	assert_int_equal(t.energy_uj, 0);
	assert_int_equal(t.surplus, 111);
	assert_int_equal(share_idle(&i, 5 * J), 0);
}

static void test_proportional(void **state)
{
	struct share_interval i = two_cpus();
	struct share_target t[2] = { { .used = NS_PER_S / 4 }, { .used = NS_PER_S / 4 } };

	(void) state;
	/* Half the capacity idle: those that ran get all of it, by what they used of the other. */
	i.policy = IDLE_PROPORTIONAL;
	i.idle = NS_PER_S;
	assert_int_equal(share_split(&i, t, 2), 50 * J);
	assert_int_equal(t[0].energy_uj, 25 * J);
	assert_int_equal(share_idle(&i, 50 * J), 0);
	/* The idle columns are coarse: the targets used more than was busy. */
	i.idle = 19 * NS_PER_S / 10;
	assert_int_equal(share_split(&i, t, 2), 0);
	assert_int_equal(t[0].energy_uj, 50 * J);
	assert_int_equal(t[0].surplus, 0);
	/* All idle, nobody ran: it is idle's after all. */
	i.idle = 3 * NS_PER_S;
	t[0].used = t[1].used = 0;
	assert_int_equal(share_split(&i, t, 2), 100 * J);
	assert_int_equal(share_idle(&i, 100 * J), 100 * J);
}

static void test_idle(void **state)
{
	struct share_interval i = two_cpus();

	(void) state;
	i.idle = NS_PER_S / 2;
	assert_int_equal(share_idle(&i, 100 * J), 25 * J);
	/* The lesser of its share and what is left. */
	assert_int_equal(share_idle(&i, 10 * J), 10 * J);
	assert_int_equal(share_idle(&i, 0), 0);
	/* More idle than there was time: the columns move in steps. */
	i.idle = 5 * NS_PER_S;
	assert_int_equal(share_idle(&i, 70 * J), 70 * J);
}

/* A day of 1,024 CPUs and 10 kW in one interval: nothing overflows. */
static void test_large(void **state)
{
	struct share_interval i = { .energy_uj = 10000 * J * 86400,
		.capacity = 1024 * NS_PER_S * 86400 };
	struct share_target t = { .used = 512 * NS_PER_S * 86400 };

	(void) state;
	assert_int_equal(share_split(&i, &t, 1), 10000 * J * 43200);
	assert_int_equal(t.energy_uj, 10000 * J * 43200);
}

static void test_range(void **state)
{
	struct share_doubt d = { .domain = { 100 * J, 90 * J, 120 * J, 0 },
		.capacity_ns = 2 * NS_PER_S,
		.used_ns = NS_PER_S,
		.used_low_ns = NS_PER_S / 2,
		.used_high_ns = 3 * NS_PER_S / 2 };
	struct energy e = share_range(&d, 50 * J);

	(void) state;
	assert_int_equal(e.uj, 50 * J);
	assert_int_equal(e.low_uj, 90 * J / 4);
	assert_in_range(e.high_uj, 120 * J * 3 / 4, 120 * J * 3 / 4 + 2);
	/* It cannot have used more than there was. */
	d.used_high_ns = 100 * NS_PER_S;
	e = share_range(&d, 50 * J);
	assert_in_range(e.high_uj, 120 * J, 120 * J + 2);
	/* A clock that caught up shows more than there was: the range is around what fits. */
	d.used_ns = 21 * NS_PER_S / 10;
	d.used_low_ns = 19 * NS_PER_S / 10;
	d.used_high_ns = 23 * NS_PER_S / 10;
	e = share_range(&d, 100 * J);
	assert_int_equal(e.low_uj, 90 * J * 95 / 100);
	assert_in_range(e.high_uj, 120 * J, 120 * J + 2);
	/* Nothing seen, but something may have been there. */
	d.used_ns = d.used_low_ns = 0;
	d.used_high_ns = NS_PER_S / 100;
	e = share_range(&d, 0);
	assert_int_equal(e.low_uj, 0);
	assert_in_range(e.high_uj, 120 * J / 200, 120 * J / 200 + 2);
	/* No capacity: nothing can be said. */
	d.capacity_ns = 0;
	e = share_range(&d, 3);
	assert_int_equal(e.low_uj, 3);
	assert_int_equal(e.high_uj, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_fraction),
		cmocka_unit_test(test_surplus),
		cmocka_unit_test(test_no_capacity),
		cmocka_unit_test(test_proportional),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_range),
	};

	return cmocka_run_group_tests_name("share", tests, NULL, NULL);
}
