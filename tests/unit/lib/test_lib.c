// SPDX-License-Identifier: MIT
/* The library: windows over simulated hardware, whose energy is known exactly. */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "fakeclock.h"
#include "files.h"
#include "lib/handle.h"
#include "wait.h"

#define MS NS_PER_MS

static struct tmpdir dir;
static struct fakeclock clock_;
static struct pm *pm;
static char sensors[PATH_SIZE + 8];

/* A board of 50 W that contains a package of 20 W, which contains its cores; memory of 5 W apart,
 * and a GPU of 100 W. Counts are microjoules, and their times are told: everything is exact. */
static const char script[] =
	"{\"domains\": ["
	"{\"name\": \"psys\", \"kind\": \"platform\", \"curve\": [[1, 50]], \"stamped\": true},"
	"{\"name\": \"package-0\", \"kind\": \"cpu\", \"curve\": [[1, 20]], \"stamped\": true,"
	" \"parent\": \"psys\"},"
	"{\"name\": \"core\", \"kind\": \"cpu\", \"curve\": [[1, 15]], \"stamped\": true,"
	" \"parent\": \"package-0\"},"
	"{\"name\": \"dram\", \"kind\": \"dram\", \"curve\": [[1, 5]], \"stamped\": true},"
	"{\"name\": \"gpu-0\", \"kind\": \"gpu\", \"curve\": [[1, 100]], \"stamped\": true}]}";

#define PSYS_UW UINT64_C(50000000)
#define CPU_UW UINT64_C(20000000)
#define DRAM_UW UINT64_C(5000000)
#define GPU_UW UINT64_C(100000000)

static int set_up(void **state)
{
	char path[PATH_SIZE];

	(void) state;
	dir = tmpdir_make();
	fakeclock_init(&clock_, 1000 * NS_PER_S, 0);
	file_put(dir.path, "script.json", script);
	snprintf(sensors, sizeof(sensors), "sim:%s", path_in(dir.path, "script.json", path));
	pm = NULL;
	return 0;
}

static int tear_down(void **state)
{
	(void) state;
	pm_close(pm);
	tmpdir_remove(&dir);
	return 0;
}

static void use_script(const char *text)
{
	file_put(dir.path, "script.json", text);
}

/* On the clock that stands still, or on the machine's. */
static void open_fake(void)
{
	struct pm_options options = PM_OPTIONS_INIT;

	options.sensors = sensors;
	assert_int_equal(pm_open_on(&pm, &options, &clock_.clock), 0);
}

static void open_real(const char *list)
{
	struct pm_options options = PM_OPTIONS_INIT;

	options.sensors = list;
	assert_int_equal(pm_open(&pm, &options), 0);
}

static void pause_ms(unsigned ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = (long) (ms % 1000) * 1000000 };

	while (nanosleep(&ts, &ts) < 0)
		;
}

static struct pm_usage usage_of(const struct pm_result *result, int who)
{
	struct pm_usage usage = PM_USAGE_INIT;

	assert_int_equal(pm_result_usage(result, who, &usage), 0);
	return usage;
}

static struct pm_usage end_of(const char *key, int who)
{
	struct pm_result *result;
	struct pm_usage usage;

	assert_int_equal(pm_end_window(pm, key, &result), 0);
	usage = usage_of(result, who);
	pm_result_free(result);
	return usage;
}

static void assert_said(const char *text)
{
	if (!strstr(pm_error(), text))
		fail_msg("\"%s\" is not in \"%s\"", text, pm_error());
}

/* A constant power for so long, exactly. */
static void assert_exact(const struct pm_energy *e, uint64_t power_uw, uint64_t ns)
{
	assert_true(e->known);
	assert_int_equal(e->energy_uj, power_uw / 1000 * (ns / MS));
	assert_int_equal(e->power_uw, power_uw);
	assert_int_equal(e->interval_ns, ns);
	assert_int_equal(e->flags, PM_MEASURED);
	assert_in_range(e->low_uj, e->energy_uj - 10, e->energy_uj);
	assert_in_range(e->high_uj, e->energy_uj, e->energy_uj + 10);
}

/* ---- windows ------------------------------------------------------------------------------ */

