// SPDX-License-Identifier: MIT
/* RAPL through powercap, on trees made for the purpose: which zones are found, what they are taken
 * for, and why none is. test_powercap_counts.c reads them. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "files.h"
#include "child.h"
#include "rapl_tree.h"

TREE_TESTS(t, "rapl-powercap", TREE_NO_CPU)

/* ---- what there is ---------------------------------------------------------------------- */

static void test_client(void **state)
{
	(void) state;
	tree_cpu(&t, TREE_INTEL);
	tree_zone(&t, "intel-rapl:0", "package-0");
	tree_zone(&t, "intel-rapl:0:0", "core");
	tree_zone(&t, "intel-rapl:0:1", "uncore");
	tree_zone(&t, "intel-rapl:0:2", "dram");
	tree_zone(&t, "intel-rapl:1", "psys");
	tree_zone(&t, "intel-rapl-mmio:0", "package-0");
	tree_zone(&t, "intel-rapl-mmio:0:0", "dram");
	dir_put(t.dir.path, POWERCAP "/intel-rapl/power"); /* the control type */
	tree_expect_names(&t, "package-0 package-0-core package-0-dram package-0-uncore psys");
	assert_int_equal(tree_domain(&t, "package-0")->kind, KIND_CPU);
	assert_true(tree_domain(&t, "package-0")->counted);
	assert_int_equal(tree_domain(&t, "package-0")->parent, -1);
	assert_string_equal(tree_domain(&t, "package-0")->sensor, "rapl-powercap");
	assert_int_equal(tree_domain(&t, "package-0")->quality, FLAG_MEASURED);
	/* Parts of the package are never added to it, nor is a GPU in it one of the kind. */
	assert_int_equal(tree_domain(&t, "package-0-core")->kind, KIND_CPU);
	assert_false(tree_domain(&t, "package-0-core")->counted);
	assert_int_equal(tree_domain(&t, "package-0-core")->parent, 0);
	assert_int_equal(tree_domain(&t, "package-0-uncore")->kind, KIND_CPU);
	assert_false(tree_domain(&t, "package-0-uncore")->counted);
	assert_int_equal(tree_domain(&t, "package-0-uncore")->parent, 0);
	assert_int_equal(tree_domain(&t, "package-0-dram")->kind, KIND_DRAM);
	assert_int_equal(tree_domain(&t, "package-0-dram")->parent, -1);
	assert_int_equal(tree_domain(&t, "psys")->kind, KIND_PLATFORM);
}

/* Zones are numbered in hexadecimal and in the order of registration, which tells nothing. */
static void test_server(void **state)
{
	(void) state;
	tree_cpu(&t, TREE_INTEL);
	tree_zone(&t, "intel-rapl:2", "package-10");
	tree_zone(&t, "intel-rapl:a", "package-2");
	tree_zone(&t, "intel-rapl:b", "package-0");
	tree_zone(&t, "intel-rapl:1f", "psys-1");
	tree_zone(&t, "intel-rapl:a:0", "dram");
	tree_zone(&t, "intel-rapl:b:0", "dram");
	tree_zone(&t, "intel-rapl:2:a", "dram");
	tree_zone(&t, "intel-rapl:0", "psys");
	tree_expect_names(&t,
		"package-0 package-0-dram package-2 package-2-dram package-10 package-10-dram "
		"psys psys-1");
	assert_true(tree_domain(&t, "package-10-dram")->counted);
}

