// SPDX-License-Identifier: MIT
/* RAPL from the processor's registers, on copied machines. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child.h"
#include "rapl_tree.h"

#define UNIT 0x606
#define PACKAGE 0x611
#define CORES 0x639
#define DRAM 0x619
#define GPU 0x641
#define PSYS 0x64d
#define AMD_UNIT 0xc0010299
#define AMD_CORE 0xc001029a
#define AMD_PACKAGE 0xc001029b

#define ESU_14 UINT64_C(0xa0e03) /* what Intel's clients have */
#define ESU_16 UINT64_C(0xa1003)

TREE_TESTS(t, "rapl-msr", TREE_INTEL)

/* A package whose registers are there on its first CPU. */
static void intel(const char *cpus, int first, unsigned package)
{
	static const uint32_t counters[] = { PACKAGE, CORES, DRAM, GPU, PSYS };

	tree_package(&t, cpus, package, 0);
	tree_msr(&t, first, UNIT, ESU_14);
	for (size_t i = 0; i < 5; i++)
		tree_msr(&t, first, counters[i], 1000);
}

static void test_client(void **state)
{
	(void) state;
	intel("0-3", 0, 0);
	tree_online(&t, "0-3");
	tree_expect_names(&t, "package-0 package-0-core package-0-dram package-0-uncore psys");
	for (size_t i = 0; i < t.sensor->n_domains; i++) {
		assert_int_equal(t.sensor->domains[i].unit_num, 1000000);
		assert_int_equal(t.sensor->domains[i].unit_den, 16384);
		assert_int_equal(t.sensor->domains[i].modulus, UINT64_C(1) << 32);
	}
	assert_int_equal(tree_domain(&t, "package-0-uncore")->kind, KIND_CPU);
	assert_false(tree_domain(&t, "package-0-uncore")->counted);
	assert_int_equal(tree_domain(&t, "package-0-uncore")->parent, 0);
	assert_false(tree_domain(&t, "package-0-core")->counted);
	assert_string_equal(tree_domain(&t, "psys")->sensor, "rapl-msr");
}

/* The first CPU of each package is asked; a register that is not there, or that reads 0, is no
 * domain. */
static void test_packages(void **state)
{
	(void) state;
	intel("0-3,8-11", 0, 0);
	intel("4-7", 4, 1);
	tree_online(&t, "0-11");
	tree_msr(&t, 4, PSYS, 0);
	tree_msr(&t, 4, GPU, 0);
	tree_msr(&t, 0, GPU, UINT64_C(5) << 32); /* bits 63:32 are reserved */
	tree_expect_names(&t,
		"package-0 package-0-core package-0-dram package-1 package-1-core "
		"package-1-dram psys");
}

static void test_units(void **state)
{
	static const struct {
		const char *vendor;
		unsigned family, model;
		uint64_t unit;
		uint64_t package[2], dram[2], psys[2];
	} models[] = {
#define CLIENT { 1000000, 16384 }, { 1000000, 16384 }, { 1000000, 16384 }
#define SERVER                                  \
	{ 1000000, 16384 }, { 1000000, 65536 }, \
	{                                       \
		1000000, 16384                  \
	}
#define JOULES                                  \
	{ 1000000, 16384 }, { 1000000, 16384 }, \
	{                                       \
		1000000, 1                      \
	}
#define ATOM                  \
	{ 32, 1 }, { 32, 1 }, \
	{                     \
		32, 1         \
	}
		{ "GenuineIntel", 6, 0x8e, ESU_14, CLIENT },
		{ "GenuineIntel", 6, 0x2d, ESU_16, { 1000000, 65536 }, { 1000000, 65536 },
			{ 1000000, 65536 } },
		{ "GenuineIntel", 6, 0x3f, ESU_14, SERVER },
		{ "GenuineIntel", 6, 0x4f, ESU_14, SERVER },
		{ "GenuineIntel", 6, 0x56, ESU_14, SERVER },
		{ "GenuineIntel", 6, 0x55, ESU_14, SERVER },
		{ "GenuineIntel", 6, 0x6a, ESU_14, SERVER },
		{ "GenuineIntel", 6, 0x6c, ESU_14, SERVER },
		{ "GenuineIntel", 6, 0x57, ESU_14, SERVER },
		{ "GenuineIntel", 6, 0x85, ESU_14, SERVER },
		{ "GenuineIntel", 6, 0x8f, ESU_14, JOULES },
		{ "GenuineIntel", 6, 0xcf, ESU_14, JOULES },
		{ "GenuineIntel", 6, 0x37, 0x505, ATOM },
		{ "GenuineIntel", 6, 0x4a, 0x505, ATOM },
		{ "GenuineIntel", 6, 0x4c, 0x505, ATOM },
		{ "GenuineIntel", 6, 0x5a, 0x505, ATOM },
		/* Another family's model of the same number is another processor. */
		{ "GenuineIntel", 19, 0x3f, ESU_14, CLIENT },
		{ "GenuineIntel", 6, 0x5c, ESU_14, CLIENT },
	};

	(void) state;
	tree_online(&t, "0");
	intel("0", 0, 0);
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
		tree_model(&t, models[i].vendor, models[i].family, models[i].model);
		tree_msr(&t, 0, UNIT, models[i].unit);
		tree_open(&t);
		assert_int_equal(tree_domain(&t, "package-0")->unit_num, models[i].package[0]);
		assert_int_equal(tree_domain(&t, "package-0")->unit_den, models[i].package[1]);
		assert_int_equal(tree_domain(&t, "package-0-dram")->unit_num, models[i].dram[0]);
		assert_int_equal(tree_domain(&t, "package-0-dram")->unit_den, models[i].dram[1]);
		assert_int_equal(tree_domain(&t, "psys")->unit_num, models[i].psys[0]);
		assert_int_equal(tree_domain(&t, "psys")->unit_den, models[i].psys[1]);
		tree_close(&t);
	}
}

