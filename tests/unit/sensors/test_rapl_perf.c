// SPDX-License-Identifier: MIT
/* RAPL through the power PMU, on copied machines: what is found, what it is taken for, and what is
 * read. test_rapl_perf_kernel.c asks a kernel. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rapl_tree.h"

#define POWER "sys/bus/event_source/devices/power"
#define JOULE (UINT64_C(1) << 32)

TREE_TESTS(t, "rapl-perf", TREE_INTEL)

static void put_file(const char *name, const char *text)
{
	file_put(t.dir.path, name, text);
}

/* ---- what there is ---------------------------------------------------------------------- */

static void test_client(void **state)
{
	(void) state;
	tree_package(&t, "0-7", 0, 0);
	tree_power(&t, "0", "energy-cores energy-pkg energy-ram energy-gpu energy-psys");
	tree_expect_names(&t, "package-0 package-0-core package-0-dram package-0-uncore psys");
	for (size_t i = 0; i < t.sensor->n_domains; i++) {
		const struct domain *d = &t.sensor->domains[i];

		/* 2^-32 J, exactly */
		assert_int_equal(d->unit_num, 15625);
		assert_int_equal(d->unit_den, 67108864);
		assert_int_equal(d->modulus, 0);
		assert_int_equal(d->quality, FLAG_MEASURED);
		assert_string_equal(d->sensor, "rapl-perf");
	}
}

/* The kernel's counts are finer than the register behind them. */
static void test_steps(void **state)
{
	(void) state;
	tree_model(&t, "GenuineIntel", 6, 0x8f);
	tree_package(&t, "0-7", 0, 0);
	tree_power(&t, "0", "energy-pkg energy-psys");
	tree_expect_names(&t, "package-0 psys");
	assert_int_equal(domain_step_uj(&t.sensor->domains[0]), 62);
	assert_int_equal(domain_step_uj(&t.sensor->domains[1]), 1000000);
}

/* A domain is the same one whichever way it is read. */
static void test_same_as_powercap(void **state)
{
	struct domain perf[SENSOR_MAX_DOMAINS];
	size_t n;

	(void) state;
	tree_package(&t, "0-3", 0, 0);
	tree_package(&t, "4-7", 1, 0);
	tree_power(&t, "0,4", "energy-cores energy-pkg energy-ram energy-gpu energy-psys");
	tree_open(&t);
	n = t.sensor->n_domains;
	memcpy(perf, t.sensor->domains, sizeof(perf));
	tree_close(&t);
	t.sensor_name = "rapl-powercap";
	for (int p = 0; p < 2; p++) {
		static const char *const names[] = { "core", "uncore", "dram" };
		char zone[32], name[32];

		snprintf(zone, sizeof(zone), "intel-rapl:%d", p);
		snprintf(name, sizeof(name), "package-%d", p);
		tree_zone(&t, zone, name);
		for (int k = 0; k < 3; k++) {
			snprintf(zone, sizeof(zone), "intel-rapl:%d:%d", p, k);
			tree_zone(&t, zone, names[k]);
		}
		snprintf(zone, sizeof(zone), "intel-rapl:%d", 2 + p);
		tree_zone(&t, zone, p ? "psys-1" : "psys");
	}
	tree_open(&t);
	assert_int_equal(n, 10);
	assert_int_equal(t.sensor->n_domains, n);
	for (size_t i = 0; i < n; i++) {
		const struct domain *other = tree_domain(&t, perf[i].name);

		assert_int_equal(other - t.sensor->domains, i);
		assert_string_equal(other->scope, perf[i].scope);
		assert_int_equal(other->kind, perf[i].kind);
		assert_int_equal(other->counted, perf[i].counted);
		assert_int_equal(other->parent, perf[i].parent);
		assert_int_equal(other->update_ns, perf[i].update_ns);
		assert_int_equal(other->max_power_mw, perf[i].max_power_mw);
	}
}

