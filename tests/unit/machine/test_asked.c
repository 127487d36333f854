// SPDX-License-Identifier: MIT
/* What is kept of what sensors ask for, what is taken out of it, and how a captured machine shows its
 * two readings. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine/captured.h"
#include "meter/motion.h"
#include "machine/asked.h"
#include "powercap_tree.h"
#include "machine/privacy.h"

TREE_TESTS(t, "rapl-powercap", TREE_NO_CPU)

/* ---- the list ------------------------------------------------------------------------- */

static void expect_asked(struct asked *r, size_t i, const char *path, int error, const char *text)
{
	struct asked_path found;

	assert_int_equal(asked_get(r, i, &found), 0);
	assert_string_equal(found.path, path);
	assert_int_equal(found.error, error);
	if (text)
		assert_string_equal(found.text, text);
	else
		assert_null(found.text);
	free(found.text);
}

static void test_what_is_asked_for_is_kept(void **state)
{
	struct asked *r;
	struct host h;
	char text[16];

	(void) state;
	file_put(t.dir.path, "sys/a", "1\n");
	assert_int_equal(host_init(&h, t.dir.path, &t.clock.clock), 0);
	assert_int_equal(asked_create(&r), 0);
	host_tell(&h, "/dev/x", NULL, "nobody listens");
	h.watch = asked_watch(r);
	host_read_text(&h, "/sys/a", text, sizeof(text));
	host_read_text(&h, "/sys/b", text, sizeof(text));
	host_has(&h, "/sys");
	host_has(&h, "/sys/a");
	host_has(&h, "/sys/../../etc/passwd");
	host_tell(&h, "/dev/cpu/0/msr", "606 ", "606 %x", 1);
	host_tell(&h, "/dev/cpu/0/msr", "611 ", "611 %x", 2);
	host_tell(&h, "/dev/cpu/0/msr", "606 ", "606 %x", 3);
	host_tell(&h, "/counts/x", NULL, "%d", 4);
	host_tell(&h, "/counts/x", NULL, "%d", 5);
	assert_int_equal(asked_n(r), 5);
	expect_asked(r, 0, "/sys/a", 0, NULL);
	expect_asked(r, 1, "/sys/b", -ENOENT, NULL);
	expect_asked(r, 2, "/sys", 0, NULL);
	expect_asked(r, 3, "/dev/cpu/0/msr", 0, "611 2\n606 3\n");
	expect_asked(r, 4, "/counts/x", 0, "5\n");
	host_finish(&h);
	asked_destroy(r);
	asked_destroy(NULL);
}

/* Far more than any machine has: what does not fit is said, and what did is found again. */
static void test_no_more_paths_than_the_limit(void **state)
{
	struct asked_path found;
	struct asked *r;
	char path[32];

	(void) state;
	assert_int_equal(asked_create(&r), 0);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < ASKED_MAX_PATHS; i++) {
			snprintf(path, sizeof(path), "/sys/%d", i);
			asked_watch(r)->asked(r, path, -i);
		}
		assert_int_equal(asked_n(r), ASKED_MAX_PATHS);
		expect_asked(r, 0, "/sys/0", 0, NULL);
		expect_asked(r, ASKED_MAX_PATHS - 1, path, 1 - ASKED_MAX_PATHS, NULL);
	}
	asked_watch(r)->asked(r, "/sys/more", 0);
	assert_int_equal(asked_n(r), ASKED_MAX_PATHS);
	assert_int_equal(asked_get(r, 0, &found), -ENOMEM);
	asked_destroy(r);
}

/* ---- privacy ------------------------------------------------------------------------------ */

static void expect_hidden(const char *text, const char *expected)
{
	char copy[128];

	snprintf(copy, sizeof(copy), "%s", text);
	privacy_hide_addresses(copy);
	assert_string_equal(copy, expected);
}

static void test_addresses_are_hidden(void **state)
{
	(void) state;
	expect_hidden("hid-aa:bb:cc:dd:ee:ff-battery", "hid-00:00:00:00:00:00-battery");
	expect_hidden("x_AA-bb-CC-01-23-45", "x_00-00-00-00-00-00");
	expect_hidden("pad_00-1A-7D-DA-71-14-0000:09:00.0", "pad_00-00-00-00-00-00-0000:09:00.0");
	expect_hidden("11:22:33:44:55:66 66:55:44:33:22:11", "00:00:00:00:00:00 00:00:00:00:00:00");
	expect_hidden("0000:03:00.0", "0000:03:00.0");
	expect_hidden("aa:bb:cc:dd:ee", "aa:bb:cc:dd:ee");
	expect_hidden("2026-11-22T10:00:00", "2026-11-22T10:00:00");
	expect_hidden("", "");
}

