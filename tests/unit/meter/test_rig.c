// SPDX-License-Identifier: MIT
/* Which sensors are used, their domains in one row, and snapshots of them. */
#include "test.h"

#include <dirent.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "meter/rig.h"
#include "books/snapshot.h"
#include "meter/excess.h"
#include "meter/twins.h"
#include "fakeclock.h"
#include "files.h"

#define CPU KIND_BIT(KIND_CPU)
#define GPU KIND_BIT(KIND_GPU)
#define DRAM KIND_BIT(KIND_DRAM)
#define MS NS_PER_MS

static struct tmpdir dir;
static struct fakeclock clock_;
static struct host host;
static struct sensor_options sensor_options;
static struct rig *rig;
static char script_path[PATH_SIZE];

/* A package with its cores, and a GPU: 20, 15 and 100 W in microjoules. */
static const char script[] =
	"{\"domains\": ["
	"{\"name\": \"package-0\", \"kind\": \"cpu\", \"curve\": [[1, 20]], \"stamped\": true},"
	"{\"name\": \"core\", \"kind\": \"cpu\", \"curve\": [[1, 15]], \"parent\": \"package-0\"},"
	"{\"name\": \"gpu-0\", \"kind\": \"gpu\", \"curve\": [[1, 100]], \"stamped\": true}]}";

static int set_up(void **state)
{
	(void) state;
	dir = tmpdir_make();
	fakeclock_init(&clock_, 1000 * NS_PER_S, 0);
	file_put(dir.path, "script.json", script);
	file_put(dir.path, "proc/cpuinfo", "vendor_id\t: GenuineIntel\ncpu family\t: 6\n");
	sensor_options = (struct sensor_options) { .file = path_in(
							   dir.path, "script.json", script_path) };
	rig = NULL;
	return host_init(&host, dir.path, &clock_.clock);
}

static int tear_down(void **state)
{
	(void) state;
	rig_close(rig, 10 * NS_PER_S);
	host_finish(&host);
	tmpdir_remove(&dir);
	return 0;
}

static void open_rig(const char *sensors)
{
	const struct rig_options options = { .sensors = sensors, .sensor = &sensor_options };
	const char *bad_name;

	assert_true(rig_close(rig, 10 * NS_PER_S));
	assert_int_equal(rig_open(&rig, &host, &options, &bad_name), 0);
}

static const struct rig_verdict *verdict_of(const char *name)
{
	for (size_t i = 0; i < rig_n_verdicts(rig); i++)
		if (strcmp(rig_verdict(rig, i)->ops->name, name) == 0)
			return rig_verdict(rig, i);
	fail_msg("nothing is said of %s", name);
	return NULL;
}

/* ---- choosing --------------------------------------------------------------------------- */

static void test_named(void **state)
{
	const struct rig_verdict *v;

	(void) state;
	open_rig("sim");
	assert_int_equal(rig_n_domains(rig), 3);
	assert_int_equal(rig_kinds(rig), CPU | GPU);
	assert_string_equal(rig_domain(rig, 2)->name, "gpu-0");
	assert_int_equal(rig_parent(rig, 0), -1);
	assert_int_equal(rig_parent(rig, 1), 0);
	v = verdict_of("sim");
	assert_true(v->used && v->error == 0 && v->n_domains == 3);
	v = verdict_of("rapl-powercap");
	assert_false(v->used);
	assert_int_equal(v->error, -ECANCELED);
	assert_non_null(strstr(v->why.reason, "not in the list"));
}

static void test_bad_names(void **state)
{
	static const struct {
		const char *sensors;
		const char *bad;
	} cases[] = { { "sin", "sin" }, { "sim,x", "x" }, { "", NULL }, { "sim,,estimate", "," },
		{ "a-name-that-is-longer-than-any-sensor-ever-had,sim", "a-name" } };

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct rig_options options = { .sensors = cases[i].sensors,
			.sensor = &sensor_options };
		const char *bad_name = NULL;
		int r = rig_open(&rig, &host, &options, &bad_name);

		if (!cases[i].bad) {
			assert_int_equal(r, 0);
			assert_int_equal(rig_n_domains(rig), 0);
			continue;
		}
		assert_int_equal(r, -EINVAL);
		assert_non_null(bad_name);
		assert_int_equal(strncmp(bad_name, cases[i].bad, strlen(cases[i].bad)), 0);
	}
}

