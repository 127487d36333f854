// SPDX-License-Identifier: MIT
/* The rails of each Jetson board with each of its drivers: which is the whole, what is a part. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"

#define OLD "sys/bus/i2c/drivers/ina3221x/"
#define NEW "sys/bus/i2c/drivers/ina3221/"

BOARD_TESTS(b)

/* A chip as the driver of JetPack 4 shows it, with three rails of which each has a watt more. */
static void put_old(const char *chip, const char *const names[3])
{
	for (unsigned i = 0; i < 3; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%u", 1000 * (i + 1));
		board_put(&b, names[i], OLD "%s/iio:device0/rail_name_%u", chip, i);
		board_put(&b, text, OLD "%s/iio:device0/in_power%u_input", chip, i);
	}
}

/* As the kernel's own shows it: 5 V, and an ampere for each rail up to it. */
static void put_new_at(const char *chip, unsigned hwmon, const char *const names[3])
{
	for (unsigned i = 1; i <= 3; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%u", 1000 * i);
		board_put(&b, names[i - 1], NEW "%s/hwmon/hwmon%u/in%u_label", chip, hwmon, i);
		board_put(&b, "5000", NEW "%s/hwmon/hwmon%u/in%u_input", chip, hwmon, i);
		board_put(&b, text, NEW "%s/hwmon/hwmon%u/curr%u_input", chip, hwmon, i);
	}
	board_put(&b, "sum of shunt voltages", NEW "%s/hwmon/hwmon%u/in7_label", chip, hwmon);
	board_put(&b, "120", NEW "%s/hwmon/hwmon%u/in7_input", chip, hwmon);
	board_put(&b, "40", NEW "%s/hwmon/hwmon%u/in4_input", chip, hwmon);
}

#define OLD_CHIP(chip, ...) put_old(chip, (const char *const[3]) { __VA_ARGS__ })
#define NEW_CHIP(chip, hwmon, ...) put_new_at(chip, hwmon, (const char *const[3]) { __VA_ARGS__ })

static void expect(const char *expected)
{
	board_open(&b, "jetson");
	board_expect(&b, expected);
}

/* ---- boards ------------------------------------------------------------------------------ */

static void test_nano(void **state)
{
	(void) state;
	OLD_CHIP("6-0040", "POM_5V_IN", "POM_5V_GPU", "POM_5V_CPU");
	expect("POM_5V_IN platform - counted: module input\n"
	       "POM_5V_CPU cpu POM_5V_IN counted: CPU\n"
	       "POM_5V_GPU gpu POM_5V_IN counted: GPU\n");
	assert_true(b.sensor->domains[0].power_only);
	assert_int_equal(b.sensor->domains[0].quality, FLAG_INTEGRATED);
	assert_string_equal(b.sensor->domains[0].id, "ina3221x 6-0040");
	board_read(&b, 0);
	assert_int_equal(board_reading(&b, "POM_5V_IN")->power_mw, 1000);
	assert_int_equal(board_reading(&b, "POM_5V_GPU")->power_mw, 2000);
	assert_int_equal(board_reading(&b, "POM_5V_CPU")->power_mw, 3000);
	assert_int_equal(b.readings[0].flags, FLAG_INTEGRATED);
}

static void test_tx2(void **state)
{
	(void) state;
	OLD_CHIP("0-0040", "VDD_SYS_GPU", "VDD_SYS_SOC", "VDD_4V0_WIFI");
	OLD_CHIP("0-0041", "VDD_IN", "VDD_SYS_CPU", "VDD_SYS_DDR");
	OLD_CHIP("0-0042", "VDD_MUX", "VDD_5V0_IO_SYS", "VDD_3V3_SYS");
	expect("VDD_IN platform - counted: module input\n"
	       "VDD_SYS_CPU cpu VDD_IN counted: CPU\n"
	       "VDD_SYS_GPU gpu VDD_IN counted: GPU\n"
	       "VDD_SYS_DDR dram VDD_IN counted: memory\n"
	       "VDD_SYS_SOC platform VDD_IN shown: SoC\n"
	       "VDD_4V0_WIFI platform VDD_IN shown: Wi-Fi\n"
	       "VDD_3V3_SYS platform - shown: not known what it covers\n"
	       "VDD_5V0_IO_SYS platform - shown: not known what it covers\n"
	       "VDD_MUX platform - shown: not known what it covers\n");
}

static void test_one_rail_for_all(void **state)
{
	static const char expected[] =
		"VDD_IN platform - counted: module input\n"
		"VDD_CPU_GPU_CV cpu VDD_IN counted: CPU, GPU and CV, one rail\n"
		"VDD_SOC platform VDD_IN shown: SoC\n";

	(void) state;
	/* Xavier NX with either driver, Orin NX and Nano. */
	NEW_CHIP("7-0040", 3, "VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC");
	expect(expected);
	board_read(&b, 0);
	assert_int_equal(board_reading(&b, "VDD_IN")->power_mw, 5000);
	assert_int_equal(board_reading(&b, "VDD_SOC")->power_mw, 15000);
	board_finish(&b);
	board_init(&b);
	OLD_CHIP("7-0040", "VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC");
	expect(expected);
}