static void expect_filtered(const char *path, const char *text, const char *expected)
{
	struct buf b = BUF_INIT;

	buf_str(&b, text);
	privacy_filter(path, &b);
	assert_string_equal(buf_text(&b), expected);
	buf_finish(&b);
}

static void test_serial_numbers_are_taken_out(void **state)
{
	(void) state;
	expect_filtered("/proc/cpuinfo", "model\t: 1\nSerial\t\t: 10af\nModel\t: serial port\n",
		"model\t: 1\nModel\t: serial port\n");
	expect_filtered("/x/uevent", "HID_UNIQ=1\nDRIVER=a\nPCI_SLOT_NAME=0\nX",
		"DRIVER=a\nPCI_SLOT_NAME=0\n");
	expect_filtered("/x/energy_uj", "Serial: 1\n", "Serial: 1\n");
	assert_true(privacy_is_private("/sys/class/power_supply/BAT0/serial_number"));
	assert_true(privacy_is_private("/proc/1/cmdline"));
	assert_false(privacy_is_private("/sys/serial/energy_uj"));
}

/* ---- a captured machine ------------------------------------------------------------------- */

#define JSON \
	"{\"interval_s\": 1.5, \"readings\": [{\"time\": \"then\"}], \"denied\": [\"/sys/no\"]}"

static void expect_text(int fd, const char *expected)
{
	char text[32] = "";

	assert_true(pread(fd, text, sizeof(text) - 1, 0) >= 0);
	assert_string_equal(text, expected);
}

static void test_turning(void **state)
{
	struct host h;
	int a, b, c;

	(void) state;
	file_put(t.dir.path, "capture.json", JSON);
	file_put(t.dir.path, "sys/moves", "9999\n");
	file_put(t.dir.path, "later/sys/moves", "10000\n");
	file_put(t.dir.path, "sys/status", "Discharging\n");
	file_put(t.dir.path, "later/sys/status", "Full\n");
	file_put(t.dir.path, "sys/stays", "1\n");
	file_put(t.dir.path, "sys/no", "secret\n");
	assert_int_equal(host_init(&h, t.dir.path, &t.clock.clock), 0);
	assert_non_null(h.captured);
	assert_true(captured_interval_ns(h.captured) == 1500 * NS_PER_MS);
	assert_string_equal(captured_time(h.captured), "then");
	assert_int_equal(host_open_file(&h, "/sys/no"), -EACCES);
	a = host_open_file(&h, "/sys/moves");
	b = host_open_file(&h, "/sys/status");
	c = host_open_file(&h, "/sys/stays");
	expect_text(a, "9999\n");
	host_turn(&h, true);
	expect_text(a, "10000\n");
	expect_text(b, "Full\n");
	expect_text(c, "1\n");
	host_turn(&h, false);
	expect_text(a, "9999\n");
	expect_text(b, "Discharging\n");
	close(a);
	close(b);
	close(c);
	/* Also directories that are in both. */
	a = host_open_file(&h, "/sys");
	assert_true(a >= 0);
	close(a);
	host_finish(&h);
}

static void test_motion_is_judged_by_the_two_readings(void **state)
{
	(void) state;
	tree_cpu(&t, TREE_INTEL);
	tree_zone(&t, "intel-rapl:0", "package-0");
	file_put(t.dir.path, "capture.json", JSON);
	tree_open(&t);
	assert_int_equal(sensor_motion(t.sensor), MOTION_NONE);
	file_put(t.dir.path, "later/" POWERCAP "/intel-rapl:0/energy_uj", "122070\n");
	tree_open(&t);
	assert_int_equal(sensor_motion(t.sensor), MOTION_ALL);
	/* It shows the first again. */
	assert_true(tree_read(&t, 0).raw == 1000);
	host_turn(&t.host, true);
	assert_true(tree_read(&t, 0).raw == 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_asked_for_is_kept, set_up, tear_down),
		cmocka_unit_test(test_no_more_paths_than_the_limit),
		cmocka_unit_test(test_addresses_are_hidden),
		cmocka_unit_test(test_serial_numbers_are_taken_out),
		cmocka_unit_test_setup_teardown(test_turning, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_motion_is_judged_by_the_two_readings, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("asked", tests, NULL, NULL);
}