/* The model is for what the hardware does not tell, wherever it stands in the list. */
static void test_model_comes_last(void **state)
{
	(void) state;
	open_rig("estimate,sim");
	assert_int_equal(rig_n_domains(rig), 3);
	assert_false(verdict_of("estimate")->used);
	assert_non_null(
		strstr(verdict_of("estimate")->why.reason, "the hardware tells of the CPUs"));
	/* Only for what is missing: the CPUs are told, the memory is not. */
	file_put(dir.path, "script.json",
		"{\"domains\": [{\"name\": \"p\", \"kind\": \"cpu\", \"curve\": [[1, 100]]}]}");
	file_put(dir.path, "proc/meminfo", "MemTotal:       16384000 kB\n");
	open_rig("estimate,sim");
	assert_int_equal(rig_n_domains(rig), 2);
	assert_int_equal(rig_domain(rig, 1)->kind, KIND_DRAM);
	assert_int_equal(rig_domain(rig, 1)->quality, FLAG_ESTIMATED);
	file_remove(dir.path, "proc/meminfo");
	file_put(dir.path, "script.json",
		"{\"domains\": [{\"name\": \"gpu-0\", \"kind\": \"gpu\", \"curve\": [[1, 100]]}]}");
	open_rig("estimate,sim");
	assert_int_equal(rig_n_domains(rig), 2);
	assert_true(verdict_of("estimate")->used);
	assert_int_equal(rig_domain(rig, 1)->quality, FLAG_ESTIMATED);
	/* A sensor that fails is not replaced by the model unless that is in the list, too. */
	file_put(dir.path, "script.json", "{}");
	open_rig("sim");
	assert_int_equal(rig_n_domains(rig), 0);
	assert_int_equal(verdict_of("sim")->error, -EINVAL);
	assert_non_null(strstr(verdict_of("sim")->why.reason, "no \"domains\""));
}

/* Those of the program: a sanitizer may have one of its own. */
static unsigned count_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	const struct dirent *entry;
	unsigned n = 0;

	assert_non_null(tasks);
	while ((entry = readdir(tasks))) {
		char path[300], name[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		n += fgets(name, sizeof(name), f) && strncmp(name, "pm-", 3) == 0;
		fclose(f);
	}
	closedir(tasks);
	return n;
}

/* One that takes too long for a tick is read in a thread of its own, unless there must be none. */
static void test_slow_sensor(void **state)
{
	unsigned before = count_threads();

	(void) state;
	file_put(dir.path, "script.json",
		"{\"domains\": [{\"name\": \"p\", \"kind\": \"cpu\", \"curve\": [[1, 100]], "
		"\"faults\": [{\"at\": 0, \"what\": \"slow\", \"ms\": 3}]}]}");
	open_rig("sim");
	assert_true(verdict_of("sim")->used);
	assert_int_equal(count_threads(), before + 1);
	file_put(dir.path, "script.json",
		"{\"domains\": [{\"name\": \"p\", \"kind\": \"cpu\", \"curve\": [[1, 100]]}]}");
	open_rig("sim");
	assert_int_equal(count_threads(), before);
}

/* Without a list all that fit are tried: here there is no hardware, so it is the model. What is
 * simulated must be named. */
static void test_without_list(void **state)
{
	(void) state;
	open_rig(NULL);
	assert_true(rig_kinds(rig) & CPU);
	assert_true(verdict_of("estimate")->used);
	assert_false(verdict_of("sim")->used);
	assert_non_null(strstr(verdict_of("sim")->why.reason, "only when it is named"));
	assert_true(verdict_of("rapl-powercap")->error < 0);
}

