// SPDX-License-Identifier: MIT
/* Each fault in each sensor that reads files: the figures of all others are, to the microjoule, what
 * they are without it. All sensors stand on one tree and one clock; read() and pread() are this file's. */
#include "test.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "meter/rig.h"
#include "meter/unwrap.h"
#include "rapl_tree.h"
#include "util/cleanup.h"

#define STEPS 60
#define STEP_NS (500 * NS_PER_MS)
/* The fault is there from the first of these steps to before the second. */
#define FAULT_FROM 10
#define FAULT_TO 20
#define DOMAINS_MAX 8

#define JETSON "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/"
#define HWMON "sys/class/hwmon/"

/* ---- the sensors, and how their files move ------------------------------------------------ */

static void show_powercap(char *ret, size_t n, unsigned step)
{
	snprintf(ret, n, "%u", (unsigned) ((1000 + step * UINT64_C(163840)) * 61035 / 1000));
}

static void show_perf(char *ret, size_t n, unsigned step)
{
	snprintf(ret, n, "%" PRIu64, 1 + step * (UINT64_C(15) << 31));
}

static void show_msr(char *ret, size_t n, unsigned step)
{
	snprintf(ret, n, "606 a0e03\n611 %x", 1000 + step * 163840);
}

static void show_energy(char *ret, size_t n, unsigned step)
{
	snprintf(ret, n, "%u", 5000 + step * 12345678);
}

static void show_power(char *ret, size_t n, unsigned step)
{
	snprintf(ret, n, "%u", 20000000 + step * 1001000);
}

static void show_milliwatts(char *ret, size_t n, unsigned step)
{
	snprintf(ret, n, "%u", 2000 + step * 7);
}

static void show_rails(char *ret, size_t n, unsigned step)
{
	snprintf(ret, n,
		"VDD_CORE_A current(7)=0.%03u00000A\nVDD_CORE_V volt(15)=0.77000000V\n"
		"DDR_VDD2_A current(3)=0.02100000A\nDDR_VDD2_V volt(11)=1.11000000V",
		500 + step * 5);
}

static const struct row {
	const char *sensor;
	const char *file;
	void (*show)(char *ret, size_t n, unsigned step);
} rows[] = {
	{ "rapl-powercap", POWERCAP "/intel-rapl:0/energy_uj", show_powercap },
	{ "rapl-perf", "sys/bus/event_source/devices/power/counts/cpu0/energy-pkg", show_perf },
	{ "rapl-msr", "dev/cpu/0/msr", show_msr },
	{ "hwmon", HWMON "hwmon0/energy1_input", show_energy },
	{ "hwmon", HWMON "hwmon1/power1_average", show_power },
	{ "jetson", JETSON "in_power0_input", show_milliwatts },
	{ "rpi-pmic", "dev/vcio", show_rails },
	{ "battery", "sys/class/power_supply/BAT0/power_now", show_power },
};

static const char *const names[] = { "rapl-powercap", "rapl-perf", "rapl-msr", "hwmon", "jetson",
	"rpi-pmic", "battery" };

static void put_machine(struct tree *t)
{
	tree_cpu(t, TREE_INTEL);
	tree_online(t, "0");
	tree_package(t, "0", 0, 0);
	tree_zone(t, "intel-rapl:0", "package-0");
	tree_power(t, "0", "energy-pkg");
	file_put(t->dir.path, HWMON "hwmon0/name", "i915\n");
	file_put(t->dir.path, HWMON "hwmon1/name", "power_meter\n");
	file_put(t->dir.path, JETSON "rail_name_0", "POM_5V_IN\n");
	file_put(t->dir.path, "sys/class/power_supply/BAT0/type", "Battery\n");
	file_put(t->dir.path, "sys/class/power_supply/BAT0/status", "Discharging\n");
}

/* ---- the faults --------------------------------------------------------------------------- */

enum fault {
	NONE,
	EIO_ONCE,
	EIO_LASTING,
	GONE,
	STUCK,
	EMPTY,
	GARBAGE,
	ABSURD,
	NEGATIVE,
	TOO_LONG,
	SLOW,
	FAULTS
};

