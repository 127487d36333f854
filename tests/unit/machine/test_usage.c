// SPDX-License-Identifier: MIT
/* How many CPUs there are and what they idled, from the kernel's files and from a container's. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine/host.h"
#include "machine/usage.h"
#include "fakeclock.h"
#include "files.h"

#define UNIT_NS UINT64_C(10000000)

/* ---- parsing ------------------------------------------------------------------------------ */

static void test_idle(void **state)
{
	uint64_t units = 0;

	(void) state;
	assert_int_equal(
		usage_parse_idle("cpu  10 20 30 400 50 6 7 0 0 0\ncpu0 1 1 1 1 1\n", &units), 0);
	assert_int_equal(units, 450);
}

static void test_idle_bad(void **state)
{
	static const char *const texts[] = {
		"",
		"cpu",
		"cpu \n",
		"cpu0 1 2 3 4 5\n",
		"cpu  1 2 3\ncpu0 1 2 3\n",
		"cpu  1 2 3 4\ncpu0 1 2 3 4\n",
		"cpu  1 2 3 x 5\ncpu0 1 2 3 4 5\n",
		"cpu  1 2 3 18446744073709551615 1\n", /* too much */
		"intr 1\ncpu  1 2 3 4 5\n",
	};

	(void) state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		uint64_t units = 7;

		if (usage_parse_idle(texts[i], &units) != -EINVAL || units != 7)
			fail_msg("\"%s\" was taken", texts[i]);
	}
}

static void test_counts(void **state)
{
	static const struct {
		uint32_t (*count)(const char *text);
		const char *text;
		uint32_t n;
	} rows[] = {
		{ usage_parse_stat_cpus,
			"cpu  1 1 1 7 0\ncpu0 1 1 1 7 0\ncpu3 1 1 1 7 0\nintr 1\ncpufreq is no CPU\n",
			2 },
		{ usage_parse_stat_cpus, "cpu  1 2 3 4 5\n", 0 },
		{ usage_parse_stat_cpus, "intr 5\ncpu0 1\n", 0 },
		{ usage_parse_cpu_list, "0-3,8,10-11\n", 7 },
		{ usage_parse_cpu_list, "0-65535\n", 65536 },
		{ usage_parse_cpu_list, "0-65536\n", 0 },
		{ usage_parse_cpu_list, "0", 1 },
		{ usage_parse_cpu_list, "", 0 },
		{ usage_parse_cpu_list, "3-1\n", 0 },
		{ usage_parse_cpu_list, "0-3,x\n", 0 },
		{ usage_parse_interrupts, "           CPU0       CPU1       CPU12\n 24: 1 0 0 x\n",
			3 },
		{ usage_parse_interrupts, "  0:  5 timer\n", 0 },
		{ usage_parse_interrupts, "", 0 },
		{ usage_parse_interrupts, "  CPU0  CPU1", 0 },
	};

	(void) state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].count(rows[i].text) != rows[i].n)
			fail_msg("row %zu: %" PRIu32 " of \"%s\"", i, rows[i].count(rows[i].text),
				rows[i].text);
}

/* ---- files -------------------------------------------------------------------------------- */

static struct tmpdir dir;

static int set_up(void **state)
{
	(void) state;
	dir = tmpdir_make();
	return 0;
}

static int tear_down(void **state)
{
	(void) state;
	tmpdir_remove(&dir);
	return 0;
}

static void put_file(const char *name, const char *text)
{
	file_put(dir.path, name, text);
}