/* Package numbers may have gaps, and the mask is in the order of CPUs. */
static void test_packages(void **state)
{
	(void) state;
	tree_package(&t, "0", 10, 0);
	tree_package(&t, "24", 2, 0);
	tree_package(&t, "30", 0, 0);
	tree_power(&t, "0,24,30", "energy-pkg energy-ram");
	tree_expect_names(&t,
		"package-0 package-0-dram package-2 package-2-dram package-10 "
		"package-10-dram");
}

/* Two dies are two counters at Intel, and one that is shown twice at AMD. */
static void test_dies(void **state)
{
	(void) state;
	tree_package(&t, "0", 0, 0);
	tree_package(&t, "8", 0, 1);
	tree_power(&t, "0,8", "energy-pkg energy-psys");
	tree_expect_names(&t, "package-0-die-0 package-0-die-1 psys");
	tree_close(&t);
	tree_cpu(&t, TREE_AMD);
	tree_expect_names(&t, "package-0");
	tree_close(&t);
	/* Kernels that know no dies count by package. */
	tree_cpu(&t, TREE_INTEL);
	file_remove(t.dir.path, "sys/devices/system/cpu/cpu0/topology/die_id");
	file_remove(t.dir.path, "sys/devices/system/cpu/cpu8/topology/die_id");
	tree_expect_names(&t, "package-0 psys");
}

/* What is not known of an event, it is not there; the others are. */
static void test_odd_events(void **state)
{
	static const struct {
		const char *file;
		const char *text;
	} odd[] = {
		{ POWER "/events/energy-ram", "config=0x03\n" },
		{ POWER "/events/energy-ram", "event=0x\n" },
		{ POWER "/events/energy-ram", "" },
		{ POWER "/events/energy-ram.unit", "Watts\n" },
		{ POWER "/events/energy-ram.scale", "x\n" },
		{ POWER "/events/energy-ram.scale", "0\n" },
		{ POWER "/events/energy-ram.scale", "1e-300\n" },
		{ POWER "/events/energy-ram.scale", "\n" },
	};

	(void) state;
	tree_package(&t, "0", 0, 0);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		tree_power(&t, "0", "energy-pkg energy-ram");
		put_file(odd[i].file, odd[i].text);
		tree_expect_names(&t, "package-0");
		tree_close(&t);
	}
	/* Another scale is taken as it is. */
	tree_power(&t, "0", "energy-pkg energy-ram");
	put_file(POWER "/events/energy-ram.scale", "6.103515625e-05\n");
	tree_expect_names(&t, "package-0 package-0-dram");
	assert_int_equal(tree_domain(&t, "package-0-dram")->unit_num, 15625);
	assert_int_equal(tree_domain(&t, "package-0-dram")->unit_den, 256);
}

static void test_refusals(void **state)
{
	(void) state;
	tree_expect_refusal(&t, -ENOENT, "power is not there", "sudo modprobe rapl");
	put_file("sys/module/rapl", "");
	tree_expect_refusal(&t, -ENOENT, "though the driver rapl is loaded", NULL);
	file_remove(t.dir.path, "sys/module/rapl");
	tree_cpu(&t, TREE_VIRTUAL);
	tree_expect_refusal(&t, -ENOENT, "virtual machine", NULL);
	tree_cpu(&t, TREE_ARM);
	tree_expect_refusal(&t, -ENOENT, "ARM", NULL);
	tree_cpu(&t, TREE_INTEL);
	/* A PMU without an event, without a CPU, of which nothing is known. */
	tree_pmu(&t, "power", "0");
	tree_expect_refusal(&t, -ENOENT, "not there", "modprobe");
	tree_event(&t, "power", "energy-pkg", 2);
	tree_expect_refusal(&t, -ENODEV, "names no CPU", NULL);
	tree_package(&t, "0", 0, 0);
	tree_expect_refusal(&t, -ENOENT, "a copy without counts", NULL);
	put_file(POWER "/cpumask", "");
	tree_expect_refusal(&t, -ENODEV, "names no CPU", NULL);
	put_file(POWER "/cpumask", "0\n");
	put_file(POWER "/type", "x\n");
	tree_expect_refusal(&t, -EINVAL, "not there", "modprobe");
	put_file(POWER "/type", "9\n");
	tree_count(&t, "power", 0, "energy-pkg", 1);
	tree_expect_names(&t, "package-0");
}