static const char *const fault_names[FAULTS] = { "none", "EIO once", "EIO", "file gone", "stuck",
	"empty", "no number", "absurd", "negative", "too long a number", "slow" };

/* What the functions below do to reads of one file. */
static struct {
	dev_t dev;
	ino_t ino; /* 0: nothing */
	bool fails;
	bool once;
	bool slow;
	uint64_t sleep_ns;
} reads;

ssize_t __wrap_read(int fd, void *buffer, size_t n);
ssize_t __real_read(int fd, void *buffer, size_t n);
ssize_t __wrap_pread(int fd, void *buffer, size_t n, off_t offset);
ssize_t __real_pread(int fd, void *buffer, size_t n, off_t offset);
ssize_t __wrap_pread64(int fd, void *buffer, size_t n, off_t offset);
ssize_t __real_pread64(int fd, void *buffer, size_t n, off_t offset);

static bool fails(int fd)
{
	struct timespec ts = { .tv_sec = (time_t) (reads.sleep_ns / NS_PER_S),
		.tv_nsec = (long) (reads.sleep_ns % NS_PER_S) };
	struct stat st;

	if (reads.ino == 0 || fstat(fd, &st) < 0 || st.st_ino != reads.ino ||
		st.st_dev != reads.dev)
		return false;
	if (reads.slow)
		nanosleep(&ts, NULL);
	if (!reads.fails)
		return false;
	if (reads.once)
		reads.fails = false;
	errno = EIO;
	return true;
}

ssize_t __wrap_read(int fd, void *buffer, size_t n)
{
	return fails(fd) ? -1 : __real_read(fd, buffer, n);
}

ssize_t __wrap_pread(int fd, void *buffer, size_t n, off_t offset)
{
	return fails(fd) ? -1 : __real_pread(fd, buffer, n, offset);
}

ssize_t __wrap_pread64(int fd, void *buffer, size_t n, off_t offset)
{
	return fails(fd) ? -1 : __real_pread64(fd, buffer, n, offset);
}

static void put_row(struct tree *t, const struct row *row, unsigned step)
{
	char text[512];

	row->show(text, sizeof(text) - 1, step);
	snprintf(text + strlen(text), sizeof(text) - strlen(text), "\n");
	file_put(t->dir.path, row->file, text);
}

static void aim(struct tree *t, const struct row *row, enum fault fault, unsigned step)
{
	char path[PATH_SIZE];
	struct stat st;

	if (stat(path_in(t->dir.path, row->file, path), &st) < 0) {
		reads.ino = 0;
		return;
	}
	reads.dev = st.st_dev;
	reads.ino = st.st_ino;
	reads.once = fault == EIO_ONCE;
	reads.fails = fault == EIO_LASTING || (fault == EIO_ONCE && step == FAULT_FROM);
	reads.slow = fault == SLOW;
	reads.sleep_ns = NS_PER_MS;
}

static void put_fault(struct tree *t, const struct row *row, enum fault fault, unsigned step)
{
	static const char *const texts[FAULTS] = { [EMPTY] = "",
		[GARBAGE] = "no such thing\n",
		[ABSURD] = "9223372036854775807\n",
		[NEGATIVE] = "-5000000\n",
		[TOO_LONG] = "99999999999999999999999\n" };

	if (fault == GONE && step == FAULT_FROM) {
		/* Who has it open finds nothing in it any more, as of a device. */
		file_put(t->dir.path, row->file, "");
		file_remove(t->dir.path, row->file);
	} else if (texts[fault]) {
		file_put(t->dir.path, row->file, texts[fault]);
	} else if (fault != GONE && fault != STUCK) {
		put_row(t, row, step);
	}
	aim(t, row, fault, step);
}

/* ---- one run ------------------------------------------------------------------------------ */

struct figure {
	int error;
	unsigned flags;
	uint64_t t_ns;
	uint64_t uj; /* since the beginning */
	uint64_t power_mw;
};

struct outcome {
	size_t n_domains[ARRAY_SIZE(names)];
	struct figure figures[ARRAY_SIZE(names)][DOMAINS_MAX][STEPS];
};

struct opened {
	struct sensor *sensor;
	struct unwrap unwraps[DOMAINS_MAX];
	struct reading last[DOMAINS_MAX];
	uint64_t uj[DOMAINS_MAX];
};

