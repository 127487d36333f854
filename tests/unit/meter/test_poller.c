// SPDX-License-Identifier: MIT
/*
 * The thread that a slow sensor is read in: with the simulated sensor in real time, and with some
 * of the test's own that do what they are told to.
 */
#include "test.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meter/poller.h"
#include "files.h"
#include "wait.h"

#define MS NS_PER_MS

/* Threads that are left behind have it until they close their sensor. */
static struct host host;
static struct sensor_options options;
static struct tmpdir dir;
static char script_path[PATH_SIZE];

static int group_set_up(void **state)
{
	(void) state;
	dir = tmpdir_make();
	return host_init(&host, NULL, &clock_system);
}

static int group_tear_down(void **state)
{
	(void) state;
	host_finish(&host);
	tmpdir_remove(&dir);
	return 0;
}

static struct sensor *make_sensor(const struct sensor_ops *ops)
{
	struct sensor *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->ops = ops;
	s->host = &host;
	s->options = &options;
	return s;
}

static struct poller *make_sim(const char *script)
{
	struct sensor_why why;
	struct poller *p;

	file_put(dir.path, "script.json", script);
	options.file = path_in(dir.path, "script.json", script_path);
	if (poller_create(make_sensor(sensor_find("sim-polled")), 20 * NS_PER_S, &why, &p) != 0)
		fail_msg("%s", why.reason);
	return p;
}

struct look {
	struct poller *p;
	struct reading *readings;
	uint64_t energy_uj;
};

static bool has_energy(void *ctx)
{
	struct look *l = ctx;

	poller_copy(l->p, wait_now_ns(), l->readings);
	return l->readings[0].error == 0 && l->readings[0].energy_uj > l->energy_uj;
}

static bool has_nothing(void *ctx)
{
	struct reading r[SENSOR_MAX_DOMAINS];

	poller_copy(ctx, wait_now_ns(), r);
	return r[0].error == -EAGAIN;
}

static void wait_energy(struct poller *p, struct reading *readings, uint64_t energy_uj)
{
	struct look l = { p, readings, energy_uj };

	assert_true(wait_until(has_energy, &l));
}

/* ---- the simulated sensor --------------------------------------------------------------- */

static void test_steady_power(void **state)
{
	struct poller *p = make_sim(
		"{\"domains\": ["
		"{\"name\": \"a\", \"kind\": \"gpu\", \"curve\": [[1, 50]], \"update_ms\": 10},"
		"{\"name\": \"b\", \"kind\": \"dram\", \"curve\": [[1, 7]], \"update_ms\": 10}]}");
	struct reading r[SENSOR_MAX_DOMAINS];
	uint64_t since_ns;

	(void) state;
	assert_int_equal(poller_sensor(p)->n_domains, 2);
	/* Nobody wants it: nothing is read. */
	poller_copy(p, wait_now_ns(), r);
	assert_int_equal(r[0].error, -EAGAIN);
	assert_int_equal(r[1].error, -EAGAIN);
	poller_want(p, KIND_BIT(KIND_GPU));
	for (uint64_t uj = 0; uj < 5000000; uj = r[0].energy_uj) {
		wait_energy(p, r, uj);
		/* 50 W, whatever the times of the readings were: to the microjoule. */
		assert_in_range(r[0].energy_uj, 50 * (r[0].t_ns - r[0].since_ns) / 1000 - 1,
			50 * (r[0].t_ns - r[0].since_ns) / 1000);
		assert_int_equal(r[0].power_mw, 50000);
		assert_int_equal(r[1].error, -EAGAIN);
	}
	/* A further kind begins anew, the first one goes on. */
	since_ns = r[0].since_ns;
	poller_want(p, KIND_BIT(KIND_GPU) | KIND_BIT(KIND_DRAM));
	wait_energy(p, r, r[0].energy_uj + 1000000);
	assert_int_equal(r[0].since_ns, since_ns);
	assert_int_equal(r[1].error, 0);
	assert_true(r[1].since_ns > since_ns);
	/* Not wanted any more, and wanted again. */
	poller_want(p, KIND_BIT(KIND_DRAM));
	assert_true(wait_until(has_nothing, p));
	poller_want(p, 0);
	poller_want(p, KIND_BIT(KIND_GPU));
	wait_energy(p, r, 0);
	assert_true(r[0].since_ns > since_ns);
	assert_true(poller_destroy(p, 10 * NS_PER_S));
	assert_true(poller_destroy(NULL, 0));
}

static void test_failing_reads(void **state)
{
	struct poller *p = make_sim(
		"{\"domains\": [{\"name\": \"a\", \"kind\": \"gpu\", \"curve\": [[1, 50]], "
		"\"update_ms\": 10, \"faults\": [{\"at\": 0, \"for\": 2, \"what\": \"eio\"}]}]}");
	struct reading r[SENSOR_MAX_DOMAINS];
	bool failed = false;

	(void) state;
	poller_want(p, KIND_ALL);
	for (uint64_t until_ns = wait_deadline_ns(); wait_now_ns() < until_ns;) {
		poller_copy(p, wait_now_ns(), r);
		failed |= r[0].error == -EIO;
		if (r[0].error == 0)
			break;
		wait_a_little();
	}
	assert_true(failed);
	wait_energy(p, r, 0);
	assert_true(poller_destroy(p, 10 * NS_PER_S));
}