/* A package whose CPU cannot be asked, and one that lacks an event. */
static void test_part(void **state)
{
	(void) state;
	tree_package(&t, "0", 0, 0);
	tree_package(&t, "1", 1, 0);
	tree_power(&t, "0,1", "energy-pkg energy-psys");
	file_remove(t.dir.path, POWER "/counts/cpu1/energy-psys");
	tree_expect_names(&t, "package-0 package-1 psys");
	tree_close(&t);
	file_remove(t.dir.path, POWER "/counts/cpu0/energy-psys");
	file_remove(t.dir.path, POWER "/counts/cpu0/energy-pkg");
	tree_count(&t, "power", 1, "energy-psys", 1);
	/* Probing looks at the first package only. */
	assert_int_equal(tree_try(&t), -ENOENT);
}

/* ---- reading ---------------------------------------------------------------------------- */

static void one_package(void)
{
	tree_package(&t, "0-1", 0, 0);
	tree_power(&t, "0", "energy-pkg energy-ram");
	tree_open(&t);
}

static struct reading count_and_read(uint64_t count, uint64_t after_ns)
{
	tree_count(&t, "power", 0, "energy-pkg", count);
	fakeclock_advance(&t.clock, after_ns);
	return tree_read(&t, 0);
}

static void test_reading(void **state)
{
	struct reading readings[SENSOR_MAX_DOMAINS];
	uint64_t begun_ns;

	(void) state;
	one_package();
	begun_ns = tree_read(&t, 0).since_ns;
	assert_int_equal(count_and_read(1000 + 20 * JOULE, NS_PER_S).energy_uj, 20000000);
	/* The smallest count, and what is below a microjoule is carried. */
	assert_int_equal(count_and_read(1001 + 20 * JOULE, NS_PER_S).energy_uj, 20000000);
	assert_int_equal(count_and_read(1000 + 20 * JOULE + 4295, NS_PER_S).energy_uj, 20000001);
	/* Far beyond 32 bits of anything */
	assert_int_equal(
		count_and_read(1000 + 20020 * JOULE, 25 * NS_PER_S).energy_uj, 20020000000);
	assert_int_equal(tree_read(&t, 0).since_ns, begun_ns);
	assert_int_equal(tree_read(&t, 0).t_ns, t.clock.mono_ns);
	assert_int_equal(tree_read(&t, 0).t_err_ns, 0);
	assert_int_equal(tree_read(&t, 0).flags, FLAG_MEASURED);
	t.sensor->kinds = KIND_BIT(KIND_DRAM);
	assert_int_equal(t.sensor->ops->read(t.sensor, readings), 0);
	assert_int_equal(readings[0].error, -EAGAIN);
	assert_int_equal(readings[1].error, 0);
}

/* An event that its package lacks opens and stays at 0: that is no reading. */
static void test_never_counted(void **state)
{
	(void) state;
	one_package();
	tree_count(&t, "power", 0, "energy-ram", 0);
	for (int i = 0; i < 20; i++) {
		struct reading got = count_and_read((uint64_t) (i + 2) * JOULE, NS_PER_S);

		assert_int_equal(got.error, 0);
		assert_int_equal(tree_read(&t, 1).error, -EAGAIN);
	}
	tree_count(&t, "power", 0, "energy-ram", 5);
	assert_int_equal(tree_read(&t, 1).error, 0);
}

/* The kernel takes steps of more than 2^31 as negative: a count that ran backwards, or one over so
 * long a time that it may have, is no energy. */