static void test_tx2_nx(void **state)
{
	(void) state;
	OLD_CHIP("7-0040", "VDD_IN", "VDD_CPU_GPU", "VDD_SOC");
	expect("VDD_IN platform - counted: module input\n"
	       "VDD_CPU_GPU cpu VDD_IN counted: CPU and GPU, one rail\n"
	       "VDD_SOC platform VDD_IN shown: SoC\n");
}

/* No rail at its input: all six together. */
static void test_agx_xavier(void **state)
{
	(void) state;
	NEW_CHIP("1-0040", 2, "GPU", "CPU", "SOC");
	NEW_CHIP("1-0041", 3, "CV", "VDDRQ", "SYS5V");
	expect("module platform - counted: sum of the module's rails\n"
	       "CPU cpu module counted: CPU\n"
	       "GPU gpu module counted: GPU\n"
	       "VDDRQ dram module counted: memory\n"
	       "SOC platform module shown: SoC\n"
	       "CV platform module shown: CV\n"
	       "SYS5V platform module shown: 5 V: I/O\n");
	board_read(&b, 0);
	assert_int_equal(board_reading(&b, "module")->power_mw, 60000);
	assert_int_equal(board_reading(&b, "module")->flags, FLAG_INTEGRATED);
	assert_true(board_reading(&b, "module")->t_ns > 0);
	/* Also where nobody asks for the parts. */
	b.sensor->kinds = KIND_BIT(KIND_PLATFORM);
	board_read(&b, NS_PER_S);
	assert_int_equal(board_reading(&b, "module")->power_mw, 60000);
	assert_int_equal(board_reading(&b, "CPU")->error, -EAGAIN);
	b.sensor->kinds = KIND_BIT(KIND_CPU);
	board_read(&b, NS_PER_S);
	assert_int_equal(board_reading(&b, "module")->error, -EAGAIN);
	assert_int_equal(board_reading(&b, "CPU")->power_mw, 10000);
	assert_int_equal(board_reading(&b, "GPU")->error, -EAGAIN);
	/* A part that cannot be read leaves no sum to tell. */
	b.sensor->kinds = KIND_ALL;
	board_put(&b, "x", NEW "1-0041/hwmon/hwmon3/curr2_input");
	board_read(&b, NS_PER_S);
	assert_int_equal(board_reading(&b, "module")->error, -EINVAL);
	assert_int_equal(board_reading(&b, "VDDRQ")->error, -EINVAL);
	assert_int_equal(board_reading(&b, "CPU")->error, 0);
}

/* The memory is fed from the 5 V rail, which is in the sum already. */
static void test_agx_orin(void **state)
{
	(void) state;
	NEW_CHIP("1-0040", 1, "VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0");
	NEW_CHIP("1-0041", 2, "NC", "VDDQ_VDD2_1V8AO", "NC");
	expect("module platform - counted: sum of the module's rails\n"
	       "VDD_CPU_CV cpu module counted: CPU and CV\n"
	       "VDD_GPU_SOC gpu module counted: GPU and SoC\n"
	       "VIN_SYS_5V0 platform module shown: 5 V: memory, I/O\n"
	       "VDDQ_VDD2_1V8AO dram VIN_SYS_5V0 counted: memory and always-on parts\n");
	board_read(&b, 0);
	assert_int_equal(board_reading(&b, "module")->power_mw, 30000);
	assert_int_equal(board_reading(&b, "VDDQ_VDD2_1V8AO")->power_mw, 10000);
}

static void test_agx_thor(void **state)
{
	(void) state;
	NEW_CHIP("2-0040", 4, "VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0");
	expect("module platform - counted: sum of the module's rails\n"
	       "VDD_CPU_SOC_MSS cpu module counted: CPU, SoC and memory controller\n"
	       "VDD_GPU gpu module counted: GPU\n"
	       "VIN_SYS_5V0 platform module shown: 5 V: memory, I/O\n");
	board_put(&b, "VIN", "sys/bus/i2c/drivers/ina238/2-0044/hwmon/hwmon5/in1_label");
	board_put(&b, "42000000", "sys/bus/i2c/drivers/ina238/2-0044/hwmon/hwmon5/power1_input");
	/* Idle rails show a little less than nothing. */
	board_put(&b, "-78", NEW "2-0040/hwmon/hwmon4/curr1_input");
	expect("VIN platform - counted: board input\n"
	       "VDD_CPU_SOC_MSS cpu VIN counted: CPU, SoC and memory controller\n"
	       "VDD_GPU gpu VIN counted: GPU\n"
	       "VIN_SYS_5V0 platform VIN shown: 5 V: memory, I/O\n");
	board_read(&b, 0);
	assert_int_equal(board_reading(&b, "VIN")->power_mw, 42000);
	assert_int_equal(board_reading(&b, "VDD_GPU")->power_mw, 0);
	assert_int_equal(board_reading(&b, "VDD_GPU")->error, 0);
}

