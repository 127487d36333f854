// SPDX-License-Identifier: MIT
/* RAPL's events as they are opened and read from a kernel: the linker puts this file's
 * perf_event_open(), read(), close() and statfs() in the place of the real ones. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "machine/asked.h"
#include "rapl_tree.h"
#include "machine/self.h"

/* One descriptor that was given out. */
struct event {
	bool open;
	uint64_t code;
	int cpu;
	int head; /* index of the group's first event */
};

static struct {
	struct event events[256]; /* by descriptor */
	int refusal;              /* error for every call */
	uint32_t bad_codes;       /* bits: EINVAL */
	bool no_groups;
	int gone_cpu; /* its events give nothing */
	unsigned n_opened, n_reads;
	uint64_t counts[4][8]; /* by CPU and code */
} kernel;

static struct tree t;

long __wrap_syscall(long number, ...);
long __real_syscall(long number, ...);
ssize_t __wrap_read(int fd, void *buffer, size_t n);
ssize_t __real_read(int fd, void *buffer, size_t n);
int __wrap_close(int fd);
int __real_close(int fd);
int __wrap_fstatfs(int fd, struct statfs *ret);
int __wrap_fstatfs64(int fd, struct statfs *ret);

static int open_event(const struct perf_event_attr *attr, int pid, int cpu, int group, long flags)
{
	int fd;

	/* What the PMU insists on, on any kernel. */
	assert_int_equal(attr->size, PERF_ATTR_SIZE_VER0);
	assert_int_equal(attr->type, 21);
	assert_int_equal(attr->sample_period, 0);
	assert_int_equal(attr->exclude_kernel | attr->exclude_user | attr->inherit, 0);
	assert_int_equal(attr->read_format, PERF_FORMAT_GROUP);
	assert_int_equal(pid, -1);
	assert_int_equal(flags, PERF_FLAG_FD_CLOEXEC);
	assert_in_range(cpu, 0, 3);
	if (kernel.refusal)
		return -kernel.refusal;
	if (kernel.bad_codes & (1u << attr->config) || (group >= 0 && kernel.no_groups))
		return -EINVAL;
	if (group >= 0)
		assert_true(kernel.events[group].open && kernel.events[group].cpu == cpu);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_in_range(fd, 0, 255);
	kernel.events[fd] = (struct event) {
		.open = true, .code = attr->config, .cpu = cpu, .head = group < 0 ? fd : group
	};
	kernel.n_opened++;
	return fd;
}

long __wrap_syscall(long number, ...)
{
	va_list args;
	long a[6];
	int fd;

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number != SYS_perf_event_open)
		return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	fd = open_event(
		(const struct perf_event_attr *) a[0], (int) a[1], (int) a[2], (int) a[3], a[4]);
	if (fd >= 0)
		return fd;
	errno = -fd;
	return -1;
}

static bool is_event(int fd)
{
	return fd >= 0 && fd < 256 && kernel.events[fd].open;
}

ssize_t __wrap_read(int fd, void *buffer, size_t n)
{
	uint64_t values[16] = { 0 };
	size_t k = 0;

	if (!is_event(fd))
		return __real_read(fd, buffer, n);
	kernel.n_reads++;
	if (kernel.events[fd].cpu == kernel.gone_cpu)
		return 0;
	for (int i = 0; i < 256; i++)
		if (is_event(i) && kernel.events[i].head == fd)
			values[++k] = kernel.counts[kernel.events[i].cpu][kernel.events[i].code];
	values[0] = k;
	if (n < (k + 1) * sizeof(values[0])) {
		errno = ENOSPC;
		return -1;
	}
	memcpy(buffer, values, (k + 1) * sizeof(values[0]));
	return (ssize_t) ((k + 1) * sizeof(values[0]));
}

int __wrap_close(int fd)
{
	if (is_event(fd))
		kernel.events[fd].open = false;
	return __real_close(fd);
}

int __wrap_fstatfs(int fd, struct statfs *ret)
{
	(void) fd;
	*ret = (struct statfs) { .f_type = SYSFS_MAGIC };
	return 0;
}

int __wrap_fstatfs64(int fd, struct statfs *ret)
{
	return __wrap_fstatfs(fd, ret);
}

static int set_up(void **state)
{
	(void) state;
	memset(&kernel, 0, sizeof(kernel));
	kernel.gone_cpu = -1;
	tree_init(&t);
	t.sensor_name = "rapl-perf";
	tree_cpu(&t, TREE_INTEL);
	tree_package(&t, "0-1", 0, 0);
	tree_package(&t, "2-3", 1, 0);
	tree_power(&t, "0,2", "energy-cores energy-pkg energy-ram");
	return 0;
}

static int tear_down(void **state)
{
	(void) state;
	tree_finish(&t);
	return 0;
}

static size_t n_open(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += is_event(fd);
	return n;
}

static void expect_joules(size_t domain, uint64_t joules)
{
	struct reading got = tree_read(&t, domain);

	assert_int_equal(got.error, 0);
	assert_int_equal(got.energy_uj, joules * 1000000);
}

static void begin_counts(void)
{
	for (int cpu = 0; cpu < 4; cpu++)
		for (int code = 0; code < 8; code++)
			kernel.counts[cpu][code] = 1;
	tree_read(&t, 0);
	for (size_t i = 0; i < t.sensor->n_domains; i++)
		tree_read(&t, i);
	for (int cpu = 0; cpu < 4; cpu++)
		for (unsigned code = 0; code < 8; code++)
			kernel.counts[cpu][code] += (uint64_t) (cpu * 10 + (int) code) << 32;
	fakeclock_advance(&t.clock, NS_PER_S);
}