static void test_sign_trap(void **state)
{
	struct reading got;

	(void) state;
	one_package();
	count_and_read(100 * JOULE, NS_PER_S);
	/* Perhaps it is a glitch: the next count decides. */
	assert_int_equal(count_and_read(80 * JOULE, NS_PER_S).error, -EBADMSG);
	got = count_and_read(90 * JOULE, NS_PER_S);
	assert_int_equal(got.error, 0);
	assert_int_equal(got.energy_uj, 0);
	assert_int_equal(got.since_ns, t.clock.mono_ns);
	assert_int_equal(count_and_read(190 * JOULE, 29 * NS_PER_S).energy_uj, 100000000);
	got = count_and_read(290 * JOULE, 31 * NS_PER_S);
	assert_int_equal(got.since_ns, t.clock.mono_ns);
	assert_int_equal(got.energy_uj, 0);
	assert_int_equal(count_and_read(390 * JOULE, 10 * NS_PER_S).energy_uj, 100000000);
	/* More than a package can use. */
	assert_int_equal(count_and_read(19990 * JOULE, NS_PER_S).error, -EBADMSG);
	got = count_and_read(20000 * JOULE, NS_PER_S);
	assert_int_equal(got.since_ns, t.clock.mono_ns);
}

/* ---- counters that go away -------------------------------------------------------------- */

static void test_bad_values(void **state)
{
	static const struct {
		const char *text;
		int error;
	} values[] = { { "\n", -EINVAL }, { "-5\n", -EINVAL },
		{ "99999999999999999999\n", -ERANGE } };

	(void) state;
	one_package();
	count_and_read(10 * JOULE, NS_PER_S);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		put_file(POWER "/counts/cpu0/energy-pkg", values[i].text);
		fakeclock_advance(&t.clock, NS_PER_S);
		assert_int_equal(tree_read(&t, 0).error, values[i].error);
		assert_int_equal(tree_read(&t, 1).error, 0); /* on its own */
	}
	/* Nothing was lost meanwhile. */
	assert_int_equal(count_and_read(60 * JOULE, NS_PER_S).energy_uj, 50000000);
}

/* The CPU that answers for the package goes offline, another one takes over: its counts begin at
 * 0, and soon are above what was read last. */
static void test_vanishing_cpu(void **state)
{
	struct reading got;

	(void) state;
	one_package();
	count_and_read(2000, NS_PER_S);
	put_file(POWER "/counts/cpu0/energy-pkg", "");
	put_file(POWER "/counts/cpu0/energy-ram", "");
	file_remove(t.dir.path, POWER "/counts/cpu0/energy-pkg");
	file_remove(t.dir.path, POWER "/counts/cpu0/energy-ram");
	put_file(POWER "/cpumask", "\n");
	for (int i = 0; i < 40; i++) {
		fakeclock_advance(&t.clock, NS_PER_S);
		assert_int_equal(tree_read(&t, 0).error, -ENODEV);
	}
	put_file(POWER "/cpumask", "1\n");
	tree_count(&t, "power", 1, "energy-pkg", 3 * JOULE);
	tree_count(&t, "power", 1, "energy-ram", 3 * JOULE);
	for (int i = 0; (got = tree_read(&t, 0)).error; i++) {
		assert_true(i < 70);
		fakeclock_advance(&t.clock, NS_PER_S);
	}
	/* Counting begins anew: nobody knows what was used meanwhile. */
	assert_int_equal(got.energy_uj, 0);
	assert_int_equal(got.since_ns, t.clock.mono_ns);
	tree_count(&t, "power", 1, "energy-pkg", 8 * JOULE);
	fakeclock_advance(&t.clock, NS_PER_S);
	assert_int_equal(tree_read(&t, 0).energy_uj, 5000000);
	assert_string_equal(t.sensor->domains[0].name, "package-0");
}

/* A count that stands still for seconds was left behind: it is opened again. */
static void test_stuck(void **state)
{
	int since_changes = 0;
	uint64_t since_ns;

	(void) state;
	one_package();
	since_ns = count_and_read(10 * JOULE, NS_PER_S).since_ns;
	for (int i = 0; i < 100; i++) {
		struct reading got = count_and_read(10 * JOULE, NS_PER_S);

		if (got.error == 0 && got.since_ns != since_ns) {
			since_changes++;
			since_ns = got.since_ns;
		}
	}
	assert_in_range(since_changes, 2, 6);
	assert_int_equal(count_and_read(15 * JOULE, NS_PER_S).energy_uj, 5000000);
}

