// SPDX-License-Identifier: MIT
/* Laptops' batteries: the machine's power while nothing else feeds it, and nothing else ever. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "board.h"

#define SUPPLY "sys/class/power_supply/"

BOARD_TESTS(b)

#define PUT(name, ...) \
	board_put_all(&b, SUPPLY name "/", (const char *const[]) { __VA_ARGS__, NULL })

static void expect(int error, uint64_t power_mw)
{
	board_read(&b, NS_PER_S);
	if (b.readings[0].error != error || (!error && b.readings[0].power_mw != power_mw))
		fail_msg("%d, %llu mW", b.readings[0].error,
			(unsigned long long) b.readings[0].power_mw);
}

static void test_unplugged(void **state)
{
	(void) state;
	PUT("AC", "type=Mains", "online=0");
	PUT("BAT0", "type=Battery", "present=1", "status=Discharging", "power_now=4830000",
		"voltage_now=12229000", "energy_now=49450000");
	board_open(&b, "battery");
	board_expect(&b, "battery platform - counted: whole machine while unplugged\n");
	assert_true(b.sensor->domains[0].power_only);
	assert_int_equal(b.sensor->domains[0].quality, FLAG_INTEGRATED);
	assert_string_equal(b.sensor->why.reason, "");
	expect(0, 4830);
	assert_int_equal(b.readings[0].flags, FLAG_INTEGRATED);
	assert_int_equal(b.readings[0].t_ns, b.clock.mono_ns);
	b.sensor->kinds = KIND_BIT(KIND_CPU);
	expect(-EAGAIN, 0);
}

/* Where power is not told; out of the battery is negative for some drivers. */
static void test_current_and_voltage(void **state)
{
	(void) state;
	PUT("BAT0", "type=Battery", "status=Discharging", "current_now=-1250000",
		"voltage_now=11400000");
	board_open(&b, "battery");
	expect(0, 14250);
	PUT("BAT0", "current_now=1250001");
	expect(0, 14250);
	PUT("BAT0", "current_now=999");
	expect(0, 11);
}

static void test_two(void **state)
{
	(void) state;
	PUT("BAT0", "type=Battery", "status=Not charging", "power_now=0");
	PUT("BAT1", "type=Battery", "status=Discharging", "power_now=-9000000");
	PUT("hidpp_battery_0", "type=Battery", "scope=Device", "status=Discharging",
		"power_now=70000000");
	PUT("BAT2", "type=Battery", "present=0", "status=Unknown");
	board_open(&b, "battery");
	expect(0, 9000);
	PUT("BAT0", "status=Discharging", "power_now=1000000");
	expect(0, 10000);
}

/* A battery at rest costs nobody the other's figure, and what cannot be read is named. */
static void test_one_of_two_rests(void **state)
{
	(void) state;
	PUT("BAT0", "type=Battery", "status=Discharging", "power_now=0");
	PUT("BAT1", "type=Battery", "status=Discharging", "power_now=7800000");
	board_open(&b, "battery");
	expect(0, 7800);
	PUT("BAT1", "power_now=0");
	expect(-ENODATA, 0);
	board_close(&b);
	PUT("BAT1", "power_now=much");
	board_open(&b, "battery");
	assert_string_equal(b.sensor->why.reason, "BAT1 cannot be read: Invalid argument");
	expect(-EINVAL, 0);
}

/* What goes into a battery tells nothing of the machine. */
static void test_plugged(void **state)
{
	(void) state;
	PUT("AC", "type=Mains", "online=1");
	PUT("BAT0", "type=Battery", "status=Charging", "power_now=30000000");
	board_open(&b, "battery");
	assert_non_null(strstr(b.sensor->why.reason, "unplug the charger"));
	expect(-ENODATA, 0);
	PUT("BAT0", "status=Full", "power_now=0");
	expect(-ENODATA, 0);
	/* A weak charger beside a battery that gives: not known how much. */
	PUT("BAT0", "status=Discharging", "power_now=5000000");
	expect(-ENODATA, 0);
	PUT("AC", "online=0");
	expect(0, 5000);
	/* A USB-C port that feeds something else is online, too. */
	PUT("ucsi0", "type=USB", "online=1");
	expect(0, 5000);
	PUT("BAT0", "status=Charging");
	expect(-ENODATA, 0);
}

static void test_hostile(void **state)
{
	static const struct {
		const char *power, *current, *voltage;
		int error;
	} cases[] = {
		{ "0", "1", "1", -ENODATA }, /* just after the plug was pulled */
		{ "", "1", "1", -ENODATA },
		{ "much", "1", "1", -EINVAL },
		{ "9223372036854775807", "1", "1", -ERANGE },
		{ "9223372036854775808", "1", "1", -ERANGE },
		{ "-9223372036854775807", "1", "1", -ERANGE },
		{ NULL, "9223372036854775807", "9223372036854775807", -ERANGE },
		{ NULL, "1000000", "-5000000", -ERANGE },
		{ NULL, "1000000", "", -ENODATA },
		{ NULL, "1000000", NULL, -ENOENT },
		{ NULL, NULL, NULL, -ENOENT },
	};

	(void) state;
	PUT("BAT0", "type=Battery", "status=Discharging", "power_now=1", "current_now=1",
		"voltage_now=1");
	board_open(&b, "battery");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const texts[] = { cases[i].power, cases[i].current, cases[i].voltage };
		static const char *const files[] = { SUPPLY "BAT0/power_now",
			SUPPLY "BAT0/current_now", SUPPLY "BAT0/voltage_now" };

		for (size_t f = 0; f < 3; f++) {
			if (texts[f])
				board_put(&b, texts[f], "%s", files[f]);
			else if (file_exists(b.dir.path, files[f]))
				file_remove(b.dir.path, files[f]);
		}
		expect(cases[i].error, 0);
	}
}

/* Packs are taken out and put in. */
static void test_gone_and_back(void **state)
{
	(void) state;
	PUT("BAT0", "type=Battery", "status=Discharging", "power_now=7000000");
	board_open(&b, "battery");
	expect(0, 7000);
	board_remove(&b, SUPPLY "BAT0");
	expect(-ENODATA, 0);
	PUT("BAT1", "type=Battery", "status=Discharging", "power_now=8000000");
	expect(0, 8000);
	board_remove(&b, "sys");
	expect(-ENOENT, 0);
}

static void test_absent(void **state)
{
	(void) state;
	board_expect_refusal(&b, "battery", -ENOENT, "no battery", NULL);
	PUT("AC", "type=Mains", "online=1");
	PUT("mouse", "type=Battery", "scope=Device", "status=Discharging");
	PUT("BAT0", "type=Battery", "present=0");
	board_expect_refusal(&b, "battery", -ENODEV, "no battery", NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_unplugged),
		TEST(test_current_and_voltage),
		TEST(test_two),
		TEST(test_one_of_two_rests),
		TEST(test_plugged),
		TEST(test_hostile),
		TEST(test_gone_and_back),
		TEST(test_absent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