/* SENSOR.DOMAIN of all that count for a kind, with blanks between. */
static void expect_counted(enum kind kind, const char *expected)
{
	char found[512] = "";

	for (size_t i = 0; i < rig_n_domains(rig); i++) {
		const struct domain *d = rig_domain(rig, i);
		size_t n = strlen(found);

		if (d->kind == kind && d->counted)
			snprintf(found + n, sizeof(found) - n, "%s%s.%s", n ? " " : "", d->sensor,
				d->name);
	}
	assert_string_equal(found, expected);
	assert_int_equal(rig_kinds(rig) & KIND_BIT(kind), *expected ? KIND_BIT(kind) : 0);
}

static void put_line(const char *path, const char *text)
{
	char line[64];

	snprintf(line, sizeof(line), "%s\n", text);
	file_put(dir.path, path, line);
}

/* Two sensors tell of the same package, 100 and n: that is said where they differ by more than a
 * twentieth. */
static void check_twins(void)
{
	uint64_t figures[RIG_MAX_DOMAINS];
	struct twins twins[8];

	for (uint64_t n = 90; n <= 110; n++) {
		bool differ = n < 95 || n > 105;

		for (size_t i = 0; i < rig_n_domains(rig); i++) {
			const struct domain *d = rig_domain(rig, i);

			figures[i] = d->kind != KIND_CPU ? TWINS_UNKNOWN : d->twin ? n * 10 : 1000;
		}
		assert_int_equal(
			twins_find(rig_domains(rig), rig_n_domains(rig), figures, twins, 8),
			differ ? 1 : 0);
		if (differ) {
			assert_string_equal(twins[0].counted, "rapl-powercap");
			assert_string_equal(twins[0].other, "hwmon");
			assert_int_equal(twins[0].other_figure, n * 10);
		}
	}
	for (size_t i = 0; i < rig_n_domains(rig); i++)
		if (rig_domain(rig, i)->twin)
			figures[i] = TWINS_UNKNOWN;
	assert_int_equal(twins_find(rig_domains(rig), rig_n_domains(rig), figures, twins, 8), 0);
}

static size_t index_of(const char *name)
{
	size_t i = 0;

	while (i < rig_n_domains(rig) && strcmp(rig_domain(rig, i)->name, name) != 0)
		i++;
	assert_true(i < rig_n_domains(rig));
	return i;
}

/* Parts that tell more than a twentieth more than what contains them are found; parts of parts are
 * not added to those, and what belongs to nothing is no part. */
static void test_parts(void **state)
{
	uint64_t figures[RIG_MAX_DOMAINS];
	struct excess excess[4];
	size_t psys, package, core;

	(void) state;
	put_line("sys/class/powercap/intel-rapl:0/name", "package-0");
	put_line("sys/class/powercap/intel-rapl:0/energy_uj", "5");
	put_line("sys/class/powercap/intel-rapl:0:0/name", "core");
	put_line("sys/class/powercap/intel-rapl:0:0/energy_uj", "5");
	put_line("sys/class/powercap/intel-rapl:1/name", "psys");
	put_line("sys/class/powercap/intel-rapl:1/energy_uj", "5");
	put_line("sys/class/hwmon/hwmon2/name", "foo");
	put_line("sys/class/hwmon/hwmon2/power1_input", "5000000");
	open_rig("rapl-powercap,hwmon");
	psys = index_of("psys");
	package = index_of("package-0");
	core = index_of("package-0-core");
	for (size_t i = 0; i < rig_n_domains(rig); i++)
		figures[i] = 1000000;
	figures[psys] = 1000;
	figures[package] = 900;
	figures[core] = 800;
	assert_int_equal(excess_find(rig, figures, excess, 4), 0);
	figures[package] = 1050;
	assert_int_equal(excess_find(rig, figures, excess, 4), 0);
	figures[package] = 1051;
	assert_int_equal(excess_find(rig, figures, excess, 4), 1);
	assert_int_equal(excess[0].whole, psys);
	assert_int_equal(excess[0].whole_figure, 1000);
	assert_int_equal(excess[0].parts_figure, 1051);
	figures[core] = 1200;
	assert_int_equal(excess_find(rig, figures, excess, 4), 2);
	assert_int_equal(excess_find(rig, figures, excess, 1), 1);
	/* Without the package its core is what is known of psys. */
	figures[package] = EXCESS_UNKNOWN;
	assert_int_equal(excess_find(rig, figures, excess, 4), 1);
	assert_int_equal(excess[0].parts_figure, 1200);
	figures[psys] = EXCESS_UNKNOWN;
	assert_int_equal(excess_find(rig, figures, excess, 4), 0);
}

