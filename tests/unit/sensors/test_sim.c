// SPDX-License-Identifier: MIT
/* The simulated sensor: its energy must be exactly the curve's, for everything is measured by it. */
#include "test.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meter/unwrap.h"
#include "fakeclock.h"
#include "files.h"
#include "random.h"
#include "meter/sensor.h"
#include "util/cleanup.h"
#include "util/u128.h"
#include "wait.h"

#define MS NS_PER_MS

struct fixture {
	struct tmpdir dir;
	struct fakeclock clock;
	struct host host;
	struct sensor_options options;
	struct sensor *sensor;
	char path[PATH_SIZE];
};

static int try_open(struct fixture *x, const char *name, const char *script)
{
	const struct sensor_ops *ops = sensor_find(name);
	int r;

	assert_non_null(ops);
	if (script)
		file_put(x->dir.path, "script.json", script);
	x->options.file = script ? path_in(x->dir.path, "script.json", x->path) : NULL;
	x->sensor = calloc(1, sizeof(*x->sensor));
	assert_non_null(x->sensor);
	x->sensor->ops = ops;
	x->sensor->host = &x->host;
	x->sensor->options = &x->options;
	x->sensor->kinds = KIND_ALL;
	r = ops->probe(x->sensor);
	if (r == 0)
		r = ops->open(x->sensor);
	return r;
}

static void shut(struct fixture *x)
{
	x->sensor->ops->close(x->sensor);
	x->sensor->ops->close(x->sensor); /* twice does no harm */
	free(x->sensor);
	x->sensor = NULL;
}

static void set_up(struct fixture *x)
{
	memset(x, 0, sizeof(*x));
	x->dir = tmpdir_make();
	fakeclock_init(&x->clock, 1000 * NS_PER_S, 0);
	assert_int_equal(host_init(&x->host, NULL, &x->clock.clock), 0);
}

static void tear_down(struct fixture *x)
{
	host_finish(&x->host);
	tmpdir_remove(&x->dir);
}

static struct reading read_one(struct fixture *x, size_t domain)
{
	struct reading readings[SENSOR_MAX_DOMAINS];

	memset(readings, 0xee, sizeof(readings));
	assert_int_equal(x->sensor->ops->read(x->sensor, readings), 0);
	return readings[domain];
}

/* ---- scripts ---------------------------------------------------------------------------- */

static void test_builtin(void **state)
{
	struct fixture x;

	(void) state;
	set_up(&x);
	assert_int_equal(try_open(&x, "sim", NULL), 0);
	assert_int_equal(x.sensor->n_domains, 3);
	assert_string_equal(x.sensor->domains[0].name, "package-0");
	assert_int_equal(x.sensor->domains[1].kind, KIND_DRAM);
	assert_int_equal(x.sensor->domains[2].update_ns, 20 * MS);
	assert_int_equal(x.sensor->period_ns, MS);
	shut(&x);
	tear_down(&x);
}

static void test_members(void **state)
{
	struct fixture x;
	const struct domain *d;

	(void) state;
	set_up(&x);
	assert_int_equal(
		try_open(&x, "sim",
			"{\"domains\": [{\"name\": \"psys\", \"kind\": \"platform\", \"curve\": [[1, 9]]},"
			"{\"name\": \"a\", \"kind\": \"cpu\", \"scope\": \"all of it\", \"curve\": [[1, 9]],"
			" \"unit\": [1000000, 16384], \"wrap\": 65536, \"update_ms\": 0.5, \"parent\": \"psys\"},"
			"{\"name\": \"b\", \"kind\": \"cpu\", \"curve\": [[1, 9]], \"parent\": \"a\"}]}"),
		0);
	assert_int_equal(x.sensor->n_domains, 3);
	d = &x.sensor->domains[1];
	assert_string_equal(d->scope, "all of it");
	assert_string_equal(d->sensor, "sim");
	assert_int_equal(d->unit_num, 1000000);
	assert_int_equal(d->unit_den, 16384);
	assert_int_equal(d->modulus, 65536);
	assert_int_equal(d->update_ns, 500000);
	assert_int_equal(d->quality, FLAG_MEASURED);
	assert_int_equal(d->parent, 0);
	assert_true(d->counted); /* it is part of another kind's domain */
	assert_int_equal(x.sensor->domains[2].parent, 1);
	assert_false(x.sensor->domains[2].counted);
	assert_int_equal(x.sensor->domains[0].modulus, 0);
	assert_int_equal(x.sensor->domains[0].update_ns, MS);
	shut(&x);
	assert_int_equal(
		try_open(&x, "sim-polled",
			"{\"domains\": [{\"name\": \"a\", \"kind\": \"gpu\", \"curve\": [[1, 9]],"
			" \"wrap\": 100, \"update_ms\": 20}]}"),
		0);
	assert_true(x.sensor->domains[0].power_only);
	assert_int_equal(x.sensor->domains[0].quality, FLAG_INTEGRATED);
	assert_int_equal(x.sensor->domains[0].modulus, 0);
	assert_int_equal(x.sensor->period_ns, 10 * MS);
	shut(&x);
	tear_down(&x);
}