/* ---- opening ---------------------------------------------------------------------------- */

static _Atomic bool gate_open;
static _Atomic int opened, closed;

static int gated_probe(struct sensor *s)
{
	(void) s;
	while (!gate_open)
		wait_a_little();
	return 0;
}

static int fail_probe(struct sensor *s)
{
	return sensor_refuse(s, -ENODEV, "buy one", "there is none");
}

static int no_probe(struct sensor *s)
{
	(void) s;
	return 0;
}

static int fail_open(struct sensor *s)
{
	opened++;
	return sensor_refuse(s, -EACCES, NULL, "it is locked");
}

static int good_open(struct sensor *s)
{
	struct domain *d = sensor_add_domain(s);

	opened++;
	d->kind = KIND_GPU;
	d->power_only = true;
	s->period_ns = 2 * MS;
	return 0;
}

static int no_read(struct sensor *s, struct reading *ret)
{
	(void) s;
	*ret = (struct reading) { 0 };
	return 0;
}

static void count_close(struct sensor *s)
{
	(void) s;
	closed++;
}

static void test_create_fails(void **state)
{
	static const struct sensor_ops probing = { .name = "probing",
		.role = SENSOR_HARDWARE,
		.polled = true,
		.probe = fail_probe,
		.open = fail_open,
		.read = no_read,
		.close = count_close };
	static const struct sensor_ops opening = { .name = "opening",
		.role = SENSOR_HARDWARE,
		.polled = true,
		.probe = no_probe,
		.open = fail_open,
		.read = no_read,
		.close = count_close };
	struct sensor_why why;
	struct poller *p;

	(void) state;
	opened = closed = 0;
	assert_int_equal(poller_create(make_sensor(&probing), 20 * NS_PER_S, &why, &p), -ENODEV);
	assert_string_equal(why.reason, "there is none");
	assert_string_equal(why.fix, "buy one");
	assert_int_equal(opened, 0);
	assert_int_equal(closed, 1);
	assert_int_equal(poller_create(make_sensor(&opening), 20 * NS_PER_S, &why, &p), -EACCES);
	assert_string_equal(why.reason, "it is locked");
	assert_int_equal(closed, 2);
}

static bool is_closed(void *ctx)
{
	return closed == *(int *) ctx;
}

static void test_create_hangs(void **state)
{
	static const struct sensor_ops gated = { .name = "gated",
		.role = SENSOR_HARDWARE,
		.polled = true,
		.probe = gated_probe,
		.open = good_open,
		.read = no_read,
		.close = count_close };
	struct sensor_why why;
	struct poller *p;
	int one = 1;

	(void) state;
	opened = closed = 0;
	gate_open = false;
	assert_int_equal(poller_create(make_sensor(&gated), 20 * MS, &why, &p), -ETIME);
	assert_non_null(strstr(why.reason, "does not answer"));
	assert_int_equal(closed, 0);
	/* When it comes back after all, nobody waits any more: it is closed. */
	gate_open = true;
	assert_true(wait_until(is_closed, &one));
}

/* ---- hanging ---------------------------------------------------------------------------- */

static _Atomic int reads;

/* The second read does not come back before the gate is open. */
static int gated_read(struct sensor *s, struct reading *ret)
{
	(void) s;
	if (++reads == 2)
		while (!gate_open)
			wait_a_little();
	*ret = (struct reading) { .t_ns = wait_now_ns(), .power_mw = 1000 };
	return 0;
}

static bool is_in_second_read(void *ctx)
{
	(void) ctx;
	return reads == 2;
}

/* A driver call that does not come back: nobody else waits for it. */
static void test_hang(void **state)
{
	static const struct sensor_ops hanging = { .name = "hanging",
		.role = SENSOR_HARDWARE,
		.polled = true,
		.probe = no_probe,
		.open = good_open,
		.read = gated_read,
		.close = count_close };
	struct reading r[SENSOR_MAX_DOMAINS];
	struct sensor_why why;
	struct poller *p;
	uint64_t begun_ns;
	int one = 1;

	(void) state;
	reads = closed = 0;
	gate_open = false;
	assert_int_equal(poller_create(make_sensor(&hanging), 20 * NS_PER_S, &why, &p), 0);
	poller_want(p, KIND_ALL);
	assert_true(wait_until(is_in_second_read, NULL));
	/* For two seconds the last reading stands, then it is said. */
	begun_ns = wait_now_ns();
	poller_copy(p, begun_ns, r);
	assert_int_equal(r[0].error, 0);
	assert_int_equal(r[0].power_mw, 1000);
	poller_copy(p, begun_ns + 2 * NS_PER_S + 1, r);
	assert_int_equal(r[0].error, -ETIMEDOUT);
	/* It is left behind, for it cannot be ended. */
	begun_ns = wait_now_ns();
	assert_false(poller_destroy(p, 50 * MS));
	assert_true(wait_now_ns() - begun_ns >= 50 * MS);
	assert_int_equal(closed, 0);
	/* If it comes back one day it gives everything back. */
	gate_open = true;
	assert_true(wait_until(is_closed, &one));
	assert_int_equal(reads, 2);
}

