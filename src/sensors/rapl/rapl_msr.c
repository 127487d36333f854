// SPDX-License-Identifier: MIT
/*
 * RAPL from the processor's own registers, /dev/cpu/N/msr: the last resort, where the kernel has no
 * driver for the processor. Intel: Software Developer's Manual, volume 3B, "Platform specific power
 * management support", and volume 4; AMD: Processor Programming Reference, MSRC001_0299 and
 * following. What a count is worth stands in rapl_unit.c.
 */
#include "sensors/rapl/rapl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sensors/rapl/msr_file.h"
#include "sensors/rapl/rapl_unit.h"
#include "util/cleanup.h"
#include "machine/cpulist.h"
#include "machine/self.h"

#define INTEL_UNIT 0x606
#define AMD_UNIT 0xc0010299
#define AMD_CORE_ENERGY 0xc001029a

#define CPUS_ONLINE "/sys/devices/system/cpu/online"

#define COUNTERS_MAX 5
#define RETRY_FIRST_NS NS_PER_S
#define RETRY_LAST_NS (60 * NS_PER_S)
/* Registers that answer with errors for so long are asked on another CPU. */
#define ERRORS_BEFORE_REOPEN 10

struct counter {
	uint32_t msr;
	enum rapl_role role;
};

static const struct counter intel_counters[] = {
	{ 0x611, RAPL_PACKAGE },
	{ 0x639, RAPL_CORES },
	{ 0x619, RAPL_DRAM },
	{ 0x641, RAPL_GPU },
	{ 0x64d, RAPL_PSYS },
};

static const struct counter amd_counters[] = {
	{ 0xc001029b, RAPL_PACKAGE },
};

/* A package's registers, asked on one of its CPUs. */
struct package {
	struct rapl_place place;
	struct msr_file file; /* closed: lost */
	uint64_t unit;
	int domains[COUNTERS_MAX]; /* of each counter; -1: none */
	unsigned errors;           /* in a row */
	uint64_t retry_at_ns;
	uint64_t retry_after_ns;

	/* AMD: the cores' registers, each asked on its core. */
	int cores_domain; /* -1: none */
	size_t first_core;
	size_t n_cores;
	struct reading cores_last;
	uint64_t cores_read_ns;
};

struct msr {
	const struct counter *counters;
	size_t n_counters;
	struct rapl_places places;
	struct package packages[RAPL_MAX_PLACES];
	struct msr_file cores[RAPL_MAX_CORES];
	size_t n_cores;
};

/* ---- processors ------------------------------------------------------------------------- */

static bool is_intel(const struct host *h)
{
	return h->cpu.vendor == CPU_INTEL && h->cpu.family >= 6;
}

static bool is_amd_with_rapl(const struct host *h)
{
	return rapl_is_amd(h) && h->cpu.family >= 0x17;
}

static uint32_t unit_msr(const struct host *h)
{
	return rapl_is_amd(h) ? AMD_UNIT : INTEL_UNIT;
}

/* ---- why not ---------------------------------------------------------------------------- */

static int refuse_open(struct sensor *s, int cpu, int error)
{
	char exe[192], fix[256];

	if (error == -ENOENT || error == -ENXIO || error == -ENODEV)
		return rapl_refuse_undriven(s, error, "msr", "/dev/cpu has no registers");
	self_path(exe, sizeof(exe));
	snprintf(fix, sizeof(fix), "sudo setcap cap_sys_rawio,cap_dac_read_search+ep %s", exe);
	return sensor_refuse(s, error, error == -EACCES || error == -EPERM ? fix : NULL,
		"/dev/cpu/%d/msr: %s", cpu, strerror(-error));
}

static int refuse_empty(struct sensor *s)
{
	return rapl_refuse_absent(
		s, -ENODEV, NULL, "the processor's energy registers are not there or read 0");
}

static int find_places(struct sensor *s, struct rapl_places *ret)
{
	char cpus[1024];
	int r;

	if (!is_intel(s->host) && !is_amd_with_rapl(s->host))
		return rapl_refuse_absent(
			s, -ENODEV, NULL, "of this processor no energy registers are known");
	r = host_read_text(s->host, CPUS_ONLINE, cpus, sizeof(cpus));
	if (r >= 0)
		r = rapl_find_places(s->host, cpus, ret);
	if (r < 0)
		return sensor_refuse(s, r, NULL,
			"/sys/devices/system/cpu does not tell the packages of the CPUs");
	return 0;
}

static int msr_probe(struct sensor *s)
{
	struct rapl_places places;
	struct msr_file file;
	uint64_t unit;
	int r = find_places(s, &places);

	if (r < 0)
		return r;
	r = msr_file_open(s->host, places.at[0].cpu, &file);
	if (r < 0)
		return refuse_open(s, places.at[0].cpu, r);
	r = msr_file_read(&file, unit_msr(s->host), &unit);
	msr_file_close(&file);
	return r < 0 || unit == 0 ? refuse_empty(s) : 0;
}

/* ---- opening ---------------------------------------------------------------------------- */