/* The machine's sum has what counts, is known and is in nothing else that is known. */
static void test_outermost(void **state)
{
	bool known[RIG_MAX_DOMAINS] = { false };
	size_t psys, package, core;

	(void) state;
	put_line("sys/class/powercap/intel-rapl:0/name", "package-0");
	put_line("sys/class/powercap/intel-rapl:0/energy_uj", "5");
	put_line("sys/class/powercap/intel-rapl:0:0/name", "core");
	put_line("sys/class/powercap/intel-rapl:0:0/energy_uj", "5");
	put_line("sys/class/powercap/intel-rapl:1/name", "psys");
	put_line("sys/class/powercap/intel-rapl:1/energy_uj", "5");
	open_rig("rapl-powercap");
	psys = index_of("psys");
	package = index_of("package-0");
	core = index_of("package-0-core");
	assert_false(rig_is_outermost(rig, known, psys));
	known[package] = known[core] = true;
	assert_true(rig_is_outermost(rig, known, package));
	assert_false(rig_is_outermost(rig, known, core));
	known[psys] = true;
	assert_true(rig_is_outermost(rig, known, psys));
	assert_false(rig_is_outermost(rig, known, package));
	/* What does not count is no term, also where it is all that is known. */
	known[psys] = known[package] = false;
	assert_false(rig_domain(rig, core)->counted);
	assert_false(rig_is_outermost(rig, known, core));
}

/* What two sensors tell of the machine's one CPU, memory or whole counts once, for the first. */
static void test_counted_once(void **state)
{
	(void) state;
	put_line("sys/class/powercap/intel-rapl:0/name", "package-0");
	put_line("sys/class/powercap/intel-rapl:0/energy_uj", "5");
	put_line("sys/class/powercap/intel-rapl:1/name", "psys");
	put_line("sys/class/powercap/intel-rapl:1/energy_uj", "5");
	put_line("sys/class/hwmon/hwmon0/name", "amdgpu"); /* an APU's: its socket */
	put_line("sys/class/hwmon/hwmon0/in1_label", "vddnb");
	put_line("sys/class/hwmon/hwmon0/power1_input", "15000000");
	put_line("sys/class/hwmon/hwmon1/name", "i915");
	put_line("sys/class/hwmon/hwmon1/energy1_input", "5");
	put_line("sys/class/hwmon/hwmon2/name", "foo");
	put_line("sys/class/hwmon/hwmon2/power1_input", "5000000");
	put_line("sys/class/power_supply/BAT0/type", "Battery");
	put_line("sys/class/power_supply/BAT0/status", "Discharging");
	put_line("sys/class/power_supply/BAT0/power_now", "9000000");
	open_rig("rapl-powercap,hwmon,battery");
	expect_counted(KIND_CPU, "rapl-powercap.package-0");
	expect_counted(KIND_PLATFORM, "rapl-powercap.psys");
	expect_counted(KIND_GPU, "hwmon.i915");
	expect_counted(KIND_DRAM, "");
	check_twins();
	/* The user's order is the order. */
	open_rig("battery,hwmon,rapl-powercap");
	expect_counted(KIND_CPU, "hwmon.amdgpu");
	expect_counted(KIND_PLATFORM, "battery.battery");
	open_rig("hwmon");
	expect_counted(KIND_CPU, "hwmon.amdgpu");
	expect_counted(KIND_PLATFORM, "");
	/* Two simulated ones are as many as their scripts say. */
	open_rig("sim,sim-polled");
	expect_counted(KIND_CPU, "sim.package-0 sim-polled.package-0");
}

