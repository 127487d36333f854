// SPDX-License-Identifier: MIT
#include "test.h"

#include <errno.h>
#include <string.h>

#include "meter/sensor.h"
#include "meter/sensorlist.h"

/* What others know of a sensor instead of its name. */
static void test_each_says_what_it_is_for(void **state)
{
	(void) state;
	for (const struct sensor_ops *const *at = sensor_list; *at; at++) {
		const struct sensor_ops *ops = *at;

		if (!ops->gives || !*ops->gives || !ops->kinds || (ops->kinds & ~KIND_ALL) ||
			(ops->sure_kinds & ~ops->kinds))
			fail_msg("%s", ops->name);
		assert_ptr_equal(sensor_find(ops->name), ops);
	}
}

static void test_an_id_is_private_unless_its_sensor_says_otherwise(void **state)
{
	static struct sensor s;
	struct domain *d;

	(void) state;
	s.ops = sensor_list[0];
	d = sensor_add_domain(&s);
	assert_non_null(d);
	memset(d->id, '7', sizeof(d->id) - 1);
	assert_string_equal(d->id + d->id_public_at, "");
}

static void test_there_is_an_end_to_domains(void **state)
{
	static struct sensor s;

	(void) state;
	s.ops = sensor_list[0];
	for (int i = 0; i < SENSOR_MAX_DOMAINS; i++)
		assert_non_null(sensor_add_domain(&s));
	assert_null(sensor_add_domain(&s));
}

static void expect_list(const char *text, const char *names, const char *file)
{
	struct sensorlist list;
	char why[200];

	if (sensorlist_parse(text, &list, why, sizeof(why)) < 0)
		fail_msg("%s: %s", text, why);
	assert_string_equal(list.names, names);
	assert_string_equal(list.file, file);
}

static void expect_refused(const char *text, const char *why)
{
	struct sensorlist list;
	char said[200];

	assert_int_equal(sensorlist_parse(text, &list, said, sizeof(said)), -EINVAL);
	assert_string_equal(said, why);
}

static void test_lists(void **state)
{
	(void) state;
	expect_list("sim", "sim", "");
	expect_list("nvml,sim:a/b:c,battery", "nvml,sim,battery", "a/b:c");
	expect_list("sim-polled:x", "sim-polled", "x");
	expect_refused(
		"of-tomorrow", "unknown sensor: 'of-tomorrow'; `powermeasure list` shows them all");
	expect_refused("nvml:x", "this sensor takes no file: 'nvml:x'");
	expect_refused("sim,simulated:x",
		"unknown sensor: 'simulated'; `powermeasure list` shows them all");
	expect_refused("sin:x,sim",
		"unknown sensor: 'sin'; did you mean 'sim'? `powermeasure list` shows them all");
	expect_refused(",sim", "not a list of names: ',sim'");
	expect_refused("", "the list is empty");
}

static void test_long_lists(void **state)
{
	char text[700] = "sim:";

	(void) state;
	memset(text + 4, 'f', 511);
	expect_list(text, "sim", text + 4);
	memset(text + 4, 'f', 512);
	assert_int_equal(
		sensorlist_parse(text, &(struct sensorlist) { 0 }, (char[1]) { 0 }, 1), -EINVAL);
	memset(text, 'n', 300);
	text[300] = '\0';
	assert_int_equal(
		sensorlist_parse(text, &(struct sensorlist) { 0 }, (char[1]) { 0 }, 1), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_says_what_it_is_for),
		cmocka_unit_test(test_an_id_is_private_unless_its_sensor_says_otherwise),
		cmocka_unit_test(test_there_is_an_end_to_domains),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_long_lists),
	};

	return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