static struct sensor *open_sensor(struct tree *t, const char *name)
{
	struct sensor *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->ops = sensor_find(name);
	s->host = &t->host;
	s->options = &t->options;
	s->kinds = KIND_ALL;
	if (s->ops->probe(s) != 0 || s->ops->open(s) != 0)
		fail_msg("%s: %s", name, s->why.reason);
	assert_in_range(s->n_domains, 1, DOMAINS_MAX);
	return s;
}

/* Counters as a rig takes them, power added up as a poller does. */
static void enter(struct opened *o, size_t i, struct reading *r, struct figure *ret)
{
	const struct domain *d = &o->sensor->domains[i];

	if (r->error == 0 && d->power_only) {
		if (o->last[i].t_ns)
			o->uj[i] += (o->last[i].power_mw + r->power_mw) *
				((r->t_ns - o->last[i].t_ns) / 1000) / 2000;
		r->energy_uj = o->uj[i];
		o->last[i] = *r;
	} else if (!d->power_only) {
		unwrap_step(&o->unwraps[i], d, r);
	}
	*ret = (struct figure) { .error = r->error, .flags = r->flags };
	if (r->error)
		return;
	ret->t_ns = r->t_ns;
	ret->uj = r->energy_uj;
	ret->power_mw = r->power_mw;
}

static void run(const struct row *victim, enum fault fault, struct outcome *ret)
{
	struct opened opened[ARRAY_SIZE(names)] = { 0 };
	struct tree t;

	memset(ret, 0, sizeof(*ret));
	tree_init(&t);
	put_machine(&t);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		put_row(&t, &rows[i], 0);
	assert_int_equal(host_init(&t.host, t.dir.path, &t.clock.clock), 0);
	for (size_t s = 0; s < ARRAY_SIZE(names); s++) {
		opened[s].sensor = open_sensor(&t, names[s]);
		ret->n_domains[s] = opened[s].sensor->n_domains;
	}
	for (unsigned step = 0; step < STEPS; step++) {
		bool now = fault != NONE && step >= FAULT_FROM && step < FAULT_TO;

		reads.ino = 0;
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
			if (now && &rows[i] == victim)
				put_fault(&t, victim, fault, step);
			else
				put_row(&t, &rows[i], step);
		for (size_t s = 0; s < ARRAY_SIZE(names); s++) {
			struct reading readings[SENSOR_MAX_DOMAINS];
			int r = opened[s].sensor->ops->read(opened[s].sensor, readings);

			for (size_t i = 0; i < opened[s].sensor->n_domains; i++) {
				if (r < 0)
					readings[i] = (struct reading) { .error = r };
				enter(&opened[s], i, &readings[i], &ret->figures[s][i][step]);
			}
		}
		fakeclock_advance(&t.clock, STEP_NS);
	}
	reads.ino = 0;
	for (size_t s = 0; s < ARRAY_SIZE(names); s++) {
		opened[s].sensor->ops->close(opened[s].sensor);
		free(opened[s].sensor);
	}
	host_finish(&t.host);
	tree_finish(&t);
}

/* ---- the table ---------------------------------------------------------------------------- */

static void expect_same(const struct row *victim, enum fault fault, const struct outcome *without,
	const struct outcome *with, size_t s)
{
	assert_int_equal(without->n_domains[s], with->n_domains[s]);
	for (size_t i = 0; i < with->n_domains[s]; i++)
		for (unsigned step = 0; step < STEPS; step++) {
			const struct figure *a = &without->figures[s][i][step];
			const struct figure *b = &with->figures[s][i][step];

			if (a->error != b->error || a->flags != b->flags || a->t_ns != b->t_ns ||
				a->uj != b->uj || a->power_mw != b->power_mw)
				fail_msg("%s in %s, step %u: %s's domain %zu shows %" PRIu64
					 " uJ (error %d), not %" PRIu64 " (error %d)",
					fault_names[fault], victim->file, step, names[s], i, b->uj,
					b->error, a->uj, a->error);
		}
}