/* The kernel's drivers leave out a counter that reads 0 at their start, too: it does not count. */
static void add_counters(
	struct sensor *s, struct package *p, enum rapl_role first, enum rapl_role end)
{
	struct msr *state = s->state;

	for (size_t i = 0; i < state->n_counters; i++) {
		const struct counter *c = &state->counters[i];
		struct domain *d;
		uint64_t value;

		if (c->role < first || c->role >= end || p->file.fd < 0 ||
			msr_file_read(&p->file, c->msr, &value) < 0 || (value & UINT32_MAX) == 0 ||
			!(d = rapl_add_domain(s, &state->places, &p->place, c->role)))
			continue;
		rapl_unit(&s->host->cpu, p->unit, c->role, d);
		d->modulus = UINT64_C(1) << 32;
		p->domains[i] = (int) (d - s->domains);
	}
}

/* Threads of a core show the same register: the one that its list of threads begins with counts. */
static bool is_first_thread(const struct host *h, int cpu)
{
	char path[96], text[64];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list",
		cpu);
	return host_read_text(h, path, text, sizeof(text)) < 0 || atoi(text) == cpu;
}

/* Opens the registers of a package's cores. All of them or none: a sum needs each. */
static int open_cores(const struct host *h, struct msr *state, struct package *p)
{
	char cpus[1024];
	struct cpulist list = { .at = cpus };
	int cpu, r = host_read_text(h, CPUS_ONLINE, cpus, sizeof(cpus));

	while (r >= 0 && cpulist_next(&list, &cpu)) {
		struct rapl_place place;

		if (!rapl_place_of(h, cpu, &place) || place.package != p->place.package ||
			!is_first_thread(h, cpu))
			continue;
		if (p->first_core + p->n_cores == RAPL_MAX_CORES)
			return -E2BIG;
		r = msr_file_open(h, cpu, &state->cores[p->first_core + p->n_cores]);
		if (r == 0)
			p->n_cores++;
	}
	return r < 0 ? r : 0;
}

/* The sum of 32-bit counters, itself one: it starts again at 2^32, too. */
static int read_cores(const struct msr *state, const struct package *p, uint64_t *ret)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < p->n_cores; i++) {
		uint64_t value;
		int r = msr_file_read(&state->cores[p->first_core + i], AMD_CORE_ENERGY, &value);

		if (r < 0)
			return r;
		sum += value;
	}
	*ret = sum & UINT32_MAX;
	return 0;
}

static void close_cores(struct msr *state, struct package *p)
{
	while (p->n_cores > 0)
		msr_file_close(&state->cores[p->first_core + --p->n_cores]);
}

static void add_cores(struct sensor *s, struct package *p)
{
	struct msr *state = s->state;
	struct domain *d;
	uint64_t sum = 0;
	int r;

	p->first_core = state->n_cores;
	r = open_cores(s->host, state, p);
	if (r == 0)
		r = read_cores(state, p, &sum);
	if (r < 0 || sum == 0 || !(d = rapl_add_domain(s, &state->places, &p->place, RAPL_CORES))) {
		close_cores(state, p);
		if (r == -E2BIG)
			sensor_refuse(s, r, NULL,
				"the cores are left out: of more than %d the reading would "
				"take too long",
				RAPL_MAX_CORES);
		return;
	}
	rapl_unit(&s->host->cpu, p->unit, RAPL_CORES, d);
	d->modulus = UINT64_C(1) << 32;
	d->update_ns = RAPL_CORES_PERIOD_NS;
	p->cores_domain = (int) (d - s->domains);
	state->n_cores += p->n_cores;
}

static int open_package(struct sensor *s, struct package *p)
{
	int r = msr_file_open(s->host, p->place.cpu, &p->file);

	if (r < 0)
		return refuse_open(s, p->place.cpu, r);
	if (msr_file_read(&p->file, unit_msr(s->host), &p->unit) < 0 || p->unit == 0) {
		msr_file_close(&p->file);
		return refuse_empty(s);
	}
	return 0;
}

static int msr_open(struct sensor *s)
{
	struct msr *state = calloc(1, sizeof(*state));
	int r;

	if (!state)
		return sensor_refuse(s, -ENOMEM, NULL, "out of memory");
	s->state = state;
	state->counters = rapl_is_amd(s->host) ? amd_counters : intel_counters;
	state->n_counters = rapl_is_amd(s->host) ? ARRAY_SIZE(amd_counters)
						 : ARRAY_SIZE(intel_counters);
	for (size_t i = 0; i < RAPL_MAX_PLACES; i++)
		state->packages[i].file.fd = -1;
	r = find_places(s, &state->places);
	if (r < 0)
		return r;
	for (size_t i = 0; i < state->places.n; i++) {
		struct package *p = &state->packages[i];

		*p = (struct package) { .place = state->places.at[i],
			.cores_domain = -1,
			.retry_after_ns = RETRY_FIRST_NS };
		for (size_t k = 0; k < COUNTERS_MAX; k++)
			p->domains[k] = -1;
		r = open_package(s, p);
		if (r < 0)
			continue;
		add_counters(s, p, RAPL_PACKAGE, RAPL_PSYS);
		if (rapl_is_amd(s->host))
			add_cores(s, p);
	}
	for (size_t i = 0; i < state->places.n; i++)
		add_counters(s, &state->packages[i], RAPL_PSYS, RAPL_ROLES);
	if (s->n_domains > 0)
		return 0;
	return r < 0 ? r : refuse_empty(s);
}