#define DOMAIN(members) \
	"{\"domains\": [{\"name\": \"a\", \"kind\": \"cpu\", \"curve\": [[1, 9]]" members "}]}"

static void test_bad_scripts(void **state)
{
	static const struct {
		const char *script;
		const char *reason;
	} cases[] = {
		{ "", "script.json, line" },
		{ "{\"domains\": [}", "script.json, line 1" },
		{ "[]", "no \"domains\"" },
		{ "{}", "no \"domains\"" },
		{ "{\"domains\": []}", "no \"domains\"" },
		{ "{\"domains\": {}}", "no \"domains\"" },
		{ "{\"domains\": [null]}", "domain 0: bad \"name\"" },
		{ "{\"domains\": [1]}", "bad \"name\"" },
		{ "{\"domains\": [{\"name\": 5}]}", "bad \"name\"" },
		{ "{\"domains\": [{\"name\": \"a\"}]}", "bad \"kind\"" },
		{ "{\"domains\": [{\"name\": \"a\", \"kind\": \"npu\"}]}", "bad \"kind\"" },
		{ "{\"domains\": [{\"name\": \"a\", \"kind\": \"cpu\"}]}", "bad \"curve\"" },
		{ "{\"domains\": [{\"name\": \"a\", \"kind\": \"cpu\", \"curve\": []}]}",
			"bad \"curve\"" },
		{ "{\"domains\": [{\"name\": \"a\", \"kind\": \"cpu\", \"curve\": [5]}]}",
			"bad \"curve\"" },
		{ "{\"domains\": [{\"name\": \"a\", \"kind\": \"cpu\", \"curve\": [[1]]}]}",
			"bad \"curve\"" },
		{ "{\"domains\": [{\"name\": \"a\", \"kind\": \"cpu\", \"curve\": [[0, 1]]}]}",
			"bad \"curve\"" },
		{ "{\"domains\": [{\"name\": \"a\", \"kind\": \"cpu\", \"curve\": [[1e-12, 1]]}]}",
			"bad \"curve\"" },
		{ "{\"domains\": [{\"name\": \"a\", \"kind\": \"cpu\", \"curve\": [[1, -1]]}]}",
			"bad \"curve\"" },
		{ "{\"domains\": [{\"name\": \"a\", \"kind\": \"cpu\", \"curve\": [[1e9, 1]]}]}",
			"bad \"curve\"" },
		{ "{\"domains\": [{\"name\": \"a\", \"kind\": \"cpu\", \"curve\": [[1, 1e300]]}]}",
			"bad \"curve\"" },
		{ DOMAIN(", \"unit\": [0, 1]"), "bad \"unit\"" },
		{ DOMAIN(", \"unit\": [1, 0]"), "bad \"unit\"" },
		{ DOMAIN(", \"unit\": [1]"), "bad \"unit\"" },
		{ DOMAIN(", \"unit\": 5"), "bad \"unit\"" },
		{ DOMAIN(", \"wrap\": -1"), "bad \"wrap\"" },
		{ DOMAIN(", \"wrap\": \"x\""), "bad \"wrap\"" },
		{ DOMAIN(", \"start\": 1e19"), "bad \"start\"" },
		{ DOMAIN(", \"update_ms\": -1"), "bad \"update_ms\"" },
		{ DOMAIN(", \"parent\": \"b\""), "bad \"parent\"" },
		{ DOMAIN(", \"parent\": \"a\""), "bad \"parent\"" },
		{ DOMAIN(", \"parent\": null"), "bad \"parent\"" },
		{ DOMAIN(", \"faults\": {}"), "bad \"faults\"" },
		{ DOMAIN(", \"faults\": [{}]"), "bad \"faults\"" },
		{ DOMAIN(", \"faults\": [{\"what\": \"fire\"}]"), "bad \"faults\"" },
		{ DOMAIN(", \"faults\": [{\"what\": \"eio\", \"at\": -1}]"), "bad \"faults\"" },
	};

	(void) state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture x;

		set_up(&x);
		if (try_open(&x, "sim", cases[i].script) != -EINVAL ||
			!strstr(x.sensor->why.reason, cases[i].reason))
			fail_msg("%s: \"%s\"", cases[i].script, x.sensor->why.reason);
		shut(&x);
		tear_down(&x);
	}
}

