// SPDX-License-Identifier: MIT
/* What camera-traps 0.4 and later reads: cpu.json and its like, metadata, summary, and the CSV. */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "files.h"
#include "jsoncheck.h"
#include "sinks/sink.h"
#include "machine/clock.h"
#include "util/cleanup.h"

#define S INT64_C(1000000000)
#define T0 (1692942659 * S) /* 2023-08-25 05:50:59 UTC */

static struct tmpdir dir;
static struct sink sink;
static char note[SINK_WHY_MAX];
static uint64_t start_ticks; /* of the processes whose sessions are written */
static uint64_t n_sessions;
static bool own_gpu;

static int set_up(void **state)
{
	(void) state;
	setenv("TZ", "UTC0", 1);
	tzset();
	dir = tmpdir_make();
	memset(&sink, 0, sizeof(sink));
	start_ticks = 1;
	n_sessions = 0;
	own_gpu = false;
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

static void open_sink(const struct sink_ops *ops)
{
	sink = (struct sink) { .ops = ops,
		.options = { .path = dir.path,
			.own_gpu = own_gpu,
			.sources = { [KIND_CPU] = { .text = "rapl-perf" },
				[KIND_GPU] = { .text = "nvml" } } } };
	if (ops->open(&sink, note, sizeof(note)) != 0)
		fail_msg("%s", note);
}

static void close_sink(void)
{
	sink.ops->close(&sink);
	sink.ops = NULL;
}

static void flush(void)
{
	assert_int_equal(sink.ops->flush(&sink, false), 0);
}

static void write_line(int64_t wall_ns, enum kind kind, int pid, uint64_t power_uw)
{
	const struct record r = { .type = RECORD_LINE,
		.who = pid ? WHO_PROCESS : WHO_DEVICE,
		.wall_ns = wall_ns,
		.kind = kind,
		.pid = pid,
		.name = "x",
		.power_uw = power_uw };

	sink.ops->write(&sink, &r);
}

static void write_session(enum record_type type, uint32_t id, int pid, uint32_t kinds,
	const struct session_total *totals)
{
	struct session_report report = { .session_id = id,
		.pid = pid,
		.start_ticks = start_ticks,
		.name = "worker",
		.kinds = kinds,
		.start_wall_ns = T0,
		.end_wall_ns = type == RECORD_END ? T0 + 10 * S : 0,
		.measured_ns = type == RECORD_END ? 10 * (uint64_t) S : 0,
		.ending = ENDING_TIME_UP,
		.create_ts = "" };
	const struct record r = { .type = type,
		.who = WHO_PROCESS,
		.t_ns = 10 * (uint64_t) S * ++n_sessions,
		.pid = pid,
		.name = "worker",
		.session = &report };

	if (totals)
		memcpy(report.totals, totals, sizeof(report.totals));
	sink.ops->write(&sink, &r);
}

static char *get(const char *name)
{
	size_t n;
	char *text = file_get(dir.path, name, &n);

	if (!text)
		fail_msg("there is no %s", name);
	if (json_wrong(text, n))
		fail_msg("%s: %s: %s", name, json_wrong(text, n), text);
	return text;
}

static void expect_file(const char *name, const char *expected)
{
	char *text = get(name);

	assert_string_equal(text, expected);
	free(text);
}

/* ---- cpu.json, gpu.json, dram.json ------------------------------------------------------ */

#define CPU KIND_BIT(KIND_CPU)
#define GPU KIND_BIT(KIND_GPU)

static void test_logs(void **state)
{
	(void) state;
	open_sink(&sink_camera_traps);
	expect_file("cpu.json", "[]\n");
	expect_file("gpu.json", "[]\n");
	assert_false(file_exists(dir.path, "dram.json"));
	write_session(RECORD_BEGIN, 1, 11, CPU | GPU, NULL);
	write_session(RECORD_BEGIN, 1, 12, CPU, NULL);
	write_session(RECORD_BEGIN, 2, 11, GPU, NULL); /* once more: in the log once */
	write_session(RECORD_BEGIN, 3, 13, GPU, NULL);
	/* One element a tick; the device's power for each process that it is measured for. */
	for (int tick = 1; tick <= 2; tick++) {
		write_line(T0 + tick * S, KIND_CPU, 11, 1500000);
		write_line(T0 + tick * S, KIND_CPU, 12, 2500000);
		write_line(T0 + tick * S, KIND_GPU, 0, 48570000);
	}
	flush();
	expect_file("cpu.json",
		"[{\"2023-08-25 05:51:00\": [[1.500000, \"11\"], [2.500000, \"12\"]]},\n"
		"{\"2023-08-25 05:51:01\": [[1.500000, \"11\"], [2.500000, \"12\"]]}]\n");
	expect_file("gpu.json",
		"[{\"2023-08-25 05:51:00\": [[48.570000, \"11\"], [48.570000, \"13\"]]},\n"
		"{\"2023-08-25 05:51:01\": [[48.570000, \"11\"], [48.570000, \"13\"]]}]\n");
	/* One of the two sessions of pid 11 ends, the other goes on; pid 13 ends. */
	write_session(RECORD_END, 1, 11, CPU | GPU, NULL);
	write_session(RECORD_END, 3, 13, GPU, NULL);
	write_session(RECORD_END, 9, 99, GPU, NULL); /* never heard of */
	write_line(T0 + 3 * S, KIND_GPU, 0, 1000000);
	write_session(RECORD_END, 2, 11, GPU, NULL);
	write_line(T0 + 4 * S, KIND_GPU, 0, 1000000); /* for nobody */
	write_line(T0 + 4 * S, KIND_DRAM, 0, 1000000);
	write_line(T0 + 4 * S, KIND_PLATFORM, 0, 1000000);
	assert_int_equal(sink.ops->flush(&sink, true), 0);
	expect_file("gpu.json",
		"[{\"2023-08-25 05:51:00\": [[48.570000, \"11\"], [48.570000, \"13\"]]},\n"
		"{\"2023-08-25 05:51:01\": [[48.570000, \"11\"], [48.570000, \"13\"]]},\n"
		"{\"2023-08-25 05:51:02\": [[1.000000, \"11\"]]}]\n");
	assert_int_equal(sink.health.lost + sink.health.waiting, 0);
	close_sink();
	/* Continued by the next run. */
	open_sink(&sink_camera_traps);
	write_line(T0 + 9 * S, KIND_CPU, 12, 1);
	flush();
	expect_file("cpu.json",
		"[{\"2023-08-25 05:51:00\": [[1.500000, \"11\"], [2.500000, \"12\"]]},\n"
		"{\"2023-08-25 05:51:01\": [[1.500000, \"11\"], [2.500000, \"12\"]]},\n"
		"{\"2023-08-25 05:51:08\": [[0.000001, \"12\"]]}]\n");
}

/* ---- metadata and summary --------------------------------------------------------------- */

static const char *metadata_name(void)
{
	static char name[256];
	DIR *d = opendir(dir.path);
	const struct dirent *e;

	assert_non_null(d);
	name[0] = '\0';
	while ((e = readdir(d)))
		if (strncmp(e->d_name, "metadata_", 9) == 0)
			snprintf(name, sizeof(name), "%s", e->d_name);
	closedir(d);
	assert_true(name[0] != '\0');
	return name;
}

static void expect_in(const char *name, const char *const *parts, size_t n)
{
	char *text = get(name);

	for (size_t i = 0; i < n; i++)
		if (!strstr(text, parts[i]))
			fail_msg("no %s in %s", parts[i], text);
	free(text);
}

#define EXPECT_IN(name, ...)                                                 \
	do {                                                                 \
		static const char *const parts_[] = { __VA_ARGS__ };         \
		expect_in(name, parts_, sizeof(parts_) / sizeof(parts_[0])); \
	} while (0)

#define EVERY_RECORD (1u << RECORD_LINE | 1u << RECORD_BEGIN | 1u << RECORD_END)

/* A process whose command line is like that of the plugin of this name. */
static pid_t start_plugin(const char *program)
{
	int ready[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("sleep", program, "600", (char *) NULL);
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 0); /* closed when the other program has begun */
	close(ready[0]);
	return pid;
}

static void end_plugin(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static const struct session_total measured[KIND_COUNT] = {
	[KIND_CPU] = { true, true, { 50000000, 40000000, 60000000, 0 }, FLAG_MEASURED, false,
		{ 0 } },
	[KIND_GPU] = { true, true, { 1500000000, 0, 0, 0 }, FLAG_INTEGRATED, true,
		{ 300000000, 200000000, 400000000, 0 } },
};
static const struct session_total nothing[KIND_COUNT] = {
	[KIND_CPU] = { true, true, { 0, 0, 0, 0 }, FLAG_ESTIMATED, false, { 0 } },
};

static void test_reports(void **state)
{
	pid_t pid = start_plugin("/opt/image_scoring_plugin.py"),
	      other = child_start(child_sleep, NULL);
	char text[128];

	(void) state;
	file_put(dir.path, "power_summary_report.json", "of an earlier run");
	open_sink(&sink_camera_traps_report);
	assert_false(file_exists(dir.path, "power_summary_report.json"));
	assert_int_equal(sink.types, EVERY_RECORD);
	EXPECT_IN(metadata_name(), "\"plugins\": []", "\"start_time\": \"20",
		"\"last_update_time\": \"20", "\"device_type\": \"cpu\"",
		"\"tool_name\": \"scaphandre\"", "\"tool_name\": \"nvidia-smi\"",
		"\"tool_params\": \"powermeasure: rapl-perf\"", "\"power_units\": \"watts\"",
		"/cpu.json\"");
	write_session(RECORD_BEGIN, 1, pid, CPU | GPU, NULL);
	write_session(RECORD_BEGIN, 2, getpid(), CPU, NULL);
	write_session(RECORD_BEGIN, 9, other, CPU, NULL);
	flush();
	snprintf(text, sizeof(text),
		"{\"plugins\": [{\"name\": \"image_scoring_plugin\", \"pids\": [%d], ", (int) pid);
	expect_in(metadata_name(), (const char *const[]) { text }, 1);
	EXPECT_IN(metadata_name(), "\"devices_measured\": [\"cpu\", \"gpu\"]",
		"\"command_line\": \"/opt/image_scoring_plugin.py 600\"",
		"{\"name\": \"power_monitor_plugin\"", "\"devices_measured\": [\"cpu\"]",
		"test_sinks_camera");
	/* Whatever the readers do not know by name stands apart. */
	snprintf(text, sizeof(text),
		"\"other_processes\": [{\"name\": \"worker\", \"pids\": [%d], ", (int) other);
	expect_in(metadata_name(), (const char *const[]) { text }, 1);
	/* A process that has gone still counts. */
	end_plugin(pid);
	child_end(other);
	write_session(RECORD_END, 1, pid, CPU | GPU, measured);
	write_session(RECORD_BEGIN, 3, pid, CPU | GPU, NULL);
	write_session(RECORD_END, 3, pid, CPU | GPU, measured);
	write_session(RECORD_END, 2, getpid(), CPU, nothing);
	write_session(RECORD_END, 9, other, CPU, measured);
	write_session(RECORD_BEGIN, 4, 0x7ffffff0, GPU, NULL);
	close_sink();
	/* Means over the measured time; never 0 for a CPU that was measured, and never null. */
	EXPECT_IN("power_summary_report.json",
		"{\"plugin power summary report\": [{\"plugin\": \"image_scoring_plugin\", "
		"\"cpu_power_consumption\": 5.000000, \"gpu_power_consumption\": 150.000000, ",
		"\"cpu_quality\": \"measured\", \"cpu_seconds\": 20.000000, "
		"\"cpu_energy_joules\": 100.000000, \"cpu_energy_low_joules\": 80.000000, "
		"\"cpu_energy_high_joules\": 120.000000",
		"\"gpu_quality\": \"integrated\", \"gpu_seconds\": 20.000000",
		"\"gpu_own_power_consumption\": 30.000000, \"gpu_own_energy_joules\": 600.000000, "
		"\"gpu_own_energy_low_joules\": 400.000000",
		"{\"plugin\": \"power_monitor_plugin\", \"cpu_power_consumption\": 0.000001, "
		"\"gpu_power_consumption\": 0.000000, \"cpu_quality\": \"estimated\"",
		"], \"pid power summary report\": [{\"pid\": ",
		"\"start_time\": \"2023-08-25 05:50:59\", \"end_time\": \"2023-08-25 05:51:09\"",
		"\"pid\": 2147483632, \"plugin_name\": \"worker\"", "\"gpu_quality\": \"none\"",
		"\"other power summary report\": [{\"plugin\": \"worker\"",
		"\"gpu_power_consumption_is\": \"of the device\"", "\"schema_version\": 1");
	assert_true(file_exists(dir.path, metadata_name()));
}

static void test_the_part_of_the_process(void **state)
{
	pid_t pid = start_plugin("image_generating_plugin.py");

	(void) state;
	own_gpu = true;
	open_sink(&sink_camera_traps_report);
	write_session(RECORD_BEGIN, 1, pid, CPU | GPU, NULL);
	write_session(RECORD_END, 1, pid, CPU | GPU, measured);
	close_sink();
	end_plugin(pid);
	EXPECT_IN("power_summary_report.json",
		"\"plugin\": \"image_generating_plugin\", \"cpu_power_consumption\": 5.000000, "
		"\"gpu_power_consumption\": 30.000000",
		"\"gpu_energy_joules\": 1500.000000",
		"\"gpu_power_consumption_is\": \"of the process\"");
}

/* Set for a copy of this program that is only to be there. */
#define SLEEPS "PM_TEST_SLEEPS"

/* A process with these arguments. */
static pid_t start_with(const char *const *arguments)
{
	int ready[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setenv(SLEEPS, "1", 1);
		execv("/proc/self/exe", (char *const *) arguments);
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 0); /* closed when the other program has begun */
	close(ready[0]);
	return pid;
}

/* A plugin is told by the file whose program runs, not by what else the command line names. */
static void test_names(void **state)
{
	static const struct {
		const char *arguments[6];
		const char *plugin; /* NULL: of none that the readers know */
	} cases[] = {
		{ { "python", "-u", "/image_generating_plugin.py" }, "image_generating_plugin" },
		{ { "/usr/bin/python3.8", "image_generating_plugin.py", "x" },
			"image_generating_plugin" },
		{ { "python3", "-X", "dev", "-W", "ignore", "image_scoring_plugin.py" },
			"image_scoring_plugin" },
		{ { "python3", "/x/image_scoring_plugin_server.py" }, "image_scoring_plugin" },
		{ { "/opt/image_scoring_plugin" }, "image_scoring_plugin" },
		{ { "python", "oracle_plugin.py", "--of", "image_scoring_plugin.py" },
			"oracle_plugin" },
		{ { "python", "power_measuring_plugin.py" }, "power_monitor_plugin" },
		{ { "/engine" }, "engine" }, { { "sh", "/image_generating_plugin.sh" }, NULL },
		{ { "vi", "image_generating_plugin.py" }, NULL },
		{ { "tail", "-f", "/logs/image_scoring_plugin/log" }, NULL },
		{ { "python3", "-c", "image_generating_plugin.py" }, NULL },
		{ { "python3", "my_image_generating_plugin.py" }, NULL },
		{ { "python3", "/image_generating_plugin.py/main.py" }, NULL },
		{ { "python3" }, NULL },
		{ { "image_detecting_plugin.py" }, NULL }, /* not in the readers' schema */
	};
	char text[128];

	(void) state;
	if (is_emulated()) /* then a command line begins with the emulator */
		skip();
	open_sink(&sink_camera_traps_report);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		pid_t pid = start_with(cases[i].arguments);
		char *metadata, *at, *others;

		write_session(RECORD_BEGIN, (uint32_t) i, pid, CPU, NULL);
		flush();
		metadata = get(metadata_name());
		others = strstr(metadata, "\"other_processes\"");
		snprintf(text, sizeof(text), "%d]", (int) pid); /* the last of a list */
		at = strstr(metadata, text);
		assert_true(others && at);
		if ((at < others) != (cases[i].plugin != NULL))
			fail_msg("case %zu (%s): %s", i, cases[i].arguments[0], metadata);
		free(metadata);
		if (cases[i].plugin) {
			snprintf(text, sizeof(text), "{\"name\": \"%s\"", cases[i].plugin);
			expect_in(metadata_name(), (const char *const[]) { text }, 1);
		}
		end_plugin(pid);
	}
}

/* A pid that was given again is another process; in a list of pids it stands once. */
static void test_a_pid_that_is_given_again(void **state)
{
	const struct session_total cpu_only[KIND_COUNT] = { [KIND_CPU] = measured[KIND_CPU] };
	pid_t pid = getpid();
	char text[128];

	(void) state;
	open_sink(&sink_camera_traps_report);
	write_session(RECORD_BEGIN, 1, pid, CPU, NULL);
	write_session(RECORD_END, 1, pid, CPU, cpu_only);
	start_ticks = 2;
	write_session(RECORD_BEGIN, 2, pid, CPU, NULL);
	write_session(RECORD_END, 2, pid, CPU, nothing);
	close_sink();
	snprintf(text, sizeof(text), "\"pids\": [%d],", (int) pid);
	expect_in(metadata_name(), (const char *const[]) { text }, 1);
	EXPECT_IN("power_summary_report.json",
		"\"cpu_power_consumption\": 5.000000, \"gpu_power_consumption\": 0.000000, "
		"\"cpu_quality\": \"measured\", \"cpu_seconds\": 10.000000",
		"\"cpu_power_consumption\": 0.000001, \"gpu_power_consumption\": 0.000000, "
		"\"cpu_quality\": \"estimated\", \"cpu_seconds\": 10.000000",
		"\"plugin\": \"power_monitor_plugin\", \"cpu_power_consumption\": 2.500000");
}

/* A metadata file that cannot be written must not cost the summary. */
static void test_the_summary_comes_whatever_else_fails(void **state)
{
	char blocked[300];

	(void) state;
	open_sink(&sink_camera_traps_report);
	snprintf(blocked, sizeof(blocked), ".%s.new/x", metadata_name());
	file_put(dir.path, blocked, "in the way");
	close_sink();
	EXPECT_IN("power_summary_report.json", "\"plugin power summary report\": []");
	assert_true(sink.health.error < 0);
}

static void test_reports_cannot_begin(void **state)
{
	(void) state;
	file_put(dir.path, "power_summary_report.json/x", "a directory, and not an empty one");
	sink = (struct sink) { .ops = &sink_camera_traps_report, .options = { .path = dir.path } };
	assert_true(sink.ops->open(&sink, note, sizeof(note)) < 0);
	assert_non_null(strstr(note, "power_summary_report.json"));
}

/* ---- system_measurements.csv ------------------------------------------------------------ */

static size_t count_rows(char **ret_last)
{
	char *text = file_get(dir.path, "system_measurements.csv", NULL), *line, *rest;
	size_t n = 0;

	assert_non_null(text);
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		int fields = 1;

		/* Eight fields, every one of them quoted. */
		assert_int_equal(line[0], '"');
		assert_int_equal(line[strlen(line) - 1], '"');
		for (const char *at = line; (at = strstr(at, "\",\"")); at++)
			fields++;
		assert_int_equal(fields, 8);
		if (n == 0)
			assert_string_equal(line,
				"\"readable_time\",\"cpu_percent\",\"mem_total\",\"mem_avail\","
				"\"mem_percent_used\",\"disk_total\",\"disk_free\",\"disk_percent\"");
		free(*ret_last);
		*ret_last = strdup(line);
		n++;
	}
	free(text);
	return n;
}

