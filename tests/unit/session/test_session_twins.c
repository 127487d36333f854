// SPDX-License-Identifier: MIT
/* Two sensors that tell of the same thing: a difference is said, once, and nothing is counted
 * twice. */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "child.h"
#include "studio.h"

#define CPU KIND_BIT(KIND_CPU)
#define GPU KIND_BIT(KIND_GPU)

static struct studio s;
static pid_t pid;
static size_t other;

static int set_up(void **state)
{
	(void) state;
	pid = child_start(child_sleep, NULL);
	studio_init(&s);
	other = machine_add_domain(&s.m, "cpu-rail", KIND_CPU);
	s.m.domains[other].sensor = "hwmon";
	s.m.domains[other].counted = false;
	s.m.domains[other].twin = true;
	s.watts[machine_add_domain(&s.m, "gpu-0", KIND_GPU)] = 150;
	studio_open(&s);
	return 0;
}

static int tear_down(void **state)
{
	(void) state;
	studio_close(&s);
	child_end(pid);
	return 0;
}

static void test_alike(void **state)
{
	(void) state;
	s.watts[other] = 21; /* by less than 5 % of the larger */
	studio_start_one(&s, pid, CPU, 0);
	studio_run(&s, 60 * NS_PER_S);
	assert_int_equal(s.n_sayings, 0);
}

static void test_different(void **state)
{
	(void) state;
	s.watts[other] = 22;
	studio_start_one(&s, pid, CPU, 40);
	studio_run(&s, 8 * NS_PER_S);
	assert_int_equal(s.n_sayings, 0);
	studio_run(&s, 4 * NS_PER_S);
	assert_int_equal(s.n_sayings, 1);
	assert_int_equal(s.sayings[0].severity, SESSION_WARNING);
	assert_true(studio_said(&s,
		"CPU: paper reports 20.0 W, hwmon reports 22.0 W for the same domain; using paper "
		"(choose with --sensors)"));
	/* Once, and only one of them is in the sum. */
	studio_run(&s, 30 * NS_PER_S);
	assert_int_equal(s.n_sayings, 1);
	assert_true(studio_record(&s, RECORD_END, pid, 0)->session.totals[KIND_CPU].known);
}

/* What was seen in different sessions with time between them is not put together. */
static void test_short_sessions(void **state)
{
	(void) state;
	s.watts[other] = 40;
	for (int i = 0; i < 5; i++) {
		studio_start_one(&s, pid, CPU, 6);
		studio_run(&s, 20 * NS_PER_S);
	}
	assert_int_equal(s.n_sayings, 0);
	studio_start_one(&s, pid, CPU, 12);
	studio_run(&s, 20 * NS_PER_S);
	assert_int_equal(s.n_sayings, 1);
}

/* A kind that nobody asks for is not read for that, and a sensor that fails is no difference. */
static void test_unknown(void **state)
{
	(void) state;
	s.watts[other] = 40;
	studio_start_one(&s, pid, GPU, 20);
	studio_run(&s, 21 * NS_PER_S);
	assert_int_equal(s.n_sayings, 0);
	studio_start_one(&s, pid, CPU, 20);
	s.m.readings[other].error = -EIO;
	studio_run(&s, 21 * NS_PER_S);
	assert_false(studio_said(&s, "for the same domain"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_alike),
		TEST(test_different),
		TEST(test_short_sessions),
		TEST(test_unknown),
	};

	return cmocka_run_group_tests_name("session_twins", tests, NULL, NULL);
}
