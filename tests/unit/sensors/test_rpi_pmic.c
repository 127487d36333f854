// SPDX-License-Identifier: MIT
/* The rails of the Raspberry Pi 5, from what its firmware says about them. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "board.h"
#include "child.h"

#define MAILBOX "dev/vcio"

BOARD_TESTS(b)

/* In the order of the firmware: currents, then voltages, each with a number of its own. */
static const char answer[] = " 3V7_WL_SW_A current(0)=0.10000000A\n"
			     "  DDR_VDD2_A current(3)=0.20000000A\n"
			     "  DDR_VDDQ_A current(4)=0.01000000A\n"
			     "  VDD_CORE_A current(7)=2.00000000A\n"
			     " 3V7_WL_SW_V volt(8)=3.70000000V\n"
			     "  DDR_VDD2_V volt(11)=1.10000000V\n"
			     "  DDR_VDDQ_V volt(12)=0.60000000V\n"
			     "  VDD_CORE_V volt(15)=0.90000000V\n"
			     "    EXT5V_V volt(24)=5.10000000V\n"
			     "     BATT_V volt(25)=0.00341880V\n";

static void test_rails(void **state)
{
	(void) state;
	file_put(b.dir.path, MAILBOX, answer);
	board_open(&b, "rpi-pmic");
	board_expect(&b,
		"rails platform - counted: board without USB, PCIe, fan, 5 V pins and losses\n"
		"VDD_CORE cpu rails counted: CPU cores and GPU, one rail\n"
		"DDR dram rails counted: memory: DDR_VDD2 and DDR_VDDQ\n");
	assert_true(b.sensor->domains[0].power_only);
	assert_int_equal(b.sensor->domains[0].quality, FLAG_INTEGRATED);
	board_read(&b, 0);
	assert_int_equal(b.readings[0].power_mw, 370 + 220 + 6 + 1800);
	assert_int_equal(b.readings[1].power_mw, 1800);
	assert_int_equal(b.readings[2].power_mw, 226);
	assert_int_equal(b.readings[0].flags, FLAG_INTEGRATED);
	b.sensor->kinds = KIND_BIT(KIND_DRAM);
	board_read(&b, 0);
	assert_int_equal(b.readings[0].error, -EAGAIN);
	assert_int_equal(b.readings[2].error, 0);
}

/* An answer that is cut, garbled or absurd is no answer. */
static void test_hostile(void **state)
{
	static const struct {
		const char *from, *to; /* a replacement in the answer */
		int error;
	} cases[] = {
		{ "VDD_CORE_A", "VDD_CORE_B", -ENODATA },
		{ "DDR_VDD2_V", "DDR_VDDX_V", -ENODATA },
		{ "=2.00000000A", "=2.00000000V", -ENODATA },
		{ "=2.00000000A", "=-2.0000000A", -ENODATA },
		{ "=2.00000000A", "=99999999999999999999A", -ENODATA },
		{ "=2.00000000A", "=51.000000A", -ENODATA },
		{ "=2.00000000A", "=nanA", -ENODATA },
		{ "=2.00000000A", "", -ENODATA },
		{ "current(7)=", "=", 0 },
		{ "VDD_CORE_A ", "_A ", -ENODATA },
		{ "VDD_CORE_A ", "A_NAME_OF_MORE_LETTERS_THAN_ANY_RAIL_A ", -ENODATA },
		{ " 3V7_WL_SW_A current(0)=0.10000000A\n", "what is this?\n=\n\n A\n", 0 },
	};

	(void) state;
	file_put(b.dir.path, MAILBOX, answer);
	board_open(&b, "rpi-pmic");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[2048];
		const char *at = strstr(answer, cases[i].from);

		assert_non_null(at);
		snprintf(text, sizeof(text), "%.*s%s%s", (int) (at - answer), answer, cases[i].to,
			at + strlen(cases[i].from));
		file_put(b.dir.path, MAILBOX, text);
		board_read(&b, NS_PER_S);
		if (b.readings[0].error != cases[i].error || b.readings[1].error != cases[i].error)
			fail_msg("case %zu: %d", i, b.readings[0].error);
	}
	for (size_t n = 0; n < strlen(answer); n++) {
		file_put_bytes(b.dir.path, MAILBOX, answer, n);
		board_read(&b, NS_PER_S);
		/* Whole but for voltages that no rail needs. */
		if (n < (size_t) (strstr(answer, "    EXT5V") - answer) - 1)
			assert_int_equal(b.readings[0].error, -ENODATA);
	}
}

static void test_refusals(void **state)
{
	(void) state;
	board_expect_refusal(&b, "rpi-pmic", -ENODEV, "no Raspberry Pi 5", NULL);
	board_put(&b, "Raspberry Pi 5 Model B Rev 1.0", "proc/device-tree/model");
	board_expect_refusal(&b, "rpi-pmic", -ENOENT, "mailbox is not there", NULL);
	board_put(&b, "Raspberry Pi 4 Model B Rev 1.4", "proc/device-tree/model");
	board_put(&b, "error=1 error_msg=\"Command not registered\"", MAILBOX);
	board_expect_refusal(&b, "rpi-pmic", -EOPNOTSUPP,
		"Raspberry Pi 4 Model B Rev 1.4 measures no rails", NULL);
	file_put(b.dir.path, MAILBOX, "");
	board_expect_refusal(&b, "rpi-pmic", -ENODATA, "/dev/vcio: No data", NULL);
}

static int look_as_nobody(void)
{
	if (board_try(&b, "rpi-pmic") != -EACCES ||
		strcmp(b.sensor->why.fix, "sudo usermod -aG video $USER") != 0)
		return __LINE__;
	return 0;
}

static void test_unreadable(void **state)
{
	char path[PATH_SIZE];

	(void) state;
	file_put(b.dir.path, MAILBOX, answer);
	assert_int_equal(chmod(b.dir.path, 0755), 0);
	assert_int_equal(chmod(path_in(b.dir.path, MAILBOX, path), 0), 0);
	child_as_nobody(look_as_nobody);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_rails),
		TEST(test_hostile),
		TEST(test_refusals),
		TEST(test_unreadable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