static void test_no_script(void **state)
{
	struct fixture x;

	(void) state;
	set_up(&x);
	assert_int_equal(try_open(&x, "sim", DOMAIN("")), 0);
	shut(&x);
	file_remove(x.dir.path, "script.json");
	x.sensor = calloc(1, sizeof(*x.sensor));
	*x.sensor = (struct sensor) {
		.ops = sensor_find("sim"), .host = &x.host, .options = &x.options
	};
	assert_int_equal(x.sensor->ops->probe(x.sensor), -EINVAL);
	assert_non_null(strstr(x.sensor->why.reason, "script.json"));
	shut(&x);
	tear_down(&x);
}

/* ---- energy ----------------------------------------------------------------------------- */

struct model {
	unsigned n;
	uint64_t ms[4]; /* the curve */
	uint64_t mw[4];
};

/* Energy from time 0 in picojoules, worked out in another way: millisecond by millisecond within
 * the curve's period. */
static u128 model_pj(const struct model *c, uint64_t t_ns)
{
	uint64_t period_ns = 0, rest_ns;
	u128 whole_pj = 0, part_pj = 0;

	for (unsigned i = 0; i < c->n; i++) {
		period_ns += c->ms[i] * MS;
		whole_pj += (u128) c->ms[i] * MS * c->mw[i];
	}
	rest_ns = t_ns % period_ns;
	for (unsigned i = 0; i < c->n; i++)
		for (uint64_t k = 0; k < c->ms[i] && rest_ns > 0; k++) {
			uint64_t ns = rest_ns < MS ? rest_ns : MS;

			part_pj += (u128) ns * c->mw[i];
			rest_ns -= ns;
		}
	return whole_pj * (t_ns / period_ns) + part_pj;
}

static void test_exact_energy(void **state)
{
	uint64_t seed = rng_seed();

	(void) state;
	for (uint64_t i = 0; i < 60; i++) {
		struct rng r = rng_make(seed, i);
		struct model c = { .n = 1 + (unsigned) rng_below(&r, 4) };
		uint64_t unit_den = rng_one_in(&r, 2) ? UINT64_C(1) << rng_between(&r, 10, 20) : 1;
		uint64_t unit_num = unit_den > 1 ? 1000000 : rng_between(&r, 1, 1000);
		uint64_t wrap = rng_one_in(&r, 2) ? UINT64_C(1) << 32 : 0;
		uint64_t start = rng_below(&r, UINT64_C(1) << 32);
		uint64_t update_ms = rng_one_in(&r, 2) ? rng_between(&r, 1, 200) : 0;
		bool stamped = rng_one_in(&r, 2);
		char script[1024], curve[256] = "";
		struct fixture x;

		for (unsigned k = 0; k < c.n; k++) {
			c.ms[k] = rng_between(&r, 1, 2000);
			c.mw[k] = rng_below(&r, 500000);
			snprintf(curve + strlen(curve), sizeof(curve) - strlen(curve),
				"%s[%.3f, %.3f]", k ? ", " : "", (double) c.ms[k] / 1e3,
				(double) c.mw[k] / 1e3);
		}
		snprintf(script, sizeof(script),
			"{\"domains\": [{\"name\": \"a\", \"kind\": \"cpu\", \"curve\": [%s], \"unit\": "
			"[%" PRIu64 ", %" PRIu64 "], \"wrap\": %" PRIu64 ", \"start\": %" PRIu64
			", \"update_ms\": %" PRIu64 ", \"stamped\": %s}]}",
			curve, unit_num, unit_den, wrap, start, update_ms,
			stamped ? "true" : "false");
		set_up(&x);
		assert_int_equal(try_open(&x, "sim", script), 0);
		for (int k = 0; k < 60; k++) {
			uint64_t t_ns = x.clock.mono_ns, shown_ns = t_ns;
			struct reading got = read_one(&x, 0);
			u128 count;

			if (update_ms)
				shown_ns -= shown_ns % (update_ms * MS);
			count = model_pj(&c, shown_ns) * unit_den / ((u128) unit_num * 1000000) +
				start;
			if (wrap)
				count %= wrap;
			if (got.error || got.raw != (uint64_t) count ||
				got.t_ns != (stamped ? shown_ns : t_ns) ||
				got.t_err_ns != (stamped ? 0 : update_ms * MS) || got.power_mw)
				fail_msg("seed %" PRIu64 ", case %" PRIu64 ": %s at %" PRIu64
					 " ns: %" PRIu64 " at %" PRIu64 " ns",
					seed, i, script, t_ns, got.raw, got.t_ns);
			fakeclock_advance(&x.clock,
				rng_one_in(&r, 10) ? rng_below(&r, 86400 * NS_PER_S)
						   : rng_below(&r, NS_PER_S));
		}
		shut(&x);
		tear_down(&x);
	}
}

