// SPDX-License-Identifier: MIT
/* The sinks "readme" and "jsonl": what becomes of records in files. */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "files.h"
#include "jsoncheck.h"
#include "sinks/sink.h"

#define S INT64_C(1000000000)
#define MS INT64_C(1000000)
#define T0 (1692942659 * S) /* 2023-08-25 05:50:59 UTC */

static struct tmpdir dir;
static struct sink sink;
static char note[SINK_WHY_MAX];
static char path[PATH_SIZE];

static const struct domain package = { .name = "package-0",
	.scope = "package",
	.sensor = "rapl-powercap",
	.kind = KIND_CPU,
	.counted = true };
static const struct domain model = { .name = "cpu",
	.scope = "all CPUs",
	.sensor = "estimate",
	.model = "SPECpower \"X\"",
	.kind = KIND_CPU };

static int set_up(void **state)
{
	(void) state;
	setenv("TZ", "UTC0", 1);
	tzset();
	dir = tmpdir_make();
	memset(&sink, 0, sizeof(sink));
	return 0;
}

static int tear_down(void **state)
{
	(void) state;
	if (sink.ops)
		sink.ops->close(&sink);
	tmpdir_remove(&dir);
	return 0;
}

static void open_sink(const struct sink_ops *ops, const char *where)
{
	if (sink.ops)
		sink.ops->close(&sink);
	sink = (struct sink) { .ops = ops,
		.options = { .path = where, .max_bytes = sink.options.max_bytes } };
	snprintf(note, sizeof(note), "(nothing)");
	if (ops->open(&sink, note, sizeof(note)) != 0)
		fail_msg("%s", note);
}

static void flush(void)
{
	assert_int_equal(sink.ops->flush(&sink, false), 0);
	assert_int_equal(sink.health.error, 0);
	assert_int_equal(sink.health.waiting, 0);
}

static void write_process(int64_t wall_ns, int pid, const char *name, uint64_t power_uw)
{
	const struct record r = { .type = RECORD_LINE,
		.who = WHO_PROCESS,
		.wall_ns = wall_ns,
		.kind = KIND_CPU,
		.pid = pid,
		.name = name,
		.power_uw = power_uw };

	sink.ops->write(&sink, &r);
}

static void write_device(int64_t wall_ns, enum kind kind, uint64_t power_uw)
{
	const struct record r = { .type = RECORD_LINE,
		.who = WHO_DEVICE,
		.wall_ns = wall_ns,
		.kind = kind,
		.power_uw = power_uw };

	sink.ops->write(&sink, &r);
}

static void expect_file(const char *name, const char *expected)
{
	char *text = file_get(dir.path, name, NULL);

	if (!text)
		fail_msg("there is no %s", name);
	assert_string_equal(text, expected);
	free(text);
}

static void limit_file_size(rlim_t bytes)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* ---- readme ----------------------------------------------------------------------------- */

static void test_readme(void **state)
{
	(void) state;
	open_sink(&sink_readme, dir.path);
	assert_string_equal(note, "");
	assert_int_equal(sink.types, 1u << RECORD_LINE);
	/* These two are there from the start, the third comes with its first sample. */
	expect_file("CPU.json", "{}\n");
	expect_file("GPU.json", "{}\n");
	assert_false(file_exists(dir.path, "DRAM.json"));
	write_process(T0, 337263, "python", 8369286);
	write_process(T0 + 3 * S, 337263, "python", 8153751);
	write_device(T0 - 2 * S, KIND_GPU, 48570000);
	write_device(T0 + 1 * S, KIND_GPU, 47490000);
	flush();
	expect_file("CPU.json",
		"{\"2023-08-25 05:50:59\": [8.369286, \"337263\", \"python\"], "
		"\"2023-08-25 05:51:02\": [8.153751, \"337263\", \"python\"]}\n");
	expect_file("GPU.json",
		"{\"2023-08-25 05:50:57\": 48.570000, \"2023-08-25 05:51:00\": 47.490000}\n");
	assert_false(file_exists(dir.path, "DRAM.json"));
	write_device(T0 + 1 * S, KIND_DRAM, 1000001);
	assert_int_equal(sink.ops->flush(&sink, true), 0);
	expect_file("DRAM.json", "{\"2023-08-25 05:51:00\": 1.000001}\n");
	/* What has no file. */
	write_device(T0 + 9 * S, KIND_CPU, 1);
	write_device(T0 + 9 * S, KIND_PLATFORM, 1);
	flush();
	/* Continued by the next run, after the last key. */
	open_sink(&sink_readme, dir.path);
	assert_string_equal(note, "");
	write_process(T0 + 3 * S + 500 * MS, 1, "a", 0);
	write_process(T0 + 3 * S + 500 * MS, 2, "b", 0);
	flush();
	expect_file("CPU.json",
		"{\"2023-08-25 05:50:59\": [8.369286, \"337263\", \"python\"], "
		"\"2023-08-25 05:51:02\": [8.153751, \"337263\", \"python\"], "
		"\"2023-08-25 05:51:02.500000\": [0.000000, \"1\", \"a\"], "
		"\"2023-08-25 05:51:02.500001\": [0.000000, \"2\", \"b\"]}\n");
}

