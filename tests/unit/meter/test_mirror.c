// SPDX-License-Identifier: MIT
/* Counters that are one count once; all others count each. */
#include "test.h"

#include <string.h>

#include "meter/mirror.h"

/* A sensor with up to four counters: each shows the value of one of these at the time of the read. */
static struct {
	uint64_t raw[4];
	uint64_t step[4]; /* with each read */
	int shows[4];
	unsigned n_reads;
	unsigned skewed; /* one of so many reads catches an update in the middle; 0: none */
} machine;

static int fake_read(struct sensor *s, struct reading *ret)
{
	for (size_t i = 0; i < 4; i++)
		machine.raw[i] += machine.step[i];
	machine.n_reads++;
	for (size_t i = 0; i < s->n_domains; i++) {
		ret[i] = (struct reading) { .raw = machine.raw[machine.shows[i]], .t_ns = 1 };
		if (machine.skewed && i > 0 && machine.n_reads % machine.skewed == 0)
			ret[i].raw++;
	}
	return 0;
}

static const struct sensor_ops ops = { .name = "fake", .role = SENSOR_HARDWARE, .read = fake_read };
static struct host host;
static struct sensor sensor;

static int set_up(void **state)
{
	(void) state;
	memset(&machine, 0, sizeof(machine));
	sensor = (struct sensor) { .ops = &ops, .host = &host };
	for (int i = 0; i < 4; i++) {
		struct domain *d = sensor_add_domain(&sensor);

		d->name[0] = (char) ('a' + i);
		d->kind = KIND_CPU;
		d->counted = true;
		machine.raw[i] = (uint64_t) (1000 + 7 * i);
		machine.step[i] = (uint64_t) (3 + i);
		machine.shows[i] = i;
	}
	return 0;
}

static void expect_counted(const char *names)
{
	char got[8] = "";

	sensor_count_mirrors_once(&sensor);
	for (size_t i = 0; i < sensor.n_domains; i++)
		if (sensor.domains[i].counted)
			strcat(got, sensor.domains[i].name);
	assert_string_equal(got, names);
}

static void test_each_its_own(void **state)
{
	(void) state;
	expect_counted("abcd");
	assert_int_equal(machine.n_reads, 1); /* no time is lost */
	assert_string_equal(sensor.why.reason, "");
}

static void test_four_of_two(void **state)
{
	(void) state;
	machine.shows[2] = 0;
	machine.shows[3] = 1;
	expect_counted("ab");
	assert_string_equal(sensor.domains[3].scope, "the same counter as b");
	assert_string_equal(sensor.why.reason, "c shows the same counter as a: counted once");
}

static void test_an_update_between_two_reads(void **state)
{
	(void) state;
	machine.shows[1] = 0;
	machine.skewed = 5;
	expect_counted("acd");
}

/* The same value by chance, and different ones from then on. */
static void test_once_equal(void **state)
{
	(void) state;
	machine.raw[1] = machine.raw[0];
	machine.step[0] = machine.step[1] = 0;
	machine.step[0] = 5;
	machine.raw[0] -= 5;
	expect_counted("abcd");
}

static void test_what_stands_still_is_not_judged(void **state)
{
	(void) state;
	memset(machine.step, 0, sizeof(machine.step));
	machine.shows[1] = 0;
	expect_counted("abcd");
}

static void test_of_different_kinds_or_units(void **state)
{
	(void) state;
	machine.shows[1] = machine.shows[2] = machine.shows[3] = 0;
	sensor.domains[1].kind = KIND_DRAM;
	sensor.domains[2].unit_den = 2;
	sensor.domains[3].power_only = true;
	expect_counted("abcd");
	assert_int_equal(machine.n_reads, 0); /* a driver that hangs is not asked for nothing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_each_its_own, set_up),
		cmocka_unit_test_setup(test_four_of_two, set_up),
		cmocka_unit_test_setup(test_an_update_between_two_reads, set_up),
		cmocka_unit_test_setup(test_once_equal, set_up),
		cmocka_unit_test_setup(test_what_stands_still_is_not_judged, set_up),
		cmocka_unit_test_setup(test_of_different_kinds_or_units, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