static void test_exact_energy(void **state)
{
	struct pm_result *result;
	struct pm_energy one;
	struct pm_usage u;

	(void) state;
	open_fake();
	assert_int_equal(pm_begin_window(pm, "work"), 0);
	fakeclock_advance(&clock_, 700 * MS);
	assert_int_equal(pm_end_window(pm, "work", &result), 0);
	u = usage_of(result, PM_MACHINE);
	assert_int_equal(u.elapsed_ns, 700 * MS);
	assert_exact(&u.cpu, CPU_UW, 700 * MS);
	assert_exact(&u.dram, DRAM_UW, 700 * MS);
	assert_exact(&u.gpu, GPU_UW, 700 * MS);
	assert_exact(&u.platform, PSYS_UW, 700 * MS);
	/* The package lies in the board, and is not added to it. */
	assert_int_equal(
		u.total.energy_uj, u.platform.energy_uj + u.dram.energy_uj + u.gpu.energy_uj);
	assert_int_equal(u.ended, 0);
	/* Domains one by one, the one that is not counted too. */
	assert_int_equal(pm_result_domain(result, PM_MACHINE, 1, &one), 0);
	assert_exact(&one, CPU_UW, 700 * MS);
	assert_int_equal(pm_result_domain(result, PM_MACHINE, 2, &one), 0);
	assert_exact(&one, 15000000, 700 * MS);
	assert_int_equal(pm_result_domain(result, PM_MACHINE, 5, &one), -EINVAL);
	assert_int_equal(pm_result_domain(result, 77, 0, &one), -ENOENT);
	/* A result stays when the handle is gone. */
	pm_close(pm);
	pm = NULL;
	assert_int_equal(usage_of(result, PM_MACHINE).cpu.energy_uj, 14000000);
	pm_result_free(result);
	pm_result_free(NULL);
}

static void test_nested_and_overlapping(void **state)
{
	(void) state;
	open_fake();
	assert_int_equal(pm_begin_window(pm, "outer"), 0);
	fakeclock_advance(&clock_, 100 * MS);
	assert_int_equal(pm_begin_window(pm, "inner"), 0);
	fakeclock_advance(&clock_, 200 * MS);
	assert_int_equal(pm_begin_window(pm, "across"), 0);
	fakeclock_advance(&clock_, 300 * MS);
	assert_int_equal(end_of("inner", PM_MACHINE).cpu.energy_uj, 10000000);
	fakeclock_advance(&clock_, 400 * MS);
	assert_int_equal(end_of("outer", PM_MACHINE).cpu.energy_uj, 20000000);
	fakeclock_advance(&clock_, 500 * MS);
	assert_int_equal(end_of("across", PM_MACHINE).cpu.energy_uj, 24000000);
}

/* Many after each other, with other windows' readings in between: they add up to one around. */
static void test_windows_add_up(void **state)
{
	uint64_t sum_uj = 0;

	(void) state;
	use_script("{\"domains\": [{\"name\": \"package-0\", \"kind\": \"cpu\", \"curve\": "
		   "[[0.0137, 20], [0.0071, 63.5]], \"stamped\": true, \"unit\": [1000000, 16384],"
		   " \"wrap\": 4294967296, \"start\": 4294960000}]}");
	open_fake();
	assert_int_equal(pm_begin_window(pm, "all"), 0);
	for (unsigned i = 0; i < 500; i++) {
		assert_int_equal(pm_begin_window(pm, "one"), 0);
		fakeclock_advance(&clock_, (i % 7 + 1) * 3 * MS);
		sum_uj += end_of("one", PM_MACHINE).cpu.energy_uj;
	}
	assert_int_equal(end_of("all", PM_MACHINE).cpu.energy_uj, sum_uj);
}

static void test_reading_is_cumulative(void **state)
{
	struct pm_result *result;

	(void) state;
	open_fake();
	for (unsigned i = 1; i <= 3; i++) {
		fakeclock_advance(&clock_, 250 * MS);
		assert_int_equal(pm_read(pm, &result), 0);
		assert_int_equal(usage_of(result, PM_MACHINE).elapsed_ns, i * 250 * MS);
		assert_int_equal(usage_of(result, PM_MACHINE).gpu.energy_uj, i * 25000000);
		pm_result_free(result);
	}
	assert_int_equal(pm_read(pm, NULL), -EINVAL);
}

/* Wrong calls are refused with a reason, and no window that is open suffers from them. */
static void test_bad_calls(void **state)
{
	struct pm_result *result = NULL;

	(void) state;
	open_fake();
	assert_int_equal(pm_begin_window(pm, "work"), 0);
	fakeclock_advance(&clock_, 100 * MS);
	assert_int_equal(pm_begin_window(pm, "work"), -EEXIST);
	assert_said("\"work\" has begun already");
	assert_int_equal(pm_end_window(pm, "other", &result), -ENOENT);
	assert_said("\"other\" is open");
	assert_int_equal(pm_cancel_window(pm, "other"), -ENOENT);
	assert_int_equal(pm_begin_window(pm, NULL), -EINVAL);
	assert_int_equal(pm_begin_window(pm, ""), -EINVAL);
	assert_said("needs a name");
	assert_int_equal(pm_end_window(pm, NULL, &result), -EINVAL);
	assert_int_equal(pm_end_window(pm, "work", NULL), -EINVAL);
	assert_said("pm_cancel_window()");
	assert_int_equal(pm_cancel_window(pm, NULL), -EINVAL);
	assert_int_equal(pm_begin_window(NULL, "work"), -EINVAL);
	assert_said("the handle is NULL");
	assert_int_equal(pm_read(NULL, &result), -EINVAL);
	assert_int_equal(pm_start_polling(NULL), -EINVAL);
	assert_int_equal(pm_add_process(NULL, 1, &(int) { 0 }), -EINVAL);
	assert_int_equal(pm_sensor_count(NULL), 0);
	assert_int_equal(pm_domain_count(NULL), 0);
	assert_int_equal(pm_longest_gap_ns(NULL), 0);
	assert_null(result);
	fakeclock_advance(&clock_, 100 * MS);
	assert_int_equal(end_of("work", PM_MACHINE).cpu.energy_uj, 4000000);
	assert_int_equal(pm_end_window(pm, "work", &result), -ENOENT);
	assert_said("has been ended already");
	/* The name is free again; a window that is cancelled is as if it had never been. */
	assert_int_equal(pm_begin_window(pm, "work"), 0);
	assert_int_equal(pm_cancel_window(pm, "work"), 0);
	assert_int_equal(pm_cancel_window(pm, "work"), -ENOENT);
	assert_int_equal(pm_begin_window(pm, "work"), 0);
	assert_null(result);
	assert_string_equal(pm_strerror(-EEXIST), "a window of that name is open already");
	assert_string_equal(pm_strerror(0), "no error");
	assert_non_null(pm_strerror(-9999));
	assert_string_equal(pm_version(), PM_VERSION);
	pm_close(NULL);
}