static void test_readme_names(void **state)
{
	char *text;
	size_t n;

	(void) state;
	open_sink(&sink_readme, dir.path);
	write_process(T0, 1, "a\"b\\c\n\x01", 1);
	write_process(T0 + S, 2, "\xff\xc3(", 1);
	write_process(T0 + 2 * S, 3, "", 1);
	write_process(T0 + 3 * S, 4, "}, {\"", 1);
	flush();
	text = file_get(dir.path, "CPU.json", &n);
	assert_null(json_wrong(text, n));
	assert_int_equal(json_count(text, n), 4);
	assert_non_null(strstr(text, "\"a\\\"b\\\\c\\n\\u0001\""));
	assert_non_null(strstr(text, "\"\xef\xbf\xbd\xef\xbf\xbd(\""));
	free(text);
}

/* A clock that is set back by more than two seconds begins a new file; the other logs follow when
 * they have something to write. */
static void test_readme_clock_set_back(void **state)
{
	(void) state;
	open_sink(&sink_readme, dir.path);
	write_process(T0, 7, "a", 1000000);
	write_device(T0, KIND_GPU, 1000000);
	write_process(T0 - 1 * S, 7, "a", 2000000);
	write_process(T0 - 3600 * S, 7, "a", 3000000);
	flush();
	expect_file("CPU.2023-08-25 05:50:59.000001.json",
		"{\"2023-08-25 05:50:59\": [1.000000, \"7\", \"a\"], "
		"\"2023-08-25 05:50:59.000001\": [2.000000, \"7\", \"a\"]}\n");
	expect_file("CPU.json", "{\"2023-08-25 04:50:59\": [3.000000, \"7\", \"a\"]}\n");
	expect_file("GPU.json", "{\"2023-08-25 05:50:59\": 1.000000}\n");
	write_device(T0 - 3600 * S, KIND_GPU, 2000000);
	flush();
	expect_file("GPU.2023-08-25 05:50:59.json", "{\"2023-08-25 05:50:59\": 1.000000}\n");
	expect_file("GPU.json", "{\"2023-08-25 04:50:59\": 2.000000}\n");
}

static void test_readme_turn_over(void **state)
{
	(void) state;
	sink.options.max_bytes = 60;
	open_sink(&sink_readme, dir.path);
	write_process(T0, 7, "a", 1000000);
	flush();
	assert_int_equal(sink.options.max_bytes, 60);
	write_process(T0 + S, 7, "a", 1000000);
	flush();
	expect_file("CPU.2023-08-25 05:51:00.json",
		"{\"2023-08-25 05:50:59\": [1.000000, \"7\", \"a\"], "
		"\"2023-08-25 05:51:00\": [1.000000, \"7\", \"a\"]}\n");
	expect_file("CPU.json", "{}\n");
}

static void test_readme_reopen(void **state)
{
	char a[PATH_SIZE], b[PATH_SIZE];

	(void) state;
	open_sink(&sink_readme, dir.path);
	write_process(T0, 7, "a", 1000000);
	flush();
	assert_int_equal(
		rename(path_in(dir.path, "CPU.json", a), path_in(dir.path, "CPU.1", b)), 0);
	assert_int_equal(sink.ops->reopen(&sink), 0);
	expect_file("CPU.json", "{}\n");
	write_process(T0 + 500 * MS, 7, "a", 2000000);
	flush();
	/* The keys go on where they were: put together again the two are one log. */
	expect_file("CPU.json", "{\"2023-08-25 05:50:59.500000\": [2.000000, \"7\", \"a\"]}\n");
	expect_file("CPU.1", "{\"2023-08-25 05:50:59\": [1.000000, \"7\", \"a\"]}\n");
}

/* Torn logs are repaired and told about, both of them. */
static void test_readme_repairs(void **state)
{
	(void) state;
	file_put(dir.path, "CPU.json", "{\"2023-08-25 05:50:59\": [1.000000, \"7\", \"a\"], \"20");
	file_put(dir.path, "GPU.json", "something else");
	open_sink(&sink_readme, dir.path);
	assert_non_null(strstr(note, "CPU.json was torn"));
	assert_non_null(strstr(note, "GPU.json was no log"));
	write_process(T0 + S, 7, "a", 1000000);
	flush();
	expect_file("CPU.json",
		"{\"2023-08-25 05:50:59\": [1.000000, \"7\", \"a\"], "
		"\"2023-08-25 05:51:00\": [1.000000, \"7\", \"a\"]}\n");
	expect_file("GPU.torn.json", "something else");
}

