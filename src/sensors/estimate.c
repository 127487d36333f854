// SPDX-License-Identifier: MIT
/*
 * No sensor but a model: each CPU draws `idle` watts and, in proportion to how busy it is, up to
 * `full` watts. The figures for each microarchitecture are those that the Cloud Carbon Footprint
 * project derived from SPECpower_ssj2008 results (cloud-carbon-coefficients, whole servers shared
 * out over their threads), so the truth may be half or twice as much, and every domain of this
 * sensor says so.
 *
 * Memory draws so much a gigabyte, whatever is done with it: 0.392 W, the same project's figure.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "meter/sensor.h"
#include "util/cleanup.h"
#include "util/parse.h"
#include "util/u128.h"

struct row {
	const char *name;
	uint32_t idle_uw; /* of each CPU thread */
	uint32_t full_uw;
};

enum {
	SANDY_BRIDGE,
	IVY_BRIDGE,
	HASWELL,
	BROADWELL,
	SKYLAKE,
	CASCADE_LAKE,
	COFFEE_LAKE,
	EPYC_1,
	EPYC_2,
	EPYC_3,
	GRAVITON,
};

static const struct row rows[] = {
	[SANDY_BRIDGE] = { "Sandy Bridge", 2169400, 8575400 },
	[IVY_BRIDGE] = { "Ivy Bridge", 3036900, 8248600 },
	[HASWELL] = { "Haswell", 1900600, 6012900 },
	[BROADWELL] = { "Broadwell", 712800, 3685300 },
	[SKYLAKE] = { "Skylake", 644600, 4193400 },
	[CASCADE_LAKE] = { "Cascade Lake", 638900, 3967300 },
	[COFFEE_LAKE] = { "Coffee Lake", 1138400, 5421800 },
	[EPYC_1] = { "EPYC 1st gen", 822700, 2553100 },
	[EPYC_2] = { "EPYC 2nd gen", 474300, 1693000 },
	[EPYC_3] = { "EPYC 3rd gen", 445400, 2019300 },
	[GRAVITON] = { "Graviton", 474300, 1693000 },
};

/* Model numbers of processor family 6 (the kernel's intel-family.h). */
static const struct {
	unsigned char model;
	unsigned char row;
} intel_models[] = {
	{ 42, SANDY_BRIDGE },
	{ 45, SANDY_BRIDGE },
	{ 58, IVY_BRIDGE },
	{ 62, IVY_BRIDGE },
	{ 60, HASWELL },
	{ 63, HASWELL },
	{ 69, HASWELL },
	{ 70, HASWELL },
	{ 61, BROADWELL },
	{ 71, BROADWELL },
	{ 79, BROADWELL },
	{ 86, BROADWELL },
	{ 78, SKYLAKE },
	{ 94, SKYLAKE },
	{ 142, COFFEE_LAKE },
	{ 158, COFFEE_LAKE },
};

#define DRAM_UW_A_GB 392000

#define SCALE_LOW_PPM 500000   /* -50 % */
#define SCALE_HIGH_PPM 1000000 /* +100 % */

/* Of a CPU of which nothing is known: a thread of a small board draws a tenth of this, one of a large server
 * five times as much. */
static const struct row any_row = { "", 500000, 3000000 };

#define UNKNOWN_LOW_PPM 950000   /* -95 % */
#define UNKNOWN_HIGH_PPM 4000000 /* +400 % */

struct estimate {
	uint64_t idle_uw;
	uint64_t full_uw;
	uint64_t t_ns; /* of the usage that energy_nj stands for; 0: none yet */
	uint64_t idle_ns;
	uint64_t energy_nj;
	uint64_t rest; /* below a nanojoule, in 10^-6 nJ */
	uint64_t dram_uw;
	uint64_t dram_since_ns; /* 0: not begun */
};