/* ---- reading ---------------------------------------------------------------------------- */

/* The registers are the package's on each of its CPUs: counting goes on where another one answers. */
static bool have_package(const struct host *h, struct package *p, uint64_t now_ns)
{
	char cpus[1024];
	struct rapl_places places;
	const struct rapl_place *now;

	if (p->file.fd >= 0)
		return true;
	if (now_ns < p->retry_at_ns)
		return false;
	if (host_read_text(h, CPUS_ONLINE, cpus, sizeof(cpus)) >= 0 &&
		rapl_find_places(h, cpus, &places) == 0 &&
		(now = rapl_same_place(&places, &p->place)) &&
		msr_file_open(h, now->cpu, &p->file) == 0)
		return true;
	p->retry_at_ns = now_ns + p->retry_after_ns;
	if (p->retry_after_ns < RETRY_LAST_NS)
		p->retry_after_ns *= 2;
	return false;
}

static void fill(struct reading *r, int error, uint64_t raw, uint64_t before_ns, uint64_t after_ns)
{
	*r = (struct reading) { .flags = FLAG_MEASURED, .error = error };
	if (error)
		return;
	r->raw = raw;
	r->t_ns = before_ns + (after_ns - before_ns) / 2;
	r->t_err_ns = (after_ns - before_ns) / 2;
	r->stale_ns = RAPL_UPDATE_NS;
}

static void judge(struct package *p, int error, uint64_t now_ns)
{
	if (error == 0) {
		p->errors = 0;
		p->retry_after_ns = RETRY_FIRST_NS;
		return;
	}
	p->errors++;
	/* The CPU is offline, or asleep for good. */
	if (error == -ENXIO || error == -ENODEV || p->errors >= ERRORS_BEFORE_REOPEN) {
		msr_file_close(&p->file);
		p->retry_at_ns = now_ns;
		p->errors = 0;
	}
}

static void read_package(struct sensor *s, struct package *p, struct reading *ret)
{
	const struct msr *state = s->state;
	uint64_t before_ns = host_now_ns(s->host), after_ns;
	bool there = have_package(s->host, p, before_ns), asked = false;
	int last = 0;

	for (size_t i = 0; i < state->n_counters; i++) {
		uint64_t value = 0;
		int error = -ENODEV;

		if (p->domains[i] < 0 ||
			sensor_skips(s, (size_t) p->domains[i], &ret[p->domains[i]]))
			continue;
		if (there)
			error = msr_file_read(&p->file, state->counters[i].msr, &value);
		after_ns = host_now_ns(s->host);
		fill(&ret[p->domains[i]], error, value & UINT32_MAX, before_ns, after_ns);
		before_ns = after_ns;
		asked = true;
		last = error;
	}
	if (there && asked)
		judge(p, last, before_ns);
}

static void read_package_cores(struct sensor *s, struct package *p, struct reading *ret)
{
	const struct msr *state = s->state;
	uint64_t before_ns = host_now_ns(s->host), sum = 0;
	struct reading *r = &ret[p->cores_domain];
	int error;

	if (sensor_skips(s, (size_t) p->cores_domain, r))
		return;
	/* Reading the cores wakes each of them. */
	if (!p->cores_read_ns || before_ns - p->cores_read_ns >= RAPL_CORES_PERIOD_NS) {
		error = read_cores(state, p, &sum);
		p->cores_read_ns = host_now_ns(s->host);
		fill(&p->cores_last, error, sum, before_ns, p->cores_read_ns);
	}
	*r = p->cores_last;
}

static int msr_read(struct sensor *s, struct reading *ret)
{
	struct msr *state = s->state;

	for (size_t i = 0; i < s->n_domains; i++)
		ret[i] = (struct reading) { 0 };
	for (size_t i = 0; i < state->places.n; i++) {
		struct package *p = &state->packages[i];

		read_package(s, p, ret);
		if (p->cores_domain >= 0)
			read_package_cores(s, p, ret);
	}
	return 0;
}

static void msr_close(struct sensor *s)
{
	struct msr *state = s->state;

	if (!state)
		return;
	for (size_t i = 0; i < RAPL_MAX_PLACES; i++) {
		close_cores(state, &state->packages[i]);
		msr_file_close(&state->packages[i].file);
	}
	free(state);
	s->state = NULL;
}

const struct sensor_ops sensor_rapl_msr = {
	.name = "rapl-msr",
	.role = SENSOR_HARDWARE,
	.gives = "CPU packages; memory where the processor tells",
	.kinds = RAPL_KINDS,
	.sure_kinds = KIND_BIT(KIND_CPU),
	.polled = false,
	.probe = msr_probe,
	.open = msr_open,
	.read = msr_read,
	.close = msr_close,
	.group = RAPL_GROUP,
	.must_move = true,
};