/* Two dies of a package are two counters at Intel, and one that is shown twice at AMD. */
static void test_dies(void **state)
{
	(void) state;
	tree_cpu(&t, TREE_INTEL);
	tree_zone(&t, "intel-rapl:0", "package-0-die-0");
	tree_zone(&t, "intel-rapl:1", "package-0-die-1");
	tree_zone(&t, "intel-rapl:0:0", "dram");
	tree_zone(&t, "intel-rapl:1:0", "dram");
	tree_expect_names(
		&t, "package-0-die-0 package-0-die-0-dram package-0-die-1 package-0-die-1-dram");
	tree_close(&t);
	tree_cpu(&t, TREE_AMD);
	file_remove(t.dir.path, POWERCAP "/intel-rapl:0:0/name");
	file_remove(t.dir.path, POWERCAP "/intel-rapl:1:0/name");
	tree_zone(&t, "intel-rapl:2", "package-1-die-0");
	tree_zone(&t, "intel-rapl:3", "package-1-die-1");
	tree_zone(&t, "intel-rapl:4", "package-10-die-0");
	tree_expect_names(&t, "package-0-die-0 package-1-die-0 package-10-die-0");
	tree_close(&t);
	tree_cpu(&t, TREE_HYGON);
	tree_expect_names(&t, "package-0-die-0 package-1-die-0 package-10-die-0");
}

/* AMD's "core" is one core of the package: 9 W where the package draws 170. */
static void test_amd_core(void **state)
{
	(void) state;
	tree_cpu(&t, TREE_AMD);
	tree_zone(&t, "intel-rapl:0", "package-0");
	tree_zone(&t, "intel-rapl:0:0", "core");
	tree_expect_names(&t, "package-0");
}

/* Where the MSRs are locked only the other view of the same counters is there. */
static void test_mmio_alone(void **state)
{
	(void) state;
	tree_cpu(&t, TREE_INTEL);
	tree_zone(&t, "intel-rapl-mmio:0", "package-0");
	tree_zone(&t, "intel-rapl-mmio:0:0", "dram");
	tree_expect_names(&t, "package-0 package-0-dram");
}

static void test_not_zones(void **state)
{
	(void) state;
	tree_cpu(&t, TREE_INTEL);
	tree_zone(&t, "intel-rapl:0", "package-0");
	tree_zone(&t, "intel-rapl:", "package-1");
	tree_zone(&t, "intel-rapl:g", "package-2");
	tree_zone(&t, "intel-rapl:0:", "dram");
	tree_zone(&t, "intel-rapl:0:0:0", "dram");
	tree_zone(&t, "intel-rapl-mmio", "package-3");
	tree_zone(&t, "intel-rapl-tpmi:0", "package-4");
	tree_zone(&t, "dtpm:0", "package-5");
	tree_zone(&t, "arm-scmi:0", "package-6");
	tree_zone(&t, "intel-rapl:1", "a name that is longer than any zone's name ever was");
	tree_zone(&t, "intel-rapl:2", "something");
	tree_zone(&t, "intel-rapl:2:0", "dram");
	tree_zone(&t, "intel-rapl:3:0", "dram"); /* without what it should be a part of */
	tree_expect_names(&t, "package-0 something-dram");
}

/* More zones than there is room for are left out, not written over something. */
static void test_many(void **state)
{
	(void) state;
	tree_cpu(&t, TREE_INTEL);
	for (int i = 0; i < 80; i++) {
		char zone[32], name[32];

		snprintf(zone, sizeof(zone), "intel-rapl:%x", (unsigned) i);
		snprintf(name, sizeof(name), "package-%d", i);
		tree_zone(&t, zone, name);
	}
	tree_open(&t);
	assert_int_equal(t.sensor->n_domains, SENSOR_MAX_DOMAINS);
}

/* ---- what a domain can be --------------------------------------------------------------- */