/* ---- adding up -------------------------------------------------------------------------- */

/* Readings that the test has written down; each read takes the next one and waits at the last. */
static struct reading plan[16];
static _Atomic int n_planned, n_read;

static int planned_read(struct sensor *s, struct reading *ret)
{
	int i = n_read;

	(void) s;
	if (i >= n_planned)
		i = n_planned - 1;
	else
		n_read = i + 1;
	*ret = plan[i];
	return ret->error == -ENOMEM ? -ENOMEM : 0;
}

static const struct sensor_ops planned = { .name = "planned",
	.role = SENSOR_HARDWARE,
	.polled = true,
	.probe = no_probe,
	.open = good_open,
	.read = planned_read,
	.close = count_close };

static bool has_read_all(void *ctx)
{
	(void) ctx;
	return n_read == n_planned;
}

/* Runs through the plan and returns what is told at its end. */
static struct reading run_plan(int n)
{
	struct reading r[SENSOR_MAX_DOMAINS] = { 0 };
	struct sensor_why why;
	struct poller *p;

	n_planned = n;
	n_read = 0;
	assert_int_equal(poller_create(make_sensor(&planned), 20 * NS_PER_S, &why, &p), 0);
	poller_want(p, KIND_ALL);
	assert_true(wait_until(has_read_all, NULL));
	/* The last one is read again and again: published at the latest then. */
	for (uint64_t until_ns = wait_deadline_ns();;) {
		poller_copy(p, wait_now_ns(), r);
		if (r[0].t_ns >= plan[n - 1].t_ns || r[0].error == plan[n - 1].error)
			break;
		assert_true(wait_now_ns() < until_ns);
		wait_a_little();
	}
	assert_true(poller_destroy(p, 10 * NS_PER_S));
	return r[0];
}

static void plan_power(int i, uint64_t t_ms, uint64_t power_mw)
{
	plan[i] = (struct reading) { .t_ns = t_ms * MS, .power_mw = power_mw };
}

static void test_integration(void **state)
{
	struct reading r;

	(void) state;
	plan_power(0, 1000, 10000);
	r = run_plan(1);
	assert_int_equal(r.energy_uj, 0);
	assert_int_equal(r.since_ns, 1000 * MS);
	/* Two samples stand for the mean between them. */
	plan_power(1, 1100, 30000);
	plan_power(2, 1200, 30000);
	r = run_plan(3);
	assert_int_equal(r.energy_uj, 2000000 + 3000000);
	assert_int_equal(r.t_ns, 1200 * MS);
	/* No new sample: nothing is added. */
	plan_power(3, 1200, 99000);
	plan_power(4, 1150, 99000);
	r = run_plan(5);
	assert_int_equal(r.energy_uj, 5000000);
	assert_int_equal(r.t_ns, 1200 * MS);
	/* Up to a second without a sample is bridged ... */
	plan_power(3, 1300, 30000);
	plan[4] = (struct reading) { .error = -EIO };
	plan[5] = (struct reading) { .error = -ENOMEM };
	plan_power(6, 2300, 50000);
	r = run_plan(7);
	assert_int_equal(r.since_ns, 1000 * MS);
	assert_int_equal(r.energy_uj, 5000000 + 3000000 + 40000000);
	/* ... and longer it is not: counting begins anew. */
	plan_power(7, 3301, 50000);
	plan_power(8, 3401, 50000);
	r = run_plan(9);
	assert_int_equal(r.since_ns, 3301 * MS);
	assert_int_equal(r.energy_uj, 5000000);
	plan[9] = (struct reading) { .error = -EIO };
	assert_int_equal(run_plan(10).error, -EIO);
}

/* What is below a microjoule is carried. */
static void test_small_energies(void **state)
{
	(void) state;
	/* A milliwatt for 300 ns is 0.3 nJ. */
	for (int i = 0; i < 16; i++)
		plan[i] = (struct reading) { .t_ns = NS_PER_S + (uint64_t) i * 200000,
			.power_mw = 1 };
	assert_int_equal(run_plan(16).energy_uj, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steady_power),
		cmocka_unit_test(test_failing_reads),
		cmocka_unit_test(test_create_fails),
		cmocka_unit_test(test_create_hangs),
		cmocka_unit_test(test_hang),
		cmocka_unit_test(test_integration),
		cmocka_unit_test(test_small_energies),
	};

	return cmocka_run_group_tests_name("poller", tests, group_set_up, group_tear_down);
}