static void test_readme_cannot_open(void **state)
{
	(void) state;
	dir_put(dir.path, "GPU.json");
	sink = (struct sink) { .ops = &sink_readme, .options = { .path = dir.path } };
	assert_int_equal(sink.ops->open(&sink, note, sizeof(note)), -EISDIR);
	assert_non_null(strstr(note, "GPU.json"));
	sink.ops->close(&sink);
	sink.options.path = "/nonexistent";
	assert_int_equal(sink.ops->open(&sink, note, sizeof(note)), -ENOENT);
	assert_non_null(strstr(note, "/nonexistent"));
}

/* Lines that cannot be written wait, and are counted when they are lost. */
static void test_readme_health(void **state)
{
	char *text;
	size_t n;

	(void) state;
	open_sink(&sink_readme, dir.path);
	limit_file_size(10);
	for (int i = 0; i < 5; i++)
		write_process(T0 + i * S, 7, "a", 1000000);
	assert_int_equal(sink.ops->flush(&sink, true), -EFBIG);
	assert_int_equal(sink.health.error, -EFBIG);
	assert_int_equal(sink.health.waiting, 5);
	assert_int_equal(sink.health.lost, 0);
	expect_file("CPU.json", "{}\n");
	limit_file_size(RLIM_INFINITY);
	flush();
	text = file_get(dir.path, "CPU.json", &n);
	assert_int_equal(json_count(text, n), 5);
	free(text);
	/* A log that cannot be made costs its lines, and that is said as long as it is so. */
	dir_put(dir.path, "DRAM.json");
	write_device(T0, KIND_DRAM, 1);
	write_device(T0 + S, KIND_DRAM, 1);
	assert_int_equal(sink.ops->flush(&sink, false), -EISDIR);
	assert_int_equal(sink.health.lost, 2);
	write_process(T0 + 10 * S, 7, "a", 1000000);
	flush();
	assert_int_equal(sink.health.lost, 2);
}

/* ---- jsonl ------------------------------------------------------------------------------ */

static struct record detail(enum record_who who, const struct domain *domain)
{
	return (struct record) { .type = RECORD_DETAIL,
		.who = who,
		.wall_ns = T0 + 500 * MS,
		.t_ns = 123456789,
		.interval_ns = 500000000,
		.kind = domain->kind,
		.domain = domain,
		.pid = 42,
		.name = "a \"b\"",
		.energy = { 5000000, 4900000, 5100000, 0 },
		.power_uw = 10000000,
		.flags = FLAG_MEASURED | FLAG_GAP,
		.attribution = "capacity-share" };
}

static void test_jsonl(void **state)
{
	struct record r = detail(WHO_PROCESS, &package);
	char *text, *line, *rest;
	int n = 0;

	(void) state;
	open_sink(&sink_jsonl, path_in(dir.path, "record.jsonl", path));
	assert_int_equal(
		sink.types, 1u << RECORD_DETAIL | 1u << RECORD_PHASES | 1u << RECORD_MISSED);
	sink.ops->write(&sink, &r);
	flush();
	expect_file("record.jsonl",
		"{\"time\": \"2023-08-25T05:50:59.500000+00:00\", \"t_ns\": 123456789, "
		"\"interval_ns\": 500000000, \"sensor\": \"rapl-powercap\", \"domain\": \"package-0\", "
		"\"kind\": \"cpu\", \"scope\": \"package\", \"counted\": true, \"pid\": 42, "
		"\"name\": \"a \\\"b\\\"\", \"energy_uj\": 5000000, \"low_uj\": 4900000, "
		"\"high_uj\": 5100000, \"power_w\": 10.000000, \"flags\": [\"MEASURED\", \"GAP\"], "
		"\"attribution\": \"capacity-share\"}\n");
	/* An estimate names its model; idle, other and the rest are nobody's. */
	r = detail(WHO_IDLE, &model);
	r.flags = FLAG_ESTIMATED;
	sink.ops->write(&sink, &r);
	r.who = WHO_OTHER;
	sink.ops->write(&sink, &r);
	r.who = WHO_REST;
	r.attribution = NULL;
	sink.ops->write(&sink, &r);
	assert_int_equal(sink.ops->flush(&sink, true), 0);
	text = file_get(dir.path, "record.jsonl", NULL);
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		static const char *const whos[] = { "\"name\": \"a ", "\"name\": \"idle\"",
			"\"name\": \"other\"", "\"name\": \"rest\"" };

		assert_null(json_wrong(line, strlen(line)));
		assert_true(n < 4);
		assert_non_null(strstr(line, whos[n]));
		if (n > 0) {
			assert_non_null(strstr(line, "\"pid\": null"));
			assert_non_null(strstr(line, "\"counted\": false"));
			assert_non_null(strstr(line, "\"flags\": [\"ESTIMATED\"]"));
			assert_non_null(strstr(line, "\"model\": \"SPECpower \\\"X\\\"\"}"));
		}
		n++;
	}
	assert_int_equal(n, 4);
	free(text);
}