/* What was never ended goes with the handle, and only so many can be forgotten. */
static void test_never_ended(void **state)
{
	char key[16];

	(void) state;
	open_fake();
	for (int i = 0; i < PM_MAX_WINDOWS; i++) {
		snprintf(key, sizeof(key), "w%d", i);
		assert_int_equal(pm_begin_window(pm, key), 0);
	}
	assert_int_equal(pm_begin_window(pm, "one more"), -E2BIG);
	assert_said("end or cancel some");
	fakeclock_advance(&clock_, 100 * MS);
	assert_int_equal(end_of("w0", PM_MACHINE).cpu.energy_uj, 2000000);
	assert_int_equal(pm_begin_window(pm, "one more"), 0);
}

/* ---- threads and forks -------------------------------------------------------------------- */

static void *end_elsewhere(void *arg)
{
	struct pm_result **ret = arg;

	if (pm_end_window(pm, "work", ret) < 0)
		*ret = NULL;
	/* The reason is this thread's own. */
	pm_begin_window(pm, NULL);
	return NULL;
}

static void test_another_thread(void **state)
{
	struct pm_result *result = NULL;
	pthread_t thread;

	(void) state;
	open_fake();
	assert_int_equal(pm_cancel_window(pm, "mine"), -ENOENT);
	assert_int_equal(pm_begin_window(pm, "work"), 0);
	fakeclock_advance(&clock_, 100 * MS);
	assert_int_equal(pthread_create(&thread, NULL, end_elsewhere, &result), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_non_null(result);
	assert_int_equal(usage_of(result, PM_MACHINE).cpu.energy_uj, 2000000);
	pm_result_free(result);
	assert_said("\"mine\"");
}

static void *begin_and_end(void *arg)
{
	char key[32];

	snprintf(key, sizeof(key), "%p", arg);
	for (int i = 0; i < 500; i++) {
		struct pm_usage usage = PM_USAGE_INIT;
		struct pm_result *result;

		if (pm_begin_window(pm, key) < 0 || pm_end_window(pm, key, &result) < 0)
			return NULL;
		if (pm_result_usage(result, PM_MACHINE, &usage) < 0)
			return NULL;
		pm_result_free(result);
	}
	return arg;
}

static void test_many_threads(void **state)
{
	pthread_t threads[4];
	char names[4];

	(void) state;
	open_real("sim");
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, begin_and_end, &names[i]), 0);
	for (size_t i = 0; i < 4; i++) {
		void *done;

		assert_int_equal(pthread_join(threads[i], &done), 0);
		assert_ptr_equal(done, &names[i]);
	}
}

/* What a child of the process sees; returns the line at which something was wrong. */
static int try_in_child(struct pm_result *before)
{
	struct pm_usage usage = PM_USAGE_INIT;
	struct pm_result *result;
	struct pm *own;
	int who;

	if (pm_begin_window(pm, "child's") != -EPERM || !strstr(pm_error(), "before a fork"))
		return __LINE__;
	if (pm_end_window(pm, "work", &result) != -EPERM || pm_cancel_window(pm, "work") != -EPERM)
		return __LINE__;
	if (pm_read(pm, &result) != -EPERM || pm_start_polling(pm) != -EPERM)
		return __LINE__;
	if (pm_add_process(pm, getpid(), &who) != -EPERM || pm_remove_process(pm, 2) != -EPERM)
		return __LINE__;
	if (pm_sensor_count(pm) || pm_domain_count(pm) || pm_longest_gap_ns(pm))
		return __LINE__;
	if (pm_sensor(pm, 0, &(struct pm_sensor) PM_SENSOR_INIT) != -EPERM ||
		pm_domain(pm, 0, &(struct pm_domain) PM_DOMAIN_INIT) != -EPERM)
		return __LINE__;
	if (pm_result_usage(before, PM_MACHINE, &usage) != 0)
		return __LINE__;
	pm_close(pm);
	/* A handle of its own is another matter. */
	if (pm_open(&own,
		    &(struct pm_options) { .size = sizeof(struct pm_options), .sensors = "sim" }) <
		0)
		return __LINE__;
	if (pm_begin_window(own, "work") < 0 || pm_end_window(own, "work", &result) < 0)
		return __LINE__;
	pm_result_free(result);
	pm_close(own);
	return 0;
}