static bool is_seen(const struct outcome *without, const struct outcome *with, size_t s)
{
	for (size_t i = 0; i < with->n_domains[s]; i++)
		for (unsigned step = FAULT_FROM; step < FAULT_TO; step++) {
			const struct figure *a = &without->figures[s][i][step];
			const struct figure *b = &with->figures[s][i][step];

			if (a->error != b->error || a->uj != b->uj || a->power_mw != b->power_mw)
				return true;
		}
	return false;
}

/* The victim itself: it is well again in the end, and has never told of more than there was. */
static void expect_recovered(const struct row *victim, enum fault fault,
	const struct outcome *without, const struct outcome *with, size_t s)
{
	if (is_seen(without, with, s) != (fault != SLOW))
		fail_msg("%s in %s does nothing", fault_names[fault], victim->file);
	for (size_t i = 0; i < with->n_domains[s]; i++) {
		const struct figure *a = &without->figures[s][i][STEPS - 1];
		const struct figure *b = &with->figures[s][i][STEPS - 1];

		/* Power is in whole milliwatts, and its steps round now this way, now that. */
		uint64_t most_uj = a->uj + (b->flags & FLAG_INTEGRATED ? a->uj / 1000 : 0);

		if (b->error || b->uj > most_uj || b->uj < a->uj / 3)
			fail_msg("%s in %s: its domain %zu shows %" PRIu64 " uJ of %" PRIu64
				 " in the end (error %d)",
				fault_names[fault], victim->file, i, b->uj, a->uj, b->error);
	}
}

static void test_faults_stay_where_they_are(void **state)
{
	static struct outcome without, with;

	(void) state;
	run(NULL, NONE, &without);
	for (size_t s = 0; s < ARRAY_SIZE(names); s++)
		assert_true(without.figures[s][0][STEPS - 1].uj > 0);
	for (size_t v = 0; v < ARRAY_SIZE(rows); v++)
		for (enum fault fault = EIO_ONCE; fault < FAULTS; fault++) {
			run(&rows[v], fault, &with);
			for (size_t s = 0; s < ARRAY_SIZE(names); s++)
				if (strcmp(names[s], rows[v].sensor) == 0)
					expect_recovered(&rows[v], fault, &without, &with, s);
				else
					expect_same(&rows[v], fault, &without, &with, s);
		}
}

/* In a rig, where what may block has a thread of its own: the tick does not wait for it. */
static void test_a_slow_read_delays_no_tick(void **state)
{
	const struct sensor_options none = { 0 };
	const struct rig_options o = { .sensors = "rapl-powercap,battery", .sensor = &none };
	struct reading readings[RIG_MAX_DOMAINS];
	const char *bad_name;
	struct host h;
	struct rig *rig;
	struct tree t;

	(void) state;
	tree_init(&t);
	put_machine(&t);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		put_row(&t, &rows[i], 0);
	assert_int_equal(host_init(&h, t.dir.path, &clock_system), 0);
	assert_int_equal(rig_open(&rig, &h, &o, &bad_name), 0);
	aim(&t, &rows[ARRAY_SIZE(rows) - 1], SLOW, 0);
	reads.sleep_ns = 10 * NS_PER_S;
	rig_want(rig, KIND_ALL);
	rig_read(rig, KIND_ALL, readings);
	for (unsigned step = 1; step <= 5; step++) {
		struct timespec pause = { .tv_nsec = 20 * (long) NS_PER_MS };

		/* 5 mJ, so that the time says nothing about whether that can be. */
		tree_number(&t, "intel-rapl:0", "energy_uj", (1000 + step * 82) * 61035 / 1000);
		nanosleep(&pause, NULL);
		rig_read(rig, KIND_ALL, readings);
	}
	assert_int_equal(readings[0].error, 0);
	/* 410 counts of 2^-14 J */
	assert_true(readings[0].energy_uj == 410 * UINT64_C(1000000) / 16384);
	/* Its first read is not over yet. */
	assert_int_equal(readings[1].error, -EAGAIN);
	assert_true(rig_close(rig, 120 * NS_PER_S));
	reads.ino = 0;
	host_finish(&h);
	tree_finish(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults_stay_where_they_are),
		cmocka_unit_test(test_a_slow_read_delays_no_tick),
	};

	return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