static void test_units(void **state)
{
	static const struct {
		uint64_t range_uj;
		uint64_t num, den, modulus;
	} cases[] = {
		{ 262143328850, 1000000, 16384, UINT64_C(1) << 32 },
		{ 65532610987, 1000000, 65536, UINT64_C(1) << 32 },
		{ 65712999613, 1000000, 65536, UINT64_C(1) << 32 }, /* 15.3 uJ stand for 2^-16 J */
		{ 524286657700, 1000000, 8192, UINT64_C(1) << 32 },
		{ 4294967295000000, 1000000, 1, UINT64_C(1) << 32 },
		/* No register of the driver: taken as it stands. */
		{ 262143328851, 1, 1, 262143328852 },
		{ 1000, 1, 1, 1001 },
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct domain *d;

		tree_zone(&t, "intel-rapl:0", "package-0");
		tree_number(&t, "intel-rapl:0", "max_energy_range_uj", cases[i].range_uj);
		tree_number(&t, "intel-rapl:0", "energy_uj", 0);
		tree_open(&t);
		d = &t.sensor->domains[0];
		if (d->unit_num != cases[i].num || d->unit_den != cases[i].den ||
			d->modulus != cases[i].modulus)
			fail_msg("case %zu: %llu/%llu uJ up to %llu", i,
				(unsigned long long) d->unit_num, (unsigned long long) d->unit_den,
				(unsigned long long) d->modulus);
		tree_close(&t);
	}
	/* A value that the driver cannot have made from a count, and no range at all. */
	tree_number(&t, "intel-rapl:0", "max_energy_range_uj", 262143328850);
	tree_number(&t, "intel-rapl:0", "energy_uj", 100);
	tree_open(&t);
	assert_int_equal(t.sensor->domains[0].unit_den, 1);
	assert_int_equal(t.sensor->domains[0].modulus, 262143328851);
	tree_close(&t);
	file_remove(t.dir.path, POWERCAP "/intel-rapl:0/max_energy_range_uj");
	tree_open(&t);
	assert_int_equal(t.sensor->domains[0].modulus, 0);
}

/* How much power is possible: limits are believed, but not every number. */
static void test_power_limits(void **state)
{
	static const struct {
		const char *file;
		const char *text;
		uint64_t max_mw;
	} cases[] = {
		{ "constraint_0_max_power_uw", "95000000\n", 1000000 },
		{ "constraint_0_max_power_uw", "", 1000000 },
		{ "constraint_1_power_limit_uw", "750000000\n", 1500000 },
		{ "constraint_2_max_power_uw", "2000000000\n", 4000000 },
		{ "constraint_0_power_limit_uw", "4090000000\n", 4000000 },
		{ "constraint_0_power_limit_uw", "18446744073709551615\n", 4000000 },
		{ "constraint_0_power_limit_uw", "-1\n", 1000000 },
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char path[PATH_SIZE];

		tree_zone(&t, "intel-rapl:0", "package-0");
		snprintf(path, sizeof(path), POWERCAP "/intel-rapl:0/%s", cases[i].file);
		file_put(t.dir.path, path, cases[i].text);
		tree_open(&t);
		assert_int_equal(t.sensor->domains[0].max_power_mw, cases[i].max_mw);
		tree_close(&t);
		file_remove(t.dir.path, path);
	}
}

/* ---- why there is none ------------------------------------------------------------------ */

static void test_absent(void **state)
{
	(void) state;
	tree_cpu(&t, TREE_INTEL);
	tree_expect_refusal(&t, -ENOENT, "no intel-rapl zones", "sudo modprobe intel_rapl_msr");
	tree_close(&t);
	dir_put(t.dir.path, POWERCAP "/intel-rapl");
	tree_expect_refusal(&t, -ENOENT, "no intel-rapl zones", "sudo modprobe intel_rapl_msr");
	tree_close(&t);
	tree_cpu(&t, TREE_VIRTUAL);
	tree_expect_refusal(&t, -ENOENT, "virtual machine", NULL);
	tree_close(&t);
	tree_cpu(&t, TREE_ARM);
	tree_expect_refusal(&t, -ENOENT, "ARM", NULL);
	tree_close(&t);
	/* Zones that are none of ours do not count. */
	tree_cpu(&t, TREE_INTEL);
	tree_zone(&t, "intel-rapl:0", "something");
	tree_expect_refusal(&t, -ENOENT, "no intel-rapl zones", "sudo modprobe intel_rapl_msr");
}

