// SPDX-License-Identifier: MIT
/* The model that stands in where there is no sensor. */
#include "test.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fakeclock.h"
#include "files.h"
#include "random.h"
#include "meter/sensor.h"
#include "util/u128.h"

struct fixture {
	struct tmpdir dir;
	struct fakeclock clock;
	struct host host;
	struct sensor_options options;
	struct sensor sensor;
};

static int try_open(struct fixture *x, const char *cpuinfo, uint64_t idle_mw, uint64_t full_mw)
{
	memset(x, 0, sizeof(*x));
	x->dir = tmpdir_make();
	file_put(x->dir.path, "proc/cpuinfo", cpuinfo);
	fakeclock_init(&x->clock, 1000 * NS_PER_S, 0);
	assert_int_equal(host_init(&x->host, x->dir.path, &x->clock.clock), 0);
	x->options = (struct sensor_options) { .idle_mw = idle_mw, .full_mw = full_mw };
	x->sensor = (struct sensor) { .ops = sensor_find("estimate"),
		.host = &x->host,
		.options = &x->options,
		.kinds = KIND_ALL };
	/* Four CPUs, whatever this machine has. */
	x->host.usage = (struct host_usage) { .t_ns = 1000 * NS_PER_S, .n_cpu = 4 };
	if (x->sensor.ops->probe(&x->sensor) < 0)
		return -1;
	return x->sensor.ops->open(&x->sensor);
}

static void shut(struct fixture *x)
{
	x->sensor.ops->close(&x->sensor);
	x->sensor.ops->close(&x->sensor);
	host_finish(&x->host);
	tmpdir_remove(&x->dir);
}

/* Time passes; of the CPU time in it so much is idle. */
static void pass(struct fixture *x, uint64_t ns, uint64_t idle_ns)
{
	x->host.usage.t_ns += ns;
	x->host.usage.idle_ns += idle_ns;
}

static struct reading read_it(struct fixture *x)
{
	struct reading r[2];

	assert_int_equal(x->sensor.ops->read(&x->sensor, r), 0);
	return r[0];
}

static void test_known_processors(void **state)
{
	static const struct {
		const char *cpuinfo;
		const char *model;
		uint64_t idle_uw, full_uw; /* of each thread */
	} cases[] = {
#define INTEL(model) "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: " model "\n"
#define AMD(family, model) \
	"vendor_id\t: AuthenticAMD\ncpu family\t: " family "\nmodel\t\t: " model "\n"
		{ INTEL("45"), "SPECpower Sandy Bridge, ", 2169400, 8575400 },
		{ INTEL("62"), "SPECpower Ivy Bridge, ", 3036900, 8248600 },
		{ INTEL("63"), "SPECpower Haswell, ", 1900600, 6012900 },
		{ INTEL("79"), "SPECpower Broadwell, ", 712800, 3685300 },
		{ INTEL("94"), "SPECpower Skylake, ", 644600, 4193400 },
		{ INTEL("142"), "SPECpower Coffee Lake, ", 1138400, 5421800 },
		{ INTEL("85") "stepping\t: 4\n", "SPECpower Skylake, ", 644600, 4193400 },
		{ INTEL("85") "stepping\t: 7\n", "SPECpower Cascade Lake, ", 638900, 3967300 },
		{ INTEL("207"), "SPECpower Cascade Lake (nearest known to this CPU), ", 638900,
			3967300 },
		{ AMD("23", "1"), "SPECpower EPYC 1st gen, ", 822700, 2553100 },
		{ AMD("23", "49"), "SPECpower EPYC 2nd gen, ", 474300, 1693000 },
		{ AMD("25", "1"), "SPECpower EPYC 3rd gen, ", 445400, 2019300 },
		{ AMD("26", "2"), "SPECpower EPYC 3rd gen (nearest known to this CPU), ", 445400,
			2019300 },
		{ "vendor_id : HygonGenuine\ncpu family : 24\nmodel : 1\n",
			"SPECpower EPYC 1st gen, ", 822700, 2553100 },
		{ "CPU implementer : 0x41\nCPU part : 0xd0c\n", "SPECpower Graviton, ", 474300,
			1693000 },
		{ "CPU implementer : 0x43\nCPU part : 0x0af\n",
			"SPECpower Graviton (nearest known to this CPU), ", 474300, 1693000 },
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture x;
		const struct domain *d = &x.sensor.domains[0];

		assert_int_equal(try_open(&x, cases[i].cpuinfo, 0, 0), 0);
		assert_int_equal(x.sensor.n_domains, 1);
		if (strncmp(d->model, cases[i].model, strlen(cases[i].model)) != 0 ||
			!strstr(d->model, "-50 % / +100 %"))
			fail_msg("case %zu: %s", i, d->model);
		assert_int_equal(d->quality, FLAG_ESTIMATED);
		assert_int_equal(d->kind, KIND_CPU);
		assert_int_equal(d->scale_low_ppm, 500000);
		assert_int_equal(d->scale_high_ppm, 1000000);
		/* A second of four idle CPUs, and one of four busy ones; a count is a nanojoule. */
		assert_int_equal(read_it(&x).raw, 0);
		pass(&x, NS_PER_S, 4 * NS_PER_S);
		assert_int_equal(read_it(&x).raw, 4 * cases[i].idle_uw * 1000);
		pass(&x, NS_PER_S, 0);
		assert_int_equal(read_it(&x).raw, 4 * (cases[i].idle_uw + cases[i].full_uw) * 1000);
		shut(&x);
	}
}