/* Through wraps, the energy between any two readings is that of the curve: to the microjoule. */
static void test_energy_through_unwrap(void **state)
{
	const struct model c = { .n = 2, .ms = { 130, 70 }, .mw = { 20000, 333333 } };
	uint64_t seed = rng_seed();
	struct rng r = rng_make(seed, 5000);
	struct unwrap unwrap = { 0 };
	struct fixture x;
	uint64_t t0_ns = 0;

	(void) state;
	set_up(&x);
	/* A wrap every 1.9 s or so. */
	assert_int_equal(try_open(&x, "sim",
				 "{\"domains\": [{\"name\": \"a\", \"kind\": \"cpu\", \"curve\": "
				 "[[0.13, 20], [0.07, 333.333]], \"unit\": [1000000, 16384], "
				 "\"wrap\": 4194304, \"update_ms\": 1, \"stamped\": true}]}"),
		0);
	for (int i = 0; i < 20000; i++) {
		struct reading got = read_one(&x, 0);
		u128 exact_pj;

		unwrap_step(&unwrap, &x.sensor->domains[0], &got);
		assert_int_equal(got.error, 0);
		if (i == 0)
			t0_ns = got.t_ns;
		assert_int_equal(got.since_ns, t0_ns);
		exact_pj = model_pj(&c, got.t_ns) - model_pj(&c, t0_ns);
		/* At both ends a count (61 uJ) is only partly filled. */
		if ((u128) (got.energy_uj + 62) * 1000000 < exact_pj ||
			(u128) got.energy_uj * 1000000 > exact_pj + 62000000)
			fail_msg("seed %" PRIu64 ", reading %d: %" PRIu64 " uJ, not %" PRIu64, seed,
				i, got.energy_uj, (uint64_t) (exact_pj / 1000000));
		fakeclock_advance(&x.clock, rng_below(&r, 200 * MS));
	}
	shut(&x);
	tear_down(&x);
}

static void test_polled_power(void **state)
{
	struct fixture x;
	struct reading got;

	(void) state;
	set_up(&x);
	assert_int_equal(try_open(&x, "sim-polled",
				 "{\"domains\": [{\"name\": \"a\", \"kind\": \"gpu\", "
				 "\"curve\": [[1, 30], [1, 150.5]], \"update_ms\": 100}]}"),
		0);
	got = read_one(&x, 0);
	assert_int_equal(got.power_mw, 30000);
	assert_int_equal(got.flags, FLAG_INTEGRATED);
	fakeclock_advance(&x.clock, 1000 * MS);
	assert_int_equal(read_one(&x, 0).power_mw, 150500);
	fakeclock_advance(&x.clock, 1050 * MS); /* the value is still that of 50 ms ago */
	assert_int_equal(read_one(&x, 0).power_mw, 30000);
	fakeclock_advance(&x.clock, 949 * MS);
	assert_int_equal(read_one(&x, 0).power_mw, 30000);
	/* Not asked for. */
	x.sensor->kinds = KIND_BIT(KIND_CPU);
	assert_int_equal(read_one(&x, 0).error, -EAGAIN);
	shut(&x);
	tear_down(&x);
}