/* A line that was cut by a power failure is ended before the next. */
static void test_jsonl_continued(void **state)
{
	const struct record r = detail(WHO_PROCESS, &package);
	char *text;

	(void) state;
	file_put(dir.path, "record.jsonl", "{\"a\": 1}\n{\"b\": ");
	open_sink(&sink_jsonl, path_in(dir.path, "record.jsonl", path));
	sink.ops->write(&sink, &r);
	flush();
	open_sink(&sink_jsonl, path);
	sink.ops->write(&sink, &r);
	flush();
	text = file_get(dir.path, "record.jsonl", NULL);
	assert_memory_equal(text, "{\"a\": 1}\n{\"b\": \n{\"time\"", 23);
	assert_non_null(strstr(text, "}\n{\"time\""));
	free(text);
}

static void test_jsonl_reopen(void **state)
{
	const struct record r = detail(WHO_PROCESS, &package);
	char other[PATH_SIZE];

	(void) state;
	open_sink(&sink_jsonl, path_in(dir.path, "record.jsonl", path));
	sink.ops->write(&sink, &r);
	flush();
	assert_int_equal(rename(path, path_in(dir.path, "old", other)), 0);
	assert_int_equal(sink.ops->reopen(&sink), 0);
	expect_file("record.jsonl", "");
	sink.ops->write(&sink, &r);
	flush();
	assert_true(file_exists(dir.path, "old"));
	/* Where the new one cannot be made the old one is kept on with. */
	assert_int_equal(rename(path, other), 0);
	dir_put(dir.path, "record.jsonl");
	assert_int_equal(sink.ops->reopen(&sink), -EISDIR);
	sink.ops->write(&sink, &r);
	flush();
}

static void test_jsonl_full(void **state)
{
	const struct record r = detail(WHO_PROCESS, &package);
	int written = 0;
	char *text;
	size_t n;

	(void) state;
	open_sink(&sink_jsonl, path_in(dir.path, "record.jsonl", path));
	limit_file_size(1000);
	for (int i = 0; i < 50; i++)
		sink.ops->write(&sink, &r);
	assert_int_equal(sink.ops->flush(&sink, true), -EFBIG);
	assert_int_equal(sink.health.error, -EFBIG);
	assert_true(sink.health.waiting > 0);
	/* Up to a limit they wait. */
	while (sink.health.lost == 0 && written < 100000) {
		sink.ops->write(&sink, &r);
		written++;
	}
	assert_in_range(written, 5000, 50000);
	limit_file_size(RLIM_INFINITY);
	flush();
	text = file_get(dir.path, "record.jsonl", &n);
	/* All but the one that was lost, and no line in two halves. */
	for (size_t at = 0, lines = 0;; lines++) {
		char *end = memchr(text + at, '\n', n - at);

		if (!end) {
			assert_int_equal(lines, 50 + written - 1);
			assert_int_equal(at, n);
			break;
		}
		assert_memory_equal(text + at, "{\"time\": ", 9);
		assert_int_equal(end[-1], '}');
		at = (size_t) (end - text) + 1;
	}
	free(text);
}

static void test_jsonl_cannot_open(void **state)
{
	(void) state;
	sink = (struct sink) { .ops = &sink_jsonl, .options = { .path = dir.path } };
	assert_int_equal(sink.ops->open(&sink, note, sizeof(note)), -EISDIR);
	assert_non_null(strstr(note, dir.path));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_readme),
		TEST(test_readme_names),
		TEST(test_readme_clock_set_back),
		TEST(test_readme_turn_over),
		TEST(test_readme_reopen),
		TEST(test_readme_repairs),
		TEST(test_readme_cannot_open),
		TEST(test_readme_health),
		TEST(test_jsonl),
		TEST(test_jsonl_continued),
		TEST(test_jsonl_reopen),
		TEST(test_jsonl_full),
		TEST(test_jsonl_cannot_open),
	};

	return cmocka_run_group_tests_name("sinks", tests, NULL, NULL);
}