/* ---- reading ---------------------------------------------------------------------------- */

static struct reading set_and_read(int cpu, uint32_t msr, uint64_t value, size_t domain)
{
	tree_msr(&t, cpu, msr, value);
	fakeclock_advance(&t.clock, NS_PER_S);
	return tree_read(&t, domain);
}

static void test_wrap(void **state)
{
	struct reading readings[SENSOR_MAX_DOMAINS];

	(void) state;
	intel("0", 0, 0);
	tree_online(&t, "0");
	tree_msr(&t, 0, PACKAGE, UINT32_MAX - 16383);
	tree_open(&t);
	tree_read(&t, 0);
	assert_int_equal(set_and_read(0, PACKAGE, 0, 0).energy_uj, 1000000);
	assert_int_equal(set_and_read(0, PACKAGE, 16384, 0).energy_uj, 2000000);
	/* Newer AMD and Intel processors may count on in the upper half. */
	assert_int_equal(
		set_and_read(0, PACKAGE, (UINT64_C(7) << 32) + 32768, 0).energy_uj, 3000000);
	assert_int_equal(tree_read(&t, 0).t_ns, t.clock.mono_ns);
	assert_int_equal(tree_read(&t, 0).t_err_ns, 0);
	t.sensor->kinds = KIND_BIT(KIND_DRAM);
	assert_int_equal(t.sensor->ops->read(t.sensor, readings), 0);
	assert_int_equal(readings[0].error, -EAGAIN);
	assert_int_equal(readings[2].error, 0);
}

/* The registers are the package's on each of its CPUs: counting goes on, nothing is lost. */
static void test_vanishing_cpu(void **state)
{
	char path[PATH_SIZE];
	struct reading got;
	uint64_t since_ns;
	int i;

	(void) state;
	intel("0-1", 0, 0);
	tree_online(&t, "0-1");
	tree_open(&t);
	since_ns = tree_read(&t, 0).since_ns;
	assert_int_equal(truncate(path_in(t.dir.path, "dev/cpu/0/msr", path), 0), 0);
	file_remove(t.dir.path, "dev/cpu/0/msr");
	for (i = 0; i < 30; i++) {
		fakeclock_advance(&t.clock, NS_PER_S);
		assert_true(tree_read(&t, 0).error < 0);
	}
	file_remove(t.dir.path, "sys/devices/system/cpu/cpu0/topology/physical_package_id");
	tree_online(&t, "1");
	tree_msr(&t, 1, PACKAGE, 1000 + 5 * 16384);
	for (i = 0; (got = tree_read(&t, 0)).error; i++) {
		assert_true(i < 70);
		fakeclock_advance(&t.clock, NS_PER_S);
	}
	assert_int_equal(got.since_ns, since_ns);
	assert_int_equal(got.energy_uj, 5000000);
}

/* ---- AMD -------------------------------------------------------------------------------- */