/* In a container the class has its links, and what they lead to is covered up. */
static void test_masked(void **state)
{
	(void) state;
	tree_cpu(&t, TREE_INTEL);
	link_put(t.dir.path, POWERCAP "/intel-rapl:0",
		"../../devices/virtual/powercap/intel-rapl/intel-rapl:0");
	link_put(t.dir.path, POWERCAP "/intel-rapl:0:0",
		"../../devices/virtual/powercap/intel-rapl/intel-rapl:0/intel-rapl:0:0");
	tree_expect_refusal(&t, -ENOENT, "hidden", "--root /host");
	tree_close(&t);
	/* The same links with something behind them. */
	file_put(t.dir.path, "sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/name",
		"package-0\n");
	file_put(t.dir.path, "sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/energy_uj",
		"5\n");
	tree_expect_names(&t, "package-0");
}

static void test_empty_or_odd_value(void **state)
{
	(void) state;
	tree_cpu(&t, TREE_INTEL);
	tree_zone(&t, "intel-rapl:0", "package-0");
	file_put(t.dir.path, POWERCAP "/intel-rapl:0/energy_uj", "");
	tree_expect_refusal(&t, -ENODATA, "intel-rapl:0/energy_uj: No data available", NULL);
	tree_close(&t);
	file_put(t.dir.path, POWERCAP "/intel-rapl:0/energy_uj", "lots\n");
	tree_expect_refusal(&t, -EINVAL, "intel-rapl:0/energy_uj: Invalid argument", NULL);
	tree_close(&t);
	file_remove(t.dir.path, POWERCAP "/intel-rapl:0/energy_uj");
	tree_expect_refusal(&t, -ENOENT, "intel-rapl:0/energy_uj: No such file", NULL);
	tree_close(&t);
	/* Beside a good one it is left out. */
	tree_zone(&t, "intel-rapl:1", "package-1");
	tree_expect_names(&t, "package-1");
}

static int see_package(void)
{
	if (tree_try(&t) != 0 || t.sensor->n_domains != 1 ||
		strcmp(t.sensor->domains[0].name, "package-0") != 0)
		return __LINE__;
	tree_close(&t);
	return 0;
}

static int see_nothing(void)
{
	if (tree_try(&t) != -EACCES ||
		!strstr(t.sensor->why.reason, "energy_uj: Permission denied") ||
		!strstr(t.sensor->why.fix, "sudo setcap cap_dac_read_search+ep /"))
		return __LINE__;
	tree_close(&t);
	return 0;
}

/* Since 2020 only root may read them. */
static void test_unreadable(void **state)
{
	char path[PATH_SIZE];

	(void) state;
	assert_int_equal(chmod(t.dir.path, 0755), 0);
	tree_cpu(&t, TREE_INTEL);
	tree_zone(&t, "intel-rapl:0", "package-0");
	tree_zone(&t, "intel-rapl:0:0", "dram");
	path_in(t.dir.path, POWERCAP "/intel-rapl:0:0/energy_uj", path);
	assert_int_equal(chmod(path, 0), 0);
	child_as_nobody(see_package);
	path_in(t.dir.path, POWERCAP "/intel-rapl:0/energy_uj", path);
	assert_int_equal(chmod(path, 0), 0);
	child_as_nobody(see_nothing);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_client),
		TEST(test_server),
		TEST(test_dies),
		TEST(test_amd_core),
		TEST(test_mmio_alone),
		TEST(test_not_zones),
		TEST(test_many),
		TEST(test_units),
		TEST(test_power_limits),
		TEST(test_absent),
		TEST(test_masked),
		TEST(test_empty_or_odd_value),
		TEST(test_unreadable),
	};

	return cmocka_run_group_tests_name("powercap", tests, NULL, NULL);
}