/* Half a board has no whole, and a board that is not known counts nothing. */
static void test_not_known(void **state)
{
	(void) state;
	NEW_CHIP("1-0040", 1, "VDD_GPU_SOC", "VDD_CPU_CV", "PUMP");
	NEW_CHIP("1-0041", 2, "PUMP", "CV", "");
	expect("VDD_CPU_CV cpu - counted: CPU and CV\n"
	       "VDD_GPU_SOC gpu - counted: GPU and SoC\n"
	       "CV platform - shown: CV\n"
	       "PUMP platform - shown: not known what it covers\n"
	       "PUMP-1-0041-1 platform - shown: not known what it covers\n");
}

/* ---- trouble ----------------------------------------------------------------------------- */

static void test_absent(void **state)
{
	(void) state;
	board_expect_refusal(&b, "jetson", -ENODEV, "no Jetson", NULL);
	board_put(&b, "NVIDIA Jetson Nano 2GB", "proc/device-tree/model");
	board_expect_refusal(&b, "jetson", -ENOENT, "no INA3221", "sudo modprobe ina3221");
	dir_put(b.dir.path, NEW "1-0040/hwmon/hwmon1");
	dir_put(b.dir.path, NEW "bind/hwmon/hwmon1");
	board_expect_refusal(&b, "jetson", -ENOENT, "has a name", NULL);
	board_put(&b, "VDD_IN", NEW "1-0040/hwmon/hwmon1/in1_label");
	board_expect_refusal(&b, "jetson", -ENOENT, "cannot be read: No such file", NULL);
	board_put(&b, "5000", NEW "1-0040/hwmon/hwmon1/in1_input");
	board_expect_refusal(&b, "jetson", -ENOENT, "cannot be read: No such file", NULL);
	board_put(&b, "50", NEW "1-0040/hwmon/hwmon1/curr1_input");
	board_put(&b, "0", NEW "1-0040/hwmon/hwmon1/in1_enable");
	board_expect_refusal(&b, "jetson", -ENOENT, "has a name", NULL);
	board_put(&b, "1", NEW "1-0040/hwmon/hwmon1/in1_enable");
	expect("VDD_IN platform - counted: module input\n");
}

static void test_hostile_values(void **state)
{
	static const struct {
		const char *mv, *ma;
		int error;
		unsigned mw;
	} cases[] = {
		{ "5000", "-392", 0, 0 },
		{ "", "1", -EINVAL, 0 },
		{ "1", "", -EINVAL, 0 },
		{ "-5000", "1000", -ERANGE, 0 },
		{ "9223372036854775808", "1", -ERANGE, 0 },
		{ "1", "9223372036854775808", -ERANGE, 0 },
		{ "9223372036854775807", "9223372036854775807", -ERANGE, 0 },
		{ "5000", "-9223372036854775807", -ERANGE, 0 },
		{ "100000", "100000", -ERANGE, 0 },
		{ "19000", "2000", 0, 38000 },
	};

	(void) state;
	NEW_CHIP("1-0040", 1, "VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC");
	board_open(&b, "jetson");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		board_put(&b, cases[i].mv, NEW "1-0040/hwmon/hwmon1/in1_input");
		board_put(&b, cases[i].ma, NEW "1-0040/hwmon/hwmon1/curr1_input");
		board_read(&b, NS_PER_S);
		if (b.readings[0].error != cases[i].error ||
			(!cases[i].error && b.readings[0].power_mw != cases[i].mw))
			fail_msg("case %zu: %d, %llu", i, b.readings[0].error,
				(unsigned long long) b.readings[0].power_mw);
		assert_int_equal(b.readings[1].error, 0);
	}
}

static void test_back_elsewhere(void **state)
{
	(void) state;
	NEW_CHIP("1-0040", 1, "VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0");
	NEW_CHIP("1-0041", 2, "NC", "VDDQ_VDD2_1V8AO", "NC");
	board_open(&b, "jetson");
	board_read(&b, 0);
	board_remove(&b, NEW "1-0040/hwmon");
	for (int i = 0; i < 20; i++) {
		board_read(&b, 100 * NS_PER_MS);
		assert_int_not_equal(board_reading(&b, "module")->error, 0);
		assert_int_not_equal(board_reading(&b, "VDD_CPU_CV")->error, 0);
		assert_int_equal(board_reading(&b, "VDDQ_VDD2_1V8AO")->error, 0);
	}
	NEW_CHIP("1-0040", 9, "VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0");
	board_read(&b, 120 * NS_PER_S);
	assert_int_equal(board_reading(&b, "module")->error, 0);
	assert_int_equal(board_reading(&b, "module")->power_mw, 30000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_nano),
		TEST(test_tx2),
		TEST(test_one_rail_for_all),
		TEST(test_tx2_nx),
		TEST(test_agx_xavier),
		TEST(test_agx_orin),
		TEST(test_agx_thor),
		TEST(test_not_known),
		TEST(test_absent),
		TEST(test_hostile_values),
		TEST(test_back_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