/* A package's events are read at once. */
static void test_groups(void **state)
{
	struct reading readings[SENSOR_MAX_DOMAINS];

	(void) state;
	tree_expect_names(&t,
		"package-0 package-0-core package-0-dram package-1 package-1-core "
		"package-1-dram");
	assert_int_equal(n_open(), 6);
	begin_counts();
	kernel.n_reads = 0;
	t.sensor->ops->read(t.sensor, readings);
	assert_int_equal(kernel.n_reads, 2);
	expect_joules(0, 2);
	expect_joules(1, 1);
	expect_joules(2, 3);
	expect_joules(3, 22);
	expect_joules(4, 21);
	expect_joules(5, 23);
	tree_close(&t);
	assert_int_equal(n_open(), 0);
}

/* A PMU that allows no groups. */
static void test_singles(void **state)
{
	(void) state;
	kernel.no_groups = true;
	tree_open(&t);
	begin_counts();
	kernel.n_reads = 0;
	expect_joules(2, 3);
	assert_int_equal(kernel.n_reads, 6);
	expect_joules(3, 22);
	tree_close(&t);
	assert_int_equal(n_open(), 0);
}

/* An event that cannot be opened, the first or another, is left out. */
static void test_refused_events(void **state)
{
	(void) state;
	kernel.bad_codes = 1u << 2;
	tree_expect_names(&t, "package-0-core package-0-dram package-1-core package-1-dram");
	assert_int_equal(t.sensor->domains[0].parent, -1);
	begin_counts();
	expect_joules(0, 1);
	expect_joules(1, 3);
	tree_close(&t);
	kernel.bad_codes = 1u << 1;
	tree_expect_names(&t, "package-0 package-0-dram package-1 package-1-dram");
	begin_counts();
	expect_joules(0, 2);
	expect_joules(3, 23);
	tree_close(&t);
	kernel.bad_codes = 0xff;
	tree_expect_refusal(&t, -EINVAL, "cannot be opened: Invalid argument", NULL);
	assert_int_equal(n_open(), 0);
}

/* The kernel says no: which command helps depends on the kernel. */
static void test_forbidden(void **state)
{
	(void) state;
	kernel.refusal = EACCES;
	file_put(t.dir.path, "proc/sys/kernel/perf_event_paranoid", "2\n");
	if (self_in_container()) {
		tree_expect_refusal(&t, -EACCES, "perf_event_paranoid is 2", "--cap-add PERFMON");
		file_put(t.dir.path, "proc/sys/kernel/perf_event_paranoid", "3\n");
		tree_expect_refusal(&t, -EACCES, "perf_event_paranoid is 3",
			"sudo sysctl kernel.perf_event_paranoid=2 && docker run --cap-add PERFMON");
		return;
	}
	tree_expect_refusal(&t, -EACCES, "(kernel.perf_event_paranoid is 2): Permission denied",
		"sudo sysctl kernel.perf_event_paranoid=0");
	file_put(t.dir.path, "proc/sys/kernel/cap_last_cap", "37\n");
	tree_expect_refusal(&t, -EACCES, "", "sudo sysctl kernel.perf_event_paranoid=0");
	file_put(t.dir.path, "proc/sys/kernel/cap_last_cap", "40\n");
	tree_expect_refusal(&t, -EACCES, "", "sudo setcap cap_perfmon+ep /");
	file_put(t.dir.path, "proc/sys/kernel/perf_event_paranoid", "3\n");
	tree_expect_refusal(&t, -EACCES, "perf_event_paranoid is 3",
		"sudo sysctl kernel.perf_event_paranoid=2 && sudo setcap cap_perfmon+ep /");
	kernel.refusal = EPERM;
	tree_expect_refusal(&t, -EPERM, "Operation not permitted", "setcap");
	kernel.refusal = ENODEV;
	tree_expect_refusal(&t, -ENODEV, "cannot be opened: No such device", NULL);
}

/* What no file holds is told to whoever watches, in the form in which a copy has it. */
static void test_told(void **state)
{
	const char *path = "/sys/bus/event_source/devices/power/counts/cpu2/energy-pkg";
	struct asked *r;
	struct asked_path found = { .text = NULL };

	(void) state;
	assert_int_equal(asked_create(&r), 0);
	tree_open(&t);
	t.host.watch = asked_watch(r);
	begin_counts();
	for (size_t i = 0; strcmp(found.path, path) != 0; i++) {
		free(found.text);
		assert_true(i < asked_n(r));
		assert_int_equal(asked_get(r, i, &found), 0);
	}
	assert_string_equal(found.text, "1\n");
	free(found.text);
	tree_close(&t);
	asked_destroy(r);
}

/* Nothing comes from events whose CPU went away. They are opened on the one that took over. */
static void test_gone_cpu(void **state)
{
	struct reading got;

	(void) state;
	tree_open(&t);
	begin_counts();
	expect_joules(0, 2);
	kernel.gone_cpu = 0;
	fakeclock_advance(&t.clock, NS_PER_S);
	assert_int_equal(tree_read(&t, 0).error, -ENODEV);
	expect_joules(3, 22);
	assert_int_equal(n_open(), 3);
	file_put(t.dir.path, "sys/bus/event_source/devices/power/cpumask", "1-2\n");
	kernel.counts[1][2] = 7;
	fakeclock_advance(&t.clock, NS_PER_S);
	got = tree_read(&t, 0);
	assert_int_equal(got.error, 0);
	assert_int_equal(got.energy_uj, 0);
	assert_int_equal(got.since_ns, t.clock.mono_ns);
	assert_int_equal(n_open(), 6);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_groups),
		TEST(test_singles),
		TEST(test_refused_events),
		TEST(test_told),
		TEST(test_forbidden),
		TEST(test_gone_cpu),
	};

	return cmocka_run_group_tests_name("rapl_perf_kernel", tests, NULL, NULL);
}