/* The processor's row, or its vendor's newest. *ret_exact tells which. */
static const struct row *row_of(const struct cpuinfo *cpu, bool *ret_exact)
{
	*ret_exact = true;
	switch (cpu->vendor) {
	case CPU_AMD:
	case CPU_HYGON:
		if (cpu->family == 0x17)
			return &rows[cpu->model < 0x30 ? EPYC_1 : EPYC_2];
		if (cpu->family == 0x18)
			return &rows[EPYC_1];
		*ret_exact = cpu->family == 0x19 && cpu->model < 0x10;
		return &rows[EPYC_3];
	case CPU_ARM:
		/* Graviton is Cortex-A72, Graviton2 Neoverse N1. */
		*ret_exact = cpu->implementer == 0x41 && (cpu->part == 0xd08 || cpu->part == 0xd0c);
		return &rows[GRAVITON];
	default:
		if (cpu->family == 6)
			for (size_t i = 0; i < ARRAY_SIZE(intel_models); i++)
				if (cpu->model == intel_models[i].model)
					return &rows[intel_models[i].row];
		/* Skylake, Cascade Lake and Cooper Lake servers share a number. */
		*ret_exact = cpu->family == 6 && cpu->model == 85;
		return &rows[*ret_exact && cpu->stepping < 5 ? SKYLAKE : CASCADE_LAKE];
	}
}

/* Processors of which the table has no relative at all. */
static bool is_unknown(const struct cpuinfo *cpu)
{
	return cpu->vendor == CPU_UNKNOWN ||
		(cpu->vendor == CPU_ARM && cpu->architecture >= 0 && cpu->architecture < 8);
}

static int estimate_probe(struct sensor *s)
{
	const struct sensor_options *o = s->options;

	if (o->full_mw && o->full_mw < o->idle_mw)
		return sensor_refuse(
			s, -EINVAL, NULL, "--estimate-watts: full load draws less than idle");
	return 0;
}

/* "MemTotal:       16384000 kB", which are units of 1024 bytes. Returns 0 where it is not told. */
static uint64_t memory_bytes(const struct host *h)
{
	CLEANUP_FD int fd = host_open_file(h, "/proc/meminfo");
	char text[512], *at, *end;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	uint64_t kb;

	text[n > 0 ? n : 0] = '\0';
	at = strstr(text, "MemTotal:");
	end = at ? strstr(at, " kB") : NULL;
	if (!end)
		return 0;
	*end = '\0';
	at += strlen("MemTotal:");
	at += strspn(at, " \t");
	return parse_u64(at, &kb) == 0 && kb < UINT64_C(1) << 40 ? kb * 1024 : 0;
}

static void init_domain(struct sensor *s, struct domain *d, enum kind kind, const char *scope)
{
	snprintf(d->name, sizeof(d->name), "%s", kind_name(kind));
	snprintf(d->scope, sizeof(d->scope), "%s", scope);
	d->kind = kind;
	d->unit_num = 1; /* a count is a nanojoule */
	d->unit_den = 1000;
	d->update_ns = s->host->user_hz_ns;
	d->scale_low_ppm = SCALE_LOW_PPM;
	d->scale_high_ppm = SCALE_HIGH_PPM;
	d->quality = FLAG_ESTIMATED;
}

static void add_memory(struct sensor *s)
{
	struct estimate *e = s->state;
	uint64_t bytes = memory_bytes(s->host);
	struct domain *d;

	if (bytes == 0)
		return;
	d = sensor_add_domain(s);
	init_domain(s, d, KIND_DRAM, "memory, estimated from its size");
	d->unit_den = 1; /* microjoules are fine enough, and a terabyte's nanojoules too many */
	e->dram_uw = muldiv_u64(bytes, DRAM_UW_A_GB, 1000000000);
	snprintf(d->model, sizeof(d->model), "0.392 W a GB, %llu.%llu GB, -50 %% / +100 %%",
		(unsigned long long) bytes / 1000000000,
		(unsigned long long) bytes / 100000000 % 10);
}