/* The event of a CPU that went offline answers as before, and stands still also when the CPU is back. */
static void test_left_behind(void **state)
{
	struct reading got;
	uint64_t since_ns;

	(void) state;
	one_package();
	since_ns = count_and_read(10 * JOULE, NS_PER_S).since_ns;
	/* It moved until the CPU went. */
	t.host.usage.n_cpu--;
	assert_int_equal(count_and_read(11 * JOULE, 100 * NS_PER_MS).error, 0);
	t.host.usage.n_cpu++;
	for (int i = 0; i < 5; i++)
		assert_int_equal(count_and_read(11 * JOULE, 100 * NS_PER_MS).error, 0);
	assert_int_equal(count_and_read(11 * JOULE, 100 * NS_PER_MS).error, -ENODEV);
	got = count_and_read(JOULE, 100 * NS_PER_MS);
	assert_int_equal(got.error, 0);
	assert_true(got.since_ns > since_ns);
	assert_int_equal(count_and_read(3 * JOULE, 100 * NS_PER_MS).energy_uj, 2000000);
}

/* A package without a CPU is opened again as soon as CPUs have come, however seldom it is tried else. */
static void test_back_at_once(void **state)
{
	(void) state;
	one_package();
	count_and_read(10 * JOULE, NS_PER_S);
	t.host.usage.n_cpu--;
	put_file(POWER "/cpumask", "\n");
	for (int i = 0; i < 40; i++)
		count_and_read(10 * JOULE, NS_PER_S);
	assert_int_equal(count_and_read(10 * JOULE, NS_PER_MS).error, -ENODEV);
	put_file(POWER "/cpumask", "0\n");
	assert_int_equal(count_and_read(10 * JOULE, NS_PER_MS).error, -ENODEV);
	t.host.usage.n_cpu++;
	assert_int_equal(count_and_read(10 * JOULE, NS_PER_MS).error, 0);
}

/* Where the kernel has moved it to another CPU it counts on, and stays as it is. */
static void test_moved_to_another_cpu(void **state)
{
	uint64_t since_ns;

	(void) state;
	one_package();
	since_ns = count_and_read(10 * JOULE, NS_PER_S).since_ns;
	t.host.usage.n_cpu--;
	for (uint64_t i = 1; i < 20; i++)
		assert_int_equal(
			count_and_read((10 + i) * JOULE, 100 * NS_PER_MS).since_ns, since_ns);
	/* From then on it takes as long as ever. */
	for (int i = 0; i < 20; i++)
		assert_int_equal(count_and_read(29 * JOULE, 100 * NS_PER_MS).since_ns, since_ns);
}

/* Looked at rarely, a count that moved in between is not stuck. */
static void test_seldom_read(void **state)
{
	uint64_t since_ns;

	(void) state;
	one_package();
	since_ns = tree_read(&t, 0).since_ns;
	for (uint64_t i = 1; i < 20; i++)
		assert_int_equal(count_and_read(i * 100 * JOULE, 20 * NS_PER_S).since_ns, since_ns);
}

/* ---- AMD -------------------------------------------------------------------------------- */

/* Two packages of two cores with two threads each. */
static void amd(void)
{
	tree_cpu(&t, TREE_AMD);
	tree_package(&t, "0-1,4-5", 0, 0);
	tree_package(&t, "2-3,6-7", 1, 0);
	tree_power(&t, "0,2", "energy-pkg");
	tree_pmu(&t, "power_core", "0-3");
	tree_event(&t, "power_core", "energy-core", 1);
	for (int cpu = 0; cpu < 4; cpu++)
		tree_count(&t, "power_core", cpu, "energy-core", JOULE);
}