static void expect_in_csv(const char *expected)
{
	char *text = file_get(dir.path, "system_measurements.csv", NULL);

	assert_non_null(strstr(text, expected));
	free(text);
}

static void test_csv(void **state)
{
	char *last = NULL;
	double cpu, used;
	unsigned long long total, available;

	(void) state;
	open_sink(&sink_system_csv);
	assert_int_equal(sink.wake_every_ns, NS_PER_S);
	flush();
	flush(); /* too soon for another row */
	assert_int_equal(count_rows(&last), 2);
	close_sink();
	open_sink(&sink_system_csv); /* continued: one head only */
	flush();
	assert_int_equal(count_rows(&last), 3);
	assert_int_equal(sscanf(strchr(last, ','), ",\"%lf\",\"%llu\",\"%llu\",\"%lf\"", &cpu,
				 &total, &available, &used),
		4);
	assert_true(cpu >= 0 && cpu <= 100);
	assert_true(available > 0 && available <= total);
	assert_true(used >= 0 && used <= 100);
	assert_int_equal(sink.ops->reopen(&sink), 0);
	close_sink();
	/* A row that a power cut tore is ended. */
	file_put(dir.path, "system_measurements.csv", "\"readable_time\"\n\"2023-08-25 05:5");
	open_sink(&sink_system_csv);
	flush();
	expect_in_csv("\"2023-08-25 05:5\n\"20");
	free(last);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_logs),
		TEST(test_reports),
		TEST(test_the_part_of_the_process),
		TEST(test_names),
		TEST(test_a_pid_that_is_given_again),
		TEST(test_the_summary_comes_whatever_else_fails),
		TEST(test_reports_cannot_begin),
		TEST(test_csv),
	};

	if (getenv(SLEEPS))
		pause();
	return cmocka_run_group_tests_name("sinks_camera", tests, NULL, NULL);
}