static void add_cpus(struct sensor *s)
{
	const struct sensor_options *o = s->options;
	struct estimate *e = s->state;
	struct domain *d = sensor_add_domain(s);
	const struct row *row;
	bool exact;

	init_domain(s, d, KIND_CPU, "all CPUs, estimated from their load");
	if (o->full_mw) {
		e->idle_uw = o->idle_mw * 1000;
		e->full_uw = o->full_mw * 1000;
		snprintf(d->model, sizeof(d->model),
			"%llu.%03llu:%llu.%03llu W a CPU as given, -50 %% / +100 %%",
			(unsigned long long) o->idle_mw / 1000,
			(unsigned long long) o->idle_mw % 1000,
			(unsigned long long) o->full_mw / 1000,
			(unsigned long long) o->full_mw % 1000);
		return;
	}
	if (is_unknown(&s->host->cpu)) {
		e->idle_uw = any_row.idle_uw;
		e->full_uw = any_row.full_uw;
		d->scale_low_ppm = UNKNOWN_LOW_PPM;
		d->scale_high_ppm = UNKNOWN_HIGH_PPM;
		snprintf(d->model, sizeof(d->model),
			"nothing is known of this CPU: 0.5 to 3 W a thread, -95 %% / +400 %%");
		return;
	}
	row = row_of(&s->host->cpu, &exact);
	e->idle_uw = row->idle_uw;
	e->full_uw = row->full_uw;
	snprintf(d->model, sizeof(d->model), "SPECpower %s%s, -50 %% / +100 %%", row->name,
		exact ? "" : " (nearest known to this CPU)");
}

static int estimate_open(struct sensor *s)
{
	s->state = calloc(1, sizeof(struct estimate));
	if (!s->state)
		return sensor_refuse(s, -ENOMEM, NULL, "out of memory");
	if (!(s->told & KIND_BIT(KIND_CPU)))
		add_cpus(s);
	if (!(s->told & KIND_BIT(KIND_DRAM)))
		add_memory(s);
	if (s->n_domains == 0)
		return sensor_refuse(s, -ENODATA, NULL,
			"the hardware tells of the CPUs, and how much memory there is is not known");
	return 0;
}

/* Adds what the CPUs drew since the last usage: 1 uW for 1 ns is 10^-6 nJ. */
static void advance(struct estimate *e, const struct host_usage *now)
{
	uint64_t capacity_ns = (now->t_ns - e->t_ns) * now->n_cpu;
	uint64_t idle_ns = now->idle_ns - e->idle_ns;
	uint64_t busy_ns = idle_ns < capacity_ns ? capacity_ns - idle_ns : 0;
	u128 sum = (u128) capacity_ns * e->idle_uw + (u128) busy_ns * (e->full_uw - e->idle_uw) +
		e->rest;

	e->energy_nj += (uint64_t) (sum / 1000000);
	e->rest = (uint64_t) (sum % 1000000);
}

static void read_cpus(struct estimate *e, const struct host_usage *now, struct reading *ret)
{
	if (e->t_ns && now->t_ns > e->t_ns)
		advance(e, now);
	e->t_ns = now->t_ns;
	e->idle_ns = now->idle_ns;
	ret->raw = e->energy_nj;
}

static void read_memory(struct estimate *e, const struct host_usage *now, struct reading *ret)
{
	if (e->dram_since_ns == 0)
		e->dram_since_ns = now->t_ns;
	ret->raw = muldiv_u64(e->dram_uw, now->t_ns - e->dram_since_ns, NS_PER_S);
	ret->power_mw = e->dram_uw / 1000;
}

static int estimate_read(struct sensor *s, struct reading *ret)
{
	const struct host_usage *now = &s->host->usage;

	for (size_t i = 0; i < s->n_domains; i++) {
		ret[i] = (struct reading) { .flags = FLAG_ESTIMATED };
		if (sensor_skips(s, i, &ret[i]))
			continue;
		if (s->domains[i].kind == KIND_CPU)
			read_cpus(s->state, now, &ret[i]);
		else
			read_memory(s->state, now, &ret[i]);
		ret[i].t_ns = now->t_ns;
		ret[i].t_err_ns = s->host->user_hz_ns;
	}
	return 0;
}

static void estimate_close(struct sensor *s)
{
	free(s->state);
	s->state = NULL;
}

const struct sensor_ops sensor_estimate = {
	.name = "estimate",
	.role = SENSOR_MODEL,
	.gives = "the CPUs and memory, ESTIMATED from their load and size",
	.kinds = KIND_BIT(KIND_CPU) | KIND_BIT(KIND_DRAM),
	.sure_kinds = 0,
	.polled = false,
	.probe = estimate_probe,
	.open = estimate_open,
	.read = estimate_read,
	.close = estimate_close,
};