/* What does not count is read all the same: it is there to be looked at. */
static void test_uncounted_is_read(void **state)
{
	struct reading readings[4];

	(void) state;
	put_line("sys/class/hwmon/hwmon2/name", "foo");
	put_line("sys/class/hwmon/hwmon2/power1_input", "5000000");
	open_rig("hwmon");
	assert_int_equal(rig_n_domains(rig), 1);
	rig_want(rig, KIND_ALL);
	for (int i = 0; i < 10000; i++) {
		rig_read(rig, KIND_ALL, readings);
		if (readings[0].error != -EAGAIN)
			break;
		usleep(1000);
	}
	assert_int_equal(readings[0].error, 0);
	assert_int_equal(readings[0].power_mw, 5000);
}

/* The same name twice is one sensor, and parents are counted within their own. */
static void test_two_sensors(void **state)
{
	(void) state;
	open_rig("sim,sim-polled,sim");
	assert_int_equal(rig_n_domains(rig), 6);
	assert_int_equal(rig_parent(rig, 1), 0);
	assert_int_equal(rig_parent(rig, 4), 3);
	assert_string_equal(rig_domain(rig, 4)->sensor, "sim-polled");
	assert_true(rig_close(rig, 10 * NS_PER_S));
	rig = NULL;
	assert_true(rig_close(NULL, 0));
}

/* ---- reading ---------------------------------------------------------------------------- */

static void test_reading(void **state)
{
	struct reading r[3];

	(void) state;
	open_rig("sim");
	rig_want(rig, CPU);
	rig_read(rig, CPU, r);
	assert_int_equal(r[0].error, 0);
	assert_int_equal(r[0].energy_uj, 0);
	assert_int_equal(r[2].error, -EAGAIN);
	fakeclock_advance(&clock_, 500 * MS);
	rig_read(rig, CPU, r);
	assert_int_equal(r[0].energy_uj, 10000000);
	assert_int_equal(r[1].energy_uj, 7500000);
	/* A further kind: counting begins anew for it alone. */
	rig_want(rig, CPU | GPU);
	rig_read(rig, CPU | GPU, r);
	assert_int_equal(r[0].energy_uj, 10000000);
	assert_int_equal(r[2].energy_uj, 0);
	fakeclock_advance(&clock_, 500 * MS);
	rig_read(rig, GPU, r);
	assert_int_equal(r[0].error, -EAGAIN);
	assert_int_equal(r[2].energy_uj, 50000000);
	/* Not read for a while, but wanted: nothing is lost. */
	rig_read(rig, CPU, r);
	assert_int_equal(r[0].energy_uj, 20000000);
	rig_want(rig, GPU);
	fakeclock_advance(&clock_, 500 * MS);
	rig_want(rig, CPU | GPU);
	rig_read(rig, CPU | GPU, r);
	assert_int_equal(r[0].energy_uj, 0);
	assert_int_equal(r[2].energy_uj, 100000000);
}

/* ---- snapshots -------------------------------------------------------------------------- */

static _Alignas(16) char block[4096];

static struct snapshot *take(struct series *s, uint32_t kinds, struct target *const *targets,
	size_t n_targets, unsigned flags)
{
	struct snapshot *snapshot = (struct snapshot *) (void *) block;

	memset(block, 0xee, sizeof(block));
	assert_true(snapshot_size(rig_n_domains(rig), n_targets) <= sizeof(block));
	snapshot_take(s, kinds, targets, n_targets, flags, snapshot);
	assert_int_equal(snapshot->size, snapshot_size(rig_n_domains(rig), n_targets));
	return snapshot;
}