static void test_amd(void **state)
{
	(void) state;
	tree_model(&t, "AuthenticAMD", 0x19, 0x11);
	/* Two dies of a package have one counter. */
	tree_package(&t, "0-1,4-5", 0, 0);
	tree_package(&t, "2-3,6-7", 0, 1);
	for (int core = 0; core < 4; core++) {
		tree_siblings(&t, core, core + 4);
		tree_msr(&t, core, AMD_CORE, UINT32_MAX - 65535);
		tree_msr(&t, core + 4, AMD_CORE, UINT32_MAX - 65535);
	}
	tree_online(&t, "0-7");
	tree_msr(&t, 0, AMD_UNIT, ESU_16);
	tree_msr(&t, 0, AMD_PACKAGE, UINT64_C(3) << 32 | 7);
	tree_expect_names(&t, "package-0 package-0-core");
	assert_int_equal(t.sensor->domains[0].unit_den, 65536);
	assert_int_equal(t.sensor->domains[1].unit_den, 65536);
	assert_false(t.sensor->domains[1].counted);
	assert_int_equal(t.sensor->domains[1].parent, 0);
	assert_int_equal(tree_read(&t, 0).raw, 7);
	tree_read(&t, 1);
	/* Each core wraps when it pleases: the sum does not care. */
	assert_int_equal(set_and_read(1, AMD_CORE, 0, 1).energy_uj, 1000000);
	assert_int_equal(set_and_read(3, AMD_CORE, 65536, 1).energy_uj, 3000000);
	/* A thread's register is its core's, and not added again. */
	assert_int_equal(set_and_read(5, AMD_CORE, 65536, 1).energy_uj, 3000000);
}

static void test_hygon_and_old_amd(void **state)
{
	(void) state;
	tree_model(&t, "HygonGenuine", 0x18, 1);
	tree_package(&t, "0", 0, 0);
	tree_online(&t, "0");
	tree_msr(&t, 0, AMD_UNIT, ESU_16);
	tree_msr(&t, 0, AMD_PACKAGE, 7);
	tree_expect_names(&t, "package-0");
	tree_close(&t);
	tree_model(&t, "AuthenticAMD", 0x15, 1);
	tree_expect_refusal(&t, -ENODEV, "no energy registers are known", NULL);
}

/* ---- why not ---------------------------------------------------------------------------- */

static void test_refusals(void **state)
{
	(void) state;
	tree_expect_refusal(&t, -ENOENT, "does not tell the packages", NULL);
	tree_package(&t, "0-1", 0, 0);
	tree_online(&t, "x");
	tree_expect_refusal(&t, -ENODEV, "does not tell the packages", NULL);
	tree_online(&t, "0-1");
	tree_expect_refusal(&t, -ENOENT,
		"/dev/cpu has no registers: the kernel's driver is not loaded",
		"sudo modprobe msr");
	tree_msr(&t, 0, 0x10, 5);
	tree_expect_refusal(&t, -ENODEV, "not there or read 0", NULL);
	tree_msr(&t, 0, UNIT, 0);
	tree_expect_refusal(&t, -ENODEV, "not there or read 0", NULL);
	tree_msr(&t, 0, UNIT, ESU_14); /* but no counter counts */
	tree_expect_refusal(&t, -ENODEV, "not there or read 0", NULL);
	tree_cpu(&t, TREE_VIRTUAL);
	tree_expect_refusal(&t, -ENODEV, "virtual machine", NULL);
	tree_cpu(&t, TREE_ARM);
	tree_expect_refusal(&t, -ENODEV, "ARM", NULL);
	file_put(t.dir.path, "proc/cpuinfo", "");
	tree_expect_refusal(&t, -ENODEV, "no energy registers are known", NULL);
}

/* The file is root's alone. */
static int look_as_nobody(void)
{
	if (tree_try(&t) != -EACCES ||
		!strstr(t.sensor->why.reason, "/dev/cpu/0/msr: Permission denied") ||
		!strstr(t.sensor->why.fix, "sudo setcap cap_sys_rawio,cap_dac_read_search+ep /"))
		return __LINE__;
	tree_close(&t);
	return 0;
}

static void test_unreadable(void **state)
{
	char path[PATH_SIZE];

	(void) state;
	intel("0", 0, 0);
	tree_online(&t, "0");
	assert_int_equal(chmod(t.dir.path, 0755), 0);
	assert_int_equal(chmod(path_in(t.dir.path, "dev/cpu/0/msr", path), 0), 0);
	child_as_nobody(look_as_nobody);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_client),
		TEST(test_packages),
		TEST(test_units),
		TEST(test_wrap),
		TEST(test_vanishing_cpu),
		TEST(test_amd),
		TEST(test_hygon_and_old_amd),
		TEST(test_refusals),
		TEST(test_unreadable),
	};

	return cmocka_run_group_tests_name("rapl_msr", tests, NULL, NULL);
}