static void test_fork(void **state)
{
	struct pm_result *before;
	int status;
	pid_t pid;

	(void) state;
	open_fake();
	assert_int_equal(pm_begin_window(pm, "work"), 0);
	assert_int_equal(pm_read(pm, &before), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(try_in_child(before) ? 1 : 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	pm_result_free(before);
	fakeclock_advance(&clock_, 100 * MS);
	assert_int_equal(end_of("work", PM_MACHINE).cpu.energy_uj, 2000000);
}

/* Which descriptors are open, those of this look aside. */
static void mark_open(bool open[256])
{
	for (int fd = 0; fd < 256; fd++)
		open[fd] = fcntl(fd, F_GETFD) >= 0;
}

static void test_descriptors_are_closed_on_exec(void **state)
{
	bool before[256], after[256];
	unsigned n = 0;
	int who;

	(void) state;
	mark_open(before);
	open_real("sim,sim-polled");
	assert_int_equal(pm_start_polling(pm), 0);
	assert_int_equal(pm_add_process(pm, getppid(), &who), 0);
	mark_open(after);
	for (int fd = 0; fd < 256; fd++) {
		if (after[fd] && !before[fd]) {
			assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
			n++;
		}
	}
	assert_true(n > 0);
	pm_close(pm);
	pm = NULL;
	mark_open(after);
	assert_memory_equal(before, after, sizeof(before));
}

/* ---- opening ------------------------------------------------------------------------------ */

static void test_bad_options(void **state)
{
	static const struct {
		struct pm_options options;
		int error;
		const char *said;
	} cases[] = {
#define OPTIONS(...) { .size = sizeof(struct pm_options), __VA_ARGS__ }
		{ OPTIONS(.sensors = "sin"), -EINVAL,
			"sensors: unknown sensor: 'sin'; did you mean" },
		{ OPTIONS(.sensors = "sim,x,y"), -EINVAL, "sensors: unknown sensor: 'x'; " },
		{ OPTIONS(.sensors = ""), -EINVAL, "the list is empty" },
		{ OPTIONS(.sensors = ",sim"), -EINVAL, "not a list of names" },
		{ OPTIONS(.sensors = "nvml:x"), -EINVAL, "this sensor takes no file: 'nvml:x'" },
		{ OPTIONS(.root = "/nowhere/at/all"), -ENOENT, "the root /nowhere/at/all" },
		{ OPTIONS(.root = "/dev/null"), -ENOTDIR, "the root /dev/null" },
		{ OPTIONS(.gpus = ""), -EINVAL, "gpus: the list is empty" },
		{ OPTIONS(.gpus = ",,"), -EINVAL, "gpus: the list is empty" },
		{ OPTIONS(.kinds = 0x100), -EINVAL, "no kinds" },
		{ OPTIONS(.estimate_idle_mw = 5, .estimate_full_mw = 4), -EINVAL, "idle power" },
		{ OPTIONS(.estimate_idle_mw = 5), -EINVAL, "idle power" },
		{ OPTIONS(.reserved = 1), -EINVAL, "reserved" },
		{ { .size = 0 }, -EINVAL, "PM_OPTIONS_INIT" },
		{ { .size = 8 }, -EINVAL, "PM_OPTIONS_INIT" },
		{ { .size = SIZE_MAX }, -EINVAL, "PM_OPTIONS_INIT" },
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(pm_open(&pm, &cases[i].options), cases[i].error);
		assert_said(cases[i].said);
		assert_null(pm);
	}
	assert_int_equal(pm_open(NULL, NULL), -EINVAL);
}

/* A caller that was built for a later version, and uses of it what is known here, or more. */
static void test_later_versions(void **state)
{
	struct {
		struct pm_options known;
		uint64_t later;
	} options = { { .size = sizeof(options), .sensors = sensors }, 0 };
	struct {
		struct pm_usage known;
		uint64_t later;
	} usage = { { .size = sizeof(usage) }, 77 };
	struct pm_usage unset = { .size = 0 }, wild = { .size = 1 << 20 };
	struct pm_result *result;

	(void) state;
	options.later = 1;
	assert_int_equal(pm_open(&pm, &options.known), -E2BIG);
	assert_said("later version");
	options.later = 0;
	assert_int_equal(pm_open(&pm, &options.known), 0);
	assert_int_equal(pm_read(pm, &result), 0);
	assert_int_equal(pm_result_usage(result, PM_MACHINE, &usage.known), 0);
	assert_int_equal(usage.known.size, sizeof(usage));
	assert_int_equal(usage.later, 0);
	assert_int_equal(pm_result_usage(result, PM_MACHINE, &unset), -EINVAL);
	assert_said("_INIT");
	assert_int_equal(pm_result_usage(result, PM_MACHINE, &wild), -EINVAL);
	assert_int_equal(pm_result_usage(result, PM_MACHINE, NULL), -EINVAL);
	assert_int_equal(pm_result_usage(NULL, PM_MACHINE, &usage.known), -EINVAL);
	assert_int_equal(pm_result_domain(result, PM_MACHINE, 0, NULL), -EINVAL);
	pm_result_free(result);
}

static void test_lists(void **state)
{
	struct pm_domain d = PM_DOMAIN_INIT;
	struct pm_sensor s = PM_SENSOR_INIT;

	(void) state;
	open_fake();
	assert_true(pm_sensor_count(pm) >= 3);
	assert_int_equal(pm_sensor(pm, 0, &s), 0);
	assert_string_equal(s.name, "sim");
	assert_true(s.usable && s.used && !s.needs_polling && !s.error);
	assert_null(s.reason);
	assert_null(s.fix);
	assert_int_equal(pm_sensor(pm, 1, &s), 0);
	assert_false(s.usable || s.used || s.needs_polling);
	assert_int_equal(s.error, -ECANCELED);
	assert_non_null(strstr(s.reason, "not in the list"));
	assert_int_equal(pm_sensor(pm, pm_sensor_count(pm), &s), -EINVAL);
	assert_said("no sensor number");
	assert_int_equal(pm_sensor(pm, 0, NULL), -EINVAL);

	assert_int_equal(pm_domain_count(pm), 5);
	assert_int_equal(pm_domain(pm, 1, &d), 0);
	assert_string_equal(d.name, "package-0");
	assert_string_equal(d.sensor, "sim");
	assert_string_equal(d.scope, "simulated");
	assert_null(d.id);
	assert_null(d.model);
	assert_int_equal(d.kind, PM_CPU);
	assert_int_equal(d.parent, 0);
	assert_true(d.counted);
	assert_int_equal(d.quality, PM_MEASURED);
	assert_int_equal(d.update_ns, MS);
	assert_int_equal(pm_domain(pm, 2, &d), 0);
	assert_false(d.counted);
	assert_int_equal(pm_domain(pm, 5, &d), -EINVAL);
	assert_int_equal(pm_domain(pm, 0, &(struct pm_domain) { .size = 3 }), -EINVAL);
	assert_string_equal(pm_kind_name(PM_PLATFORM), "platform");
	assert_null(pm_kind_name(4));
	assert_null(pm_kind_name(-1));
}

/* Nothing to measure is no error to open: what is not known is said to be so. */
static void test_nothing_there(void **state)
{
	struct pm_usage u;

	(void) state;
	use_script("{}");
	open_fake();
	assert_int_equal(pm_domain_count(pm), 0);
	assert_int_equal(pm_begin_window(pm, "work"), 0);
	fakeclock_advance(&clock_, 100 * MS);
	u = end_of("work", PM_MACHINE);
	assert_int_equal(u.elapsed_ns, 100 * MS);
	assert_false(u.cpu.known || u.dram.known || u.gpu.known || u.platform.known);
	assert_false(u.total.known);
	assert_int_equal(u.total.flags, 0);
}

/* The model is there unless sensors are named, and says what it is. */
static void test_estimate(void **state)
{
	struct pm_options options = PM_OPTIONS_INIT;
	struct pm_usage u;

	(void) state;
	options.sensors = "estimate";
	options.estimate_idle_mw = 1000;
	options.estimate_full_mw = 3000;
	assert_int_equal(pm_open(&pm, &options), 0);
	assert_int_equal(pm_begin_window(pm, "work"), 0);
	pause_ms(100);
	u = end_of("work", PM_MACHINE);
	assert_true(u.cpu.known);
	assert_int_equal(u.cpu.flags, PM_ESTIMATED);
	assert_int_equal(u.total.flags, PM_ESTIMATED);
	assert_true(u.cpu.low_uj <= u.cpu.energy_uj / 2);
	assert_true(u.cpu.high_uj >= u.cpu.energy_uj * 2);
	assert_false(u.gpu.known);
}

static void test_kinds(void **state)
{
	struct pm_options options = PM_OPTIONS_INIT;
	struct pm_usage u;

	(void) state;
	options.sensors = sensors;
	options.kinds = 1u << PM_GPU | 1u << PM_DRAM;
	assert_int_equal(pm_open_on(&pm, &options, &clock_.clock), 0);
	assert_int_equal(pm_begin_window(pm, "work"), 0);
	fakeclock_advance(&clock_, 100 * MS);
	u = end_of("work", PM_MACHINE);
	assert_false(u.cpu.known || u.platform.known);
	assert_exact(&u.gpu, GPU_UW, 100 * MS);
	assert_int_equal(u.total.energy_uj, 10500000);
	assert_int_equal(u.total.flags, PM_MEASURED);
	/* Without the board, what lies in it is the outermost. */
	pm_close(pm);
	options.kinds = 1u << PM_CPU;
	assert_int_equal(pm_open_on(&pm, &options, &clock_.clock), 0);
	assert_int_equal(pm_begin_window(pm, "work"), 0);
	fakeclock_advance(&clock_, 100 * MS);
	u = end_of("work", PM_MACHINE);
	assert_exact(&u.total, CPU_UW, 100 * MS);
}

/* ---- what goes wrong with sensors --------------------------------------------------------- */

static void test_failing_sensor(void **state)
{
	struct pm_result *result;
	struct pm_usage u;

	(void) state;
	use_script("{\"domains\": ["
		   "{\"name\": \"package-0\", \"kind\": \"cpu\", \"curve\": [[1, 20]],"
		   " \"stamped\": true},"
		   "{\"name\": \"package-1\", \"kind\": \"cpu\", \"curve\": [[1, 30]],"
		   " \"stamped\": true, \"faults\": [{\"at\": 0.15, \"for\": 0.1, \"what\": "
		   "\"eio\"}]}]}");
	open_fake();
	fakeclock_advance(&clock_, 100 * MS);
	assert_int_equal(pm_begin_window(pm, "a"), 0);
	fakeclock_advance(&clock_, 100 * MS);
	/* One of two cannot be read: the sum lacks it, and says so. */
	assert_int_equal(pm_begin_window(pm, "b"), 0);
	u = end_of("a", PM_MACHINE);
	assert_true(u.cpu.known);
	assert_int_equal(u.cpu.energy_uj, 2000000);
	assert_true(u.cpu.flags & PM_PARTIAL);
	fakeclock_advance(&clock_, 100 * MS);
	/* It is back, and nothing is lost: only when within the gap is not known. */
	assert_int_equal(pm_read(pm, &result), 0);
	u = usage_of(result, PM_MACHINE);
	assert_int_equal(u.cpu.energy_uj, 15000000);
	assert_int_equal(u.cpu.flags, PM_MEASURED | PM_GAP);
	pm_result_free(result);
}

static void test_counter_restarts(void **state)
{
	struct pm_result *result;
	struct pm_usage u;

	(void) state;
	use_script("{\"domains\": [{\"name\": \"package-0\", \"kind\": \"cpu\", \"curve\": "
		   "[[1, 20]], \"stamped\": true, \"faults\": [{\"at\": 0.15, \"what\": "
		   "\"reset\"}]}]}");
	open_fake();
	assert_int_equal(pm_begin_window(pm, "short"), 0);
	assert_int_equal(pm_begin_window(pm, "long"), 0);
	fakeclock_advance(&clock_, 200 * MS);
	/* All of it is in the hole: not known, and not 0. Whether the odd value is a glitch or a new
	 * beginning, only the next reading tells. */
	u = end_of("short", PM_MACHINE);
	assert_false(u.cpu.known);
	assert_true(u.cpu.flags & PM_GAP);
	fakeclock_advance(&clock_, 100 * MS);
	assert_int_equal(pm_read(pm, &result), 0);
	pm_result_free(result);
	fakeclock_advance(&clock_, 100 * MS);
	u = end_of("long", PM_MACHINE);
	assert_true(u.cpu.known);
	assert_int_equal(u.cpu.energy_uj, 2000000);
	assert_true(u.cpu.flags & PM_RESET);
}

/* A counter of 400 J on hardware of at most 1 kW: after 0.4 s it may have wrapped. */
static const char wrapping[] =
	"{\"domains\": [{\"name\": \"package-0\", \"kind\": \"cpu\", \"curve\": [[1, 20]],"
	" \"stamped\": true, \"wrap\": 400000000}]}";

static void test_longest_gap(void **state)
{
	struct pm_usage u;

	(void) state;
	open_fake();
	assert_int_equal(pm_longest_gap_ns(pm), 0);
	pm_close(pm);
	use_script(wrapping);
	open_fake();
	assert_in_range(pm_longest_gap_ns(pm), 250 * MS, 400 * MS);
	assert_int_equal(pm_begin_window(pm, "fine"), 0);
	fakeclock_advance(&clock_, 300 * MS);
	u = end_of("fine", PM_MACHINE);
	assert_exact(&u.cpu, CPU_UW, 300 * MS);
	assert_int_equal(pm_begin_window(pm, "long"), 0);
	fakeclock_advance(&clock_, 500 * MS);
	u = end_of("long", PM_MACHINE);
	assert_false(u.cpu.known);
	assert_true(u.cpu.flags & PM_RESET);
}

static void test_keeper(void **state)
{
	struct pm_usage u;

	(void) state;
	use_script(wrapping);
	open_real(sensors);
	assert_int_equal(pm_start_polling(pm), 0);
	assert_int_equal(pm_begin_window(pm, "long"), 0);
	pause_ms(900);
	u = end_of("long", PM_MACHINE);
	assert_true(u.cpu.known);
	assert_int_equal(u.cpu.flags, PM_MEASURED);
	assert_int_equal(u.cpu.energy_uj, u.cpu.interval_ns / MS * 20000);
	assert_true(u.cpu.interval_ns >= 890 * MS);
}

/* ---- polling ------------------------------------------------------------------------------ */

/* How many threads there are whose names begin with "pm-". */
static unsigned count_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	unsigned n = 0;

	assert_non_null(tasks);
	while ((entry = readdir(tasks))) {
		char path[300], name[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fgets(name, sizeof(name), f) && strncmp(name, "pm-", 3) == 0)
			n++;
		fclose(f);
	}
	closedir(tasks);
	return n;
}

static bool has_gpu(void)
{
	struct pm_result *result;
	bool known;

	assert_int_equal(pm_read(pm, &result), 0);
	known = usage_of(result, PM_MACHINE).gpu.known;
	pm_result_free(result);
	return known;
}

static void test_polling(void **state)
{
	struct pm_sensor s = PM_SENSOR_INIT;
	struct pm_usage u;
	int who;

	(void) state;
	open_real("sim-polled");
	assert_int_equal(count_threads(), 0);
	assert_int_equal(pm_domain_count(pm), 0);
	assert_int_equal(pm_sensor(pm, 0, &s), 0);
	assert_string_equal(s.name, "sim-polled");
	assert_true(s.needs_polling && !s.usable && !s.used);
	assert_non_null(strstr(s.reason, "needs polling"));
	assert_non_null(strstr(s.fix, "pm_start_polling()"));
	/* Nothing of it is known, and nothing is guessed. */
	assert_int_equal(pm_begin_window(pm, "work"), 0);
	assert_int_equal(pm_start_polling(pm), -EBUSY);
	assert_said("\"work\" is open");
	pause_ms(50);
	u = end_of("work", PM_MACHINE);
	assert_false(u.gpu.known || u.total.known);
	assert_int_equal(count_threads(), 0);
	assert_int_equal(pm_add_process(pm, getppid(), &who), 0);
	assert_int_equal(pm_start_polling(pm), -EBUSY);
	assert_said("processes were added");
	assert_int_equal(pm_remove_process(pm, who), 0);

	assert_int_equal(pm_start_polling(pm), 0);
	assert_int_equal(pm_start_polling(pm), 0);
	assert_int_equal(count_threads(), 1);
	assert_int_equal(pm_sensor(pm, 0, &s), 0);
	assert_true(s.usable && s.used && !s.needs_polling);
	assert_int_equal(pm_domain_count(pm), 3);
	for (int i = 0; !has_gpu() && i < 500; i++)
		pause_ms(10);
	assert_int_equal(pm_begin_window(pm, "work"), 0);
	pause_ms(300);
	u = end_of("work", PM_MACHINE);
	assert_true(u.gpu.known && u.cpu.known);
	assert_int_equal(u.gpu.flags, PM_INTEGRATED);
	assert_true(u.gpu.energy_uj > 0 && u.gpu.low_uj <= u.gpu.energy_uj);
	pm_close(pm);
	pm = NULL;
	assert_int_equal(count_threads(), 0);
}

/* ---- processes ---------------------------------------------------------------------------- */

static void test_self(void **state)
{
	struct pm_result *result;
	struct pm_usage u;
	uint64_t cpu_ns;
	struct pm_energy gpu;

	(void) state;
	open_real(sensors);
	assert_int_equal(pm_begin_window(pm, "work"), 0);
	cpu_ns = own_cpu_ns();
	burn_cpu(200 * MS);
	cpu_ns = own_cpu_ns() - cpu_ns;
	assert_int_equal(pm_end_window(pm, "work", &result), 0);
	u = usage_of(result, PM_SELF);
	assert_in_range(u.cpu_ns, cpu_ns, cpu_ns + 20 * MS);
	/* Its part is its CPU time's part of what all CPUs could have given. */
	assert_true(u.cpu.known && u.dram.known);
	assert_in_range(u.cpu.energy_uj * (uint64_t) sysconf(_SC_NPROCESSORS_ONLN),
		u.cpu_ns / 1000 * 20 * 95 / 100, u.cpu_ns / 1000 * 20 * 105 / 100);
	assert_true(u.cpu.low_uj <= u.cpu.energy_uj && u.cpu.high_uj >= u.cpu.energy_uj);
	/* Of a GPU and of the board nobody knows it. */
	assert_false(u.gpu.known || u.platform.known);
	assert_int_equal(u.total.energy_uj, u.cpu.energy_uj + u.dram.energy_uj);
	/* Its sum lacks what it used of the GPU, and says so; the board is not missed. */
	assert_int_equal(u.total.flags & PM_PARTIAL, PM_PARTIAL);
	assert_int_equal(u.cpu.flags & PM_PARTIAL, 0);
	assert_int_equal(pm_result_domain(result, PM_SELF, 4, &gpu), 0);
	assert_false(gpu.known);
	assert_true(usage_of(result, PM_MACHINE).cpu_ns > 0);
	pm_result_free(result);
}

static void test_other_process(void **state)
{
	pid_t busy = child_start(child_burn, NULL), idle = child_start(child_sleep, NULL);
	struct pm_usage u = PM_USAGE_INIT;
	struct pm_result *result;
	int who_busy, who_idle, again, late;

	(void) state;
	open_real(sensors);
	assert_int_equal(pm_add_process(pm, busy, &who_busy), 0);
	assert_int_equal(pm_add_process(pm, idle, &who_idle), 0);
	assert_int_equal(pm_add_process(pm, busy, &again), 0);
	assert_int_equal(again, who_busy);
	assert_int_equal(pm_add_process(pm, getpid(), &again), 0);
	assert_int_equal(again, PM_SELF);
	assert_int_equal(pm_begin_window(pm, "work"), 0);
	assert_int_equal(pm_add_process(pm, getppid(), &late), 0);
	child_wait_cpu(busy, 100 * MS);
	assert_int_equal(pm_remove_process(pm, who_busy), -EBUSY);
	assert_said("\"work\" has it");
	assert_int_equal(pm_end_window(pm, "work", &result), 0);
	u = usage_of(result, who_busy);
	assert_true(u.cpu_ns >= 100 * MS);
	assert_true(u.cpu.known && u.cpu.energy_uj > 0);
	assert_false(u.ended);
	u = usage_of(result, who_idle);
	assert_true(u.cpu.known);
	assert_true(u.cpu.energy_uj < 100000);
	assert_int_equal(pm_result_usage(result, late, &u), -ENOENT);
	assert_said("was added after");
	pm_result_free(result);

	/* It goes in the middle of a window: what it used is still told. */
	assert_int_equal(pm_begin_window(pm, "end"), 0);
	pause_ms(100);
	child_end(busy);
	u = end_of("end", who_busy);
	assert_true(u.ended);
	assert_true(u.cpu.known);
	/* Its number stays its own. */
	assert_int_equal(pm_remove_process(pm, who_busy), 0);
	assert_int_equal(pm_remove_process(pm, who_busy), -ENOENT);
	assert_int_equal(pm_remove_process(pm, PM_SELF), -EINVAL);
	assert_int_equal(pm_remove_process(pm, PM_MACHINE), -EINVAL);
	assert_int_equal(pm_add_process(pm, busy, &again), -ESRCH);
	assert_said("there is no process");
	assert_int_equal(pm_add_process(pm, -1, &again), -EINVAL);
	assert_int_equal(pm_add_process(pm, 0, &again), -EINVAL);
	assert_int_equal(pm_add_process(pm, idle, NULL), -EINVAL);
	child_end(idle);
}

static void test_many_processes(void **state)
{
	pid_t pids[PM_MAX_PROCESSES + 1];
	int who = 0;

	(void) state;
	open_real(sensors);
	for (int i = 0; i <= PM_MAX_PROCESSES; i++) {
		pids[i] = child_start(child_sleep, NULL);
		assert_int_equal(
			pm_add_process(pm, pids[i], &who), i < PM_MAX_PROCESSES ? 0 : -E2BIG);
	}
	assert_said("remove some");
	assert_int_equal(pm_remove_process(pm, 2), 0);
	assert_int_equal(pm_add_process(pm, pids[PM_MAX_PROCESSES], &who), 0);
	assert_int_equal(who, PM_MAX_PROCESSES + 2);
	for (int i = 0; i <= PM_MAX_PROCESSES; i++)
		child_end(pids[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_exact_energy),
		TEST(test_nested_and_overlapping),
		TEST(test_windows_add_up),
		TEST(test_reading_is_cumulative),
		TEST(test_bad_calls),
		TEST(test_never_ended),
		TEST(test_another_thread),
		TEST(test_many_threads),
		TEST(test_fork),
		TEST(test_descriptors_are_closed_on_exec),
		TEST(test_bad_options),
		TEST(test_later_versions),
		TEST(test_lists),
		TEST(test_nothing_there),
		TEST(test_estimate),
		TEST(test_kinds),
		TEST(test_failing_sensor),
		TEST(test_counter_restarts),
		TEST(test_longest_gap),
		TEST(test_keeper),
		TEST(test_polling),
		TEST(test_self),
		TEST(test_other_process),
		TEST(test_many_processes),
	};

	return cmocka_run_group_tests_name("lib", tests, NULL, NULL);
}