/* ---- faults ----------------------------------------------------------------------------- */

#define WITH_FAULTS(faults)                                                                              \
	"{\"domains\": [{\"name\": \"a\", \"kind\": \"cpu\", \"curve\": [[1, 1]], \"wrap\": 1000000000," \
	" \"start\": 5000, \"faults\": [" faults "]}]}"

static void test_faults(void **state)
{
	struct fixture x;
	uint64_t before, t0_ns;

	(void) state;
	set_up(&x);
	t0_ns = x.clock.mono_ns;
	/* 1 W in microjoules: a count is a microsecond. */
	assert_int_equal(try_open(&x, "sim",
				 WITH_FAULTS("{\"at\": 1, \"for\": 1, \"what\": \"eio\"},"
					     "{\"at\": 3, \"for\": 1, \"what\": \"gone\"},"
					     "{\"at\": 5, \"for\": 1, \"what\": \"stuck\"},"
					     "{\"at\": 7, \"for\": 1, \"what\": \"absurd\"},"
					     "{\"at\": 9, \"for\": 1, \"what\": \"reset\"}")),
		0);
	before = read_one(&x, 0).raw;
	assert_int_equal(before, t0_ns / 1000 % 1000000000 + 5000);
	fakeclock_advance(&x.clock, NS_PER_S);
	assert_int_equal(read_one(&x, 0).error, -EIO);
	fakeclock_advance(&x.clock, NS_PER_S - 1);
	assert_int_equal(read_one(&x, 0).error, -EIO);
	fakeclock_advance(&x.clock, 1);
	assert_int_equal(read_one(&x, 0).raw, before + 2000000);
	fakeclock_advance(&x.clock, NS_PER_S);
	assert_int_equal(read_one(&x, 0).error, -ENODEV);
	fakeclock_advance(&x.clock, NS_PER_S);
	assert_int_equal(read_one(&x, 0).raw, before + 4000000);
	/* Stands still from 5 s on, and then is where it would have been. */
	fakeclock_advance(&x.clock, 1900 * MS);
	assert_int_equal(read_one(&x, 0).raw, before + 5000000);
	fakeclock_advance(&x.clock, 100 * MS);
	assert_int_equal(read_one(&x, 0).raw, before + 6000000);
	fakeclock_advance(&x.clock, 1500 * MS);
	assert_int_equal(read_one(&x, 0).raw, (before + 7500000 + 500000000) % 1000000000);
	fakeclock_advance(&x.clock, NS_PER_S);
	assert_int_equal(read_one(&x, 0).raw, before + 8500000);
	/* Begins at 0 at 9 s, and stays so. */
	fakeclock_advance(&x.clock, 500 * MS);
	assert_int_equal(read_one(&x, 0).raw, 0);
	fakeclock_advance(&x.clock, 10 * NS_PER_S);
	assert_int_equal(read_one(&x, 0).raw, 10000000);
	shut(&x);
	tear_down(&x);
}

/* A slow read takes its time; one that hangs comes back when the fault is over. */
static void test_slow(void **state)
{
	struct fixture x;
	uint64_t begun_ns;

	(void) state;
	set_up(&x);
	host_finish(&x.host);
	assert_int_equal(host_init(&x.host, NULL, &clock_system), 0);
	assert_int_equal(
		try_open(&x, "sim",
			WITH_FAULTS("{\"at\": 0, \"for\": 100, \"what\": \"slow\", \"ms\": 30}")),
		0);
	begun_ns = wait_now_ns();
	assert_int_equal(read_one(&x, 0).error, 0);
	assert_true(wait_now_ns() - begun_ns >= 30 * MS);
	shut(&x);
	begun_ns = wait_now_ns();
	assert_int_equal(
		try_open(&x, "sim", WITH_FAULTS("{\"at\": 0, \"for\": 0.1, \"what\": \"hang\"}")),
		0);
	assert_int_equal(read_one(&x, 0).error, 0);
	assert_true(wait_now_ns() - begun_ns >= 100 * MS);
	shut(&x);
	tear_down(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_builtin),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_bad_scripts),
		cmocka_unit_test(test_no_script),
		cmocka_unit_test(test_exact_energy),
		cmocka_unit_test(test_energy_through_unwrap),
		cmocka_unit_test(test_polled_power),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_slow),
	};

	return cmocka_run_group_tests_name("sim", tests, NULL, NULL);
}