/* Of others nothing is known, and the range says so. */
static void test_unknown_processors(void **state)
{
	/* Its second block is the processor's. */
	static const char armv7[] = "Processor\t: ARMv7 rev 2\nprocessor\t: 0\n\n"
				    "CPU implementer\t: 0x41\nCPU architecture: 7\n"
				    "CPU part\t: 0xc08\n";
	static const char *const cases[] = {
		"",
		"processor\t: 0\nhart\t\t: 1\nisa\t\t: rv64imafdc\n\n",
		"processor\t: 0\ncpu\t\t: POWER9, altivec supported\n\n",
		"vendor_id       : IBM/S390\n# processors    : 2\n",
		"processor\t\t: 0\nCPU Family\t\t: Loongson-64bit\n\n",
		"vendor_id : CentaurHauls\ncpu family : 6\nmodel : 15\n",
		armv7,
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture x;
		const struct domain *d = &x.sensor.domains[0];

		assert_int_equal(try_open(&x, cases[i], 0, 0), 0);
		if (strncmp(d->model, "nothing is known of this CPU", 28) != 0)
			fail_msg("case %zu: %s", i, d->model);
		assert_int_equal(d->scale_low_ppm, 950000);
		assert_int_equal(d->scale_high_ppm, 4000000);
		shut(&x);
	}
}

static void test_given_watts(void **state)
{
	struct fixture x;

	(void) state;
	assert_int_equal(try_open(&x, "", 1500, 10000), 0);
	assert_string_equal(
		x.sensor.domains[0].model, "1.500:10.000 W a CPU as given, -50 % / +100 %");
	read_it(&x);
	pass(&x, NS_PER_S, 2 * NS_PER_S);
	/* Four CPUs, half of the time busy: 4 * 1.5 W and half of 4 * 8.5 W. */
	assert_int_equal(read_it(&x).raw, UINT64_C(23000000000));
	shut(&x);
	assert_int_equal(try_open(&x, "", 5000, 4000), -1);
	assert_non_null(strstr(x.sensor.why.reason, "less than idle"));
	shut(&x);
	assert_int_equal(try_open(&x, "", 5000, 5000), 0);
	shut(&x);
}

static void test_reading(void **state)
{
	struct fixture x;
	struct reading r;

	(void) state;
	assert_int_equal(try_open(&x, "", 0, 1000), 0);
	r = read_it(&x);
	assert_int_equal(r.flags, FLAG_ESTIMATED);
	assert_int_equal(r.t_ns, 1000 * NS_PER_S);
	assert_int_equal(r.error, 0);
	pass(&x, NS_PER_S, 0);
	assert_int_equal(read_it(&x).raw, 4000000000);
	/* The machine's usage was not read again: nothing happened. */
	assert_int_equal(read_it(&x).raw, 4000000000);
	/* More idle than there was time: not below nothing. */
	pass(&x, NS_PER_S, 5 * NS_PER_S);
	assert_int_equal(read_it(&x).raw, 4000000000);
	/* CPUs go offline. */
	x.host.usage.n_cpu = 1;
	pass(&x, NS_PER_S, 0);
	assert_int_equal(read_it(&x).raw, 5000000000);
	/* Not asked for. */
	x.sensor.kinds = KIND_BIT(KIND_GPU);
	assert_int_equal(read_it(&x).error, -EAGAIN);
	shut(&x);
}