static void test_series(void **state)
{
	const struct snapshot *s;
	struct target target, *targets[] = { &target };
	struct series series;
	uint32_t n_cpu;

	(void) state;
	open_rig("sim");
	assert_int_equal(target_open_process(&target, getpid()), 0);
	target.slot = 7;
	series_init(&series, &host, rig);
	series_want(&series, CPU);
	s = take(&series, CPU, targets, 1, SNAPSHOT_EDGE);
	n_cpu = host.usage.n_cpu;
	assert_int_equal(s->flags, SNAPSHOT_FIRST | SNAPSHOT_EDGE);
	assert_int_equal(s->t_ns, 1000 * NS_PER_S);
	assert_int_equal(s->capacity_ns, 0);
	assert_int_equal(s->idle_t_ns, 1000 * NS_PER_S);
	assert_int_equal(s->idle_ns, host.usage.idle_ns);
	assert_int_equal(s->kinds, CPU);
	assert_int_equal(s->restarted, CPU);
	assert_int_equal(s->n_domains, 3);
	assert_int_equal(s->n_targets, 1);
	assert_int_equal(snapshot_usages(s)[0].slot, 7);
	assert_true(snapshot_usages(s)[0].cpu_ns > 0);
	assert_int_equal(snapshot_readings(s)[0].error, 0);
	assert_int_equal(snapshot_readings(s)[2].error, -EAGAIN);
	fakeclock_advance(&clock_, 500 * MS);
	s = take(&series, CPU, NULL, 0, 0);
	assert_int_equal(s->flags, 0);
	assert_int_equal(s->capacity_ns, 500 * MS * n_cpu);
	assert_int_equal(s->restarted, 0);
	assert_int_equal(s->n_targets, 0);
	assert_int_equal(snapshot_readings(s)[0].energy_uj, 10000000);
	/* The GPU joins: told once. */
	series_want(&series, CPU | GPU);
	fakeclock_advance(&clock_, 100 * MS);
	s = take(&series, GPU, NULL, 0, 0);
	assert_int_equal(s->kinds, GPU);
	assert_int_equal(s->restarted, GPU);
	assert_int_equal(s->capacity_ns, 600 * MS * n_cpu);
	s = take(&series, CPU | GPU, NULL, 0, 0);
	assert_int_equal(s->restarted, 0);
	/* Nobody wants anything: the next snapshot begins a new series. */
	series_want(&series, 0);
	fakeclock_advance(&clock_, 100 * NS_PER_S);
	series_want(&series, CPU);
	s = take(&series, CPU, NULL, 0, 0);
	assert_int_equal(s->flags, SNAPSHOT_FIRST);
	assert_int_equal(s->restarted, CPU);
	assert_int_equal(s->capacity_ns, 0);
	assert_int_equal(snapshot_readings(s)[0].energy_uj, 0);
	target_close(&target);
}

/* The machine's usage is dear: it is not read at each tick, but at each edge. */
static void test_usage_is_read_rarely(void **state)
{
	struct series series;
	uint64_t first_ns = 1000 * NS_PER_S;

	(void) state;
	open_rig("sim");
	series_init(&series, &host, rig);
	series_want(&series, CPU);
	take(&series, CPU, NULL, 0, 0);
	assert_int_equal(host.usage.t_ns, first_ns);
	fakeclock_advance(&clock_, MS);
	assert_int_equal(take(&series, CPU, NULL, 0, 0)->idle_t_ns, first_ns);
	fakeclock_advance(&clock_, MS);
	assert_int_equal(take(&series, CPU, NULL, 0, SNAPSHOT_EDGE)->idle_t_ns, first_ns + 2 * MS);
	fakeclock_advance(&clock_, 10 * NS_PER_S);
	assert_int_equal(
		take(&series, CPU, NULL, 0, 0)->idle_t_ns, first_ns + 2 * MS + 10 * NS_PER_S);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_named),
		TEST(test_bad_names),
		TEST(test_model_comes_last),
		TEST(test_slow_sensor),
		TEST(test_without_list),
		TEST(test_parts),
		TEST(test_outermost),
		TEST(test_counted_once),
		TEST(test_uncounted_is_read),
		TEST(test_two_sensors),
		TEST(test_reading),
		TEST(test_series),
		TEST(test_usage_is_read_rarely),
	};

	return cmocka_run_group_tests_name("rig", tests, NULL, NULL);
}