static void test_amd(void **state)
{
	const struct domain *d;
	uint64_t at_ns;

	(void) state;
	amd();
	tree_expect_names(&t, "package-0 package-0-core package-1 package-1-core");
	d = tree_domain(&t, "package-1-core");
	assert_false(d->counted);
	assert_int_equal(d->parent, 2);
	assert_int_equal(d->update_ns, 100 * NS_PER_MS);
	/* The cores of a package are added up, and read more rarely than the package. */
	tree_read(&t, 3);
	at_ns = tree_read(&t, 3).t_ns;
	tree_count(&t, "power_core", 2, "energy-core", 4 * JOULE);
	tree_count(&t, "power_core", 3, "energy-core", 6 * JOULE);
	tree_count(&t, "power_core", 0, "energy-core", 9 * JOULE);
	fakeclock_advance(&t.clock, 50 * NS_PER_MS);
	assert_int_equal(tree_read(&t, 3).t_ns, at_ns);
	assert_int_equal(tree_read(&t, 3).energy_uj, 0);
	fakeclock_advance(&t.clock, 50 * NS_PER_MS);
	assert_int_equal(tree_read(&t, 3).energy_uj, 8000000);
	assert_int_equal(tree_read(&t, 3).t_ns, at_ns + 100 * NS_PER_MS);
}

/* Where cores come and go, what was counted on those that went is not known. */
static void test_amd_hotplug(void **state)
{
	(void) state;
	amd();
	tree_open(&t);
	tree_read(&t, 1);
	t.host.usage.n_cpu--;
	put_file("sys/bus/event_source/devices/power_core/cpumask", "0,2-3\n");
	tree_count(&t, "power_core", 0, "energy-core", 20 * JOULE);
	fakeclock_advance(&t.clock, NS_PER_S);
	assert_int_equal(tree_read(&t, 1).since_ns, t.clock.mono_ns);
	tree_count(&t, "power_core", 0, "energy-core", 21 * JOULE);
	fakeclock_advance(&t.clock, NS_PER_S);
	assert_int_equal(tree_read(&t, 1).energy_uj, 1000000);
	/* More than there were at first: there is no room. */
	t.host.usage.n_cpu += 3;
	put_file("sys/bus/event_source/devices/power_core/cpumask", "0-5\n");
	tree_count(&t, "power_core", 4, "energy-core", JOULE);
	tree_count(&t, "power_core", 5, "energy-core", JOULE);
	fakeclock_advance(&t.clock, NS_PER_S);
	assert_int_equal(tree_read(&t, 1).error, -ENODEV);
	assert_int_equal(tree_read(&t, 0).error, 0);
}

/* Too many to wake them all. */
static void test_amd_many_cores(void **state)
{
	(void) state;
	tree_cpu(&t, TREE_AMD);
	tree_package(&t, "0-64", 0, 0);
	tree_power(&t, "0", "energy-pkg");
	tree_pmu(&t, "power_core", "0-64");
	tree_event(&t, "power_core", "energy-core", 1);
	for (int cpu = 0; cpu < 65; cpu++)
		tree_count(&t, "power_core", cpu, "energy-core", JOULE);
	tree_expect_names(&t, "package-0");
	assert_non_null(strstr(t.sensor->why.reason, "power_core is left out"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_client),
		TEST(test_steps),
		TEST(test_same_as_powercap),
		TEST(test_packages),
		TEST(test_dies),
		TEST(test_odd_events),
		TEST(test_refusals),
		TEST(test_part),
		TEST(test_reading),
		TEST(test_never_counted),
		TEST(test_sign_trap),
		TEST(test_bad_values),
		TEST(test_vanishing_cpu),
		TEST(test_stuck),
		TEST(test_left_behind),
		TEST(test_back_at_once),
		TEST(test_moved_to_another_cpu),
		TEST(test_seldom_read),
		TEST(test_amd),
		TEST(test_amd_hotplug),
		TEST(test_amd_many_cores),
	};

	return cmocka_run_group_tests_name("rapl_perf", tests, NULL, NULL);
}