/* So much a gigabyte, busy or not; without a size there is nothing to estimate from. */
static void test_memory(void **state)
{
	static const struct {
		const char *meminfo;
		uint64_t uw;
	} cases[] = {
		{ "MemTotal:       16000000 kB\nMemFree: 5 kB\n", 6422528 },
		{ "Mem:\nMemTotal: 1 kB\n", 0 },
		{ "MemTotal:       0 kB\n", 0 },
		{ "MemTotal: many kB\n", 0 },
		{ "MemTotal: 16000000\n", 0 },
		{ "MemTotal: 18446744073709551615 kB\n", 0 },
		{ "", 0 },
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reading r[2];
		struct fixture x;

		assert_int_equal(try_open(&x, "", 0, 0), 0);
		file_put(x.dir.path, "proc/meminfo", cases[i].meminfo);
		x.sensor.ops->close(&x.sensor);
		x.sensor.n_domains = 0;
		assert_int_equal(x.sensor.ops->open(&x.sensor), 0);
		assert_int_equal(x.sensor.n_domains, i < 2 ? 2 : 1);
		if (i == 0) {
			const struct domain *d = &x.sensor.domains[1];

			assert_int_equal(d->kind, KIND_DRAM);
			assert_int_equal(d->quality, FLAG_ESTIMATED);
			assert_int_equal(d->scale_low_ppm, 500000);
			assert_int_equal(d->scale_high_ppm, 1000000);
			assert_string_equal(d->scope, "memory, estimated from its size");
			assert_string_equal(d->model, "0.392 W a GB, 16.3 GB, -50 % / +100 %");
		}
		if (x.sensor.n_domains == 2) {
			x.sensor.ops->read(&x.sensor, r);
			assert_int_equal(r[1].raw, 0);
			pass(&x, 10 * NS_PER_S, 40 * NS_PER_S);
			x.sensor.ops->read(&x.sensor, r);
			assert_int_equal(r[1].raw, cases[i].uw * 10);
			assert_int_equal(r[1].flags, FLAG_ESTIMATED);
			x.sensor.kinds = KIND_BIT(KIND_CPU);
			x.sensor.ops->read(&x.sensor, r);
			assert_int_equal(r[1].error, -EAGAIN);
		}
		shut(&x);
	}
}

/* However the time is cut, the sum is the same, and always between all idle and all busy. */
static void test_sum_and_bounds(void **state)
{
	uint64_t seed = rng_seed();

	(void) state;
	for (uint64_t i = 0; i < 50; i++) {
		struct rng r = rng_make(seed, i);
		uint64_t idle_mw = rng_below(&r, 20000),
			 full_mw = idle_mw + 1 + rng_below(&r, 50000);
		uint64_t span_ns = 0, idle_ns = 0;
		struct fixture x;
		struct reading got = { 0 };
		u128 exact_nj;

		assert_int_equal(try_open(&x, "", idle_mw, full_mw), 0);
		read_it(&x);
		for (int k = 0; k < 200; k++) {
			uint64_t ns = rng_between(&r, 1, 2 * NS_PER_S);
			uint64_t idle = rng_below(&r, 4 * ns + 1), before = got.raw, nj;

			pass(&x, ns, idle);
			span_ns += ns;
			idle_ns += idle;
			got = read_it(&x);
			nj = got.raw - before;
			if (nj + 1 < (u128) 4 * ns * idle_mw / 1000 ||
				nj > (u128) 4 * ns * full_mw / 1000 + 1)
				fail_msg("seed %" PRIu64 ", case %" PRIu64 ": %" PRIu64
					 " nJ in %" PRIu64 " ns",
					seed, i, nj, ns);
		}
		exact_nj = ((u128) 4 * span_ns * idle_mw +
				   (u128) (4 * span_ns - idle_ns) * (full_mw - idle_mw)) /
			1000;
		assert_int_equal(got.raw, exact_nj);
		shut(&x);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_processors),
		cmocka_unit_test(test_unknown_processors),
		cmocka_unit_test(test_given_watts),
		cmocka_unit_test(test_reading),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_sum_and_bounds),
	};

	return cmocka_run_group_tests_name("estimate", tests, NULL, NULL);
}