static int open_file(const char *name)
{
	char path[PATH_SIZE];
	int fd = open(path_in(dir.path, name, path), O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* A reader of files of the test's own, as if they were the kernel's. */
static void open_fake(struct usage_reader *u, const char *stat, const char *online)
{
	*u = (struct usage_reader) {
		.stat_fd = -1, .online_fd = -1, .unit_ns = UNIT_NS, .size = 64
	};
	u->text = malloc(u->size);
	assert_non_null(u->text);
	put_file("stat", stat);
	u->stat_fd = open_file("stat");
	if (online) {
		put_file("online", online);
		u->online_fd = open_file("online");
	}
}

/* Ten years of 65,536 CPUs, in /proc/stat's units of 10 ms: more nanoseconds than 64 bits hold. */
static void test_long_uptime(void **state)
{
	const uint64_t old_units = UINT64_C(10) * 365 * 86400 * 100 * 65536;
	struct host_usage usage = { 0 };
	struct usage_reader u;
	struct fakeclock clock;
	char text[128];

	(void) state;
	fakeclock_init(&clock, 5000, 0);
	snprintf(text, sizeof(text), "cpu  1 2 3 %" PRIu64 " 0 0 0\n", old_units);
	open_fake(&u, text, "0-65535\n");
	assert_int_equal(usage_read(&u, &clock.clock, &usage), 0);
	assert_int_equal(usage.n_cpu, 65536);
	assert_int_equal(usage.idle_ns, 0);
	snprintf(text, sizeof(text), "cpu  1 2 3 %" PRIu64 " 0 0 0\n", old_units + 450);
	put_file("stat", text);
	assert_int_equal(usage_read(&u, &clock.clock, &usage), 0);
	assert_int_equal(usage.idle_ns, 450 * UNIT_NS);
	/* iowait may fall a little: idle time is not taken back. */
	snprintf(text, sizeof(text), "cpu  1 2 3 %" PRIu64 " 0 0 0\n", old_units + 449);
	put_file("stat", text);
	assert_int_equal(usage_read(&u, &clock.clock, &usage), 0);
	assert_int_equal(usage.idle_ns, 450 * UNIT_NS);
	assert_true(usage.idle_known);
	usage_reader_finish(&u);
}

/* A list of CPUs and a /proc/stat that are longer than any buffer of the beginning. */
static void test_long_files(void **state)
{
	enum { N = 5000 };
	struct host_usage usage = { 0 };
	struct usage_reader u;
	struct fakeclock clock;
	char *stat = calloc(N + 1, 40), *at = stat;

	(void) state;
	assert_non_null(stat);
	fakeclock_init(&clock, 5000, 0);
	at += sprintf(at, "cpu  1 2 3 4 5\n");
	for (int i = 0; i < N; i++)
		at += sprintf(at, "cpu%d 1 2 3 4 5\n", i);
	sprintf(at, "intr 1\n");
	open_fake(&u, stat, NULL);
	assert_int_equal(usage_read(&u, &clock.clock, &usage), 0);
	assert_int_equal(usage.n_cpu, N);
	usage_reader_finish(&u);
	free(stat);
}

static void test_container(void **state)
{
	struct host_usage usage = { 0 };
	struct usage_reader u;
	struct fakeclock clock;
	char note[256];

	(void) state;
	fakeclock_init(&clock, 5000, 0);
	open_fake(&u, "cpu  1 2 3 100 0\ncpu0 1 2 3 100 0\nintr\n", NULL);
	assert_false(usage_view_note(&u, note, sizeof(note)));
	u.is_view = true;
	u.shown_cpus = 1;
	u.counted_cpus = 4;
	assert_int_equal(usage_read(&u, &clock.clock, &usage), 0);
	assert_int_equal(usage.n_cpu, 4);
	assert_false(usage.idle_known);
	assert_true(usage_view_note(&u, note, sizeof(note)));
	assert_non_null(strstr(note, "shows 1 of the machine's 4 CPUs"));
	u.counted_cpus = 0;
	usage.n_cpu = 0;
	assert_int_equal(usage_read(&u, &clock.clock, &usage), 0);
	assert_int_equal(usage.n_cpu, 1);
	assert_true(usage_view_note(&u, note, sizeof(note)));
	assert_non_null(strstr(note, "may be too large"));
	usage_reader_finish(&u);
}

/* ---- this machine ------------------------------------------------------------------------- */

static void test_live(void **state)
{
	struct fakeclock clock;
	struct host h;

	(void) state;
	fakeclock_init(&clock, 5000, 0);
	assert_int_equal(host_init(&h, NULL, &clock.clock), 0);
	assert_true(h.live);
	assert_int_equal(h.usage.t_ns, 5000);
	assert_int_equal(h.usage.n_cpu, sysconf(_SC_NPROCESSORS_ONLN));
	assert_in_range(h.tick_ns, 100000, 10000000);
	assert_int_equal(h.user_hz_ns, 1000000000 / sysconf(_SC_CLK_TCK));
	assert_int_equal(h.usage.idle_ns, 0);
	fakeclock_advance(&clock, 1000);
	assert_int_equal(host_usage_update(&h), 0);
	assert_int_equal(h.usage.t_ns, 6000);
	host_finish(&h);
	host_finish(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_idle_bad),
		cmocka_unit_test(test_counts),
		cmocka_unit_test_setup_teardown(test_long_uptime, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_long_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_container, set_up, tear_down),
		cmocka_unit_test(test_live),
	};

	return cmocka_run_group_tests_name("usage", tests, NULL, NULL);
}
