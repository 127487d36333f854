// SPDX-License-Identifier: MIT
/*
 * RAPL through the kernel's power PMU: /sys/bus/event_source/devices/power, and power_core for
 * AMD's cores. Kernel: arch/x86/events/rapl.c.
 *
 * A count is 2^-32 J, of 64 bits, and begins at 0 when it is opened; the kernel widens the 32-bit
 * register itself, also while nobody reads. It takes the register's steps as signed, though: of
 * more than 2^31 between two updates a count runs backwards. Its own timer is made for 200 W. So
 * a count over a longer time than is safe at any power is not believed, see TRUST_NS.
 */
#include "sensors/rapl/rapl_pmu.h"

#include <stdlib.h>
#include <string.h>

#include "sensors/rapl/rapl_unit.h"
#include "machine/cpulist.h"

/* 2^31 steps of the smallest unit there is, 2^-16 J, take a package of 1 kW 32 s. */
#define TRUST_NS (30 * NS_PER_S)

/* A package's counter moves a thousand times a second. One that stands still for so long was left
 * behind by its CPU. */
#define STUCK_NS (5 * NS_PER_S)

/* Where CPUs have come or gone, standing still for a tenth of that is enough. */
#define STUCK_NEW_CPUS_NS (500 * NS_PER_MS)

#define RETRY_FIRST_NS NS_PER_S
#define RETRY_LAST_NS (60 * NS_PER_S)
/* Counters that answer with errors for so long are opened again. */
#define ERRORS_BEFORE_REOPEN 10

/* Where raw values begin: there is room above for any energy, and below for every restart. */
#define RAW_FIRST (UINT64_C(1) << 62)

#define MAX_BUNDLES (2 * RAPL_MAX_PLACES)
#define MAX_GROUPS (RAPL_MAX_PLACES + RAPL_MAX_CORES)

/* From an event's counts to raw values. Counts that are opened again begin at 0, and may soon be
 * above what they were: a restart is made visible by a raw value that falls by 1. */
struct tally {
	int domain; /* -1: none */
	bool restarted;
	uint64_t count; /* the last */
	uint64_t base;  /* raw value of count 0 */
	uint64_t raw;   /* the last that was shown */
};

/* Counters that are opened, read and lost together: those of a package, on one CPU; or those of
 * its cores, each on a CPU of its own, which are added up. */
struct bundle {
	const struct rapl_pmu *pmu;
	struct rapl_place place;
	bool per_core;
	struct perf_group *groups;
	size_t n_groups;                      /* 0: lost */
	size_t room;                          /* for groups */
	struct tally tallies[PERF_GROUP_MAX]; /* of each event */
	uint64_t read_ns;                     /* when; 0: not yet */
	uint64_t moved_ns;                    /* when one of them moved */
	uint32_t n_cpu;                       /* online when it was opened or read last */
	bool new_cpus;                        /* CPUs came or went, and it did not move since */
	unsigned errors;                      /* in a row */
	uint64_t retry_at_ns;
	uint64_t retry_after_ns;
};

struct perf {
	struct rapl_pmu package;
	struct rapl_pmu core;
	struct rapl_places places;
	struct bundle bundles[MAX_BUNDLES];
	size_t n_bundles;
	struct perf_group groups[MAX_GROUPS];
	size_t n_groups;
	size_t n_cores; /* of them */
	struct reading last[SENSOR_MAX_DOMAINS];
};

/* ---- opening ---------------------------------------------------------------------------- */

static void lose(struct bundle *b)
{
	while (b->n_groups > 0)
		perf_group_close(&b->groups[--b->n_groups]);
}

static int open_group(const struct host *h, struct bundle *b, int cpu)
{
	int r;

	if (b->n_groups == b->room)
		return -E2BIG;
	r = perf_group_open(
		h, &b->pmu->perf, cpu, b->pmu->events, b->pmu->n_events, &b->groups[b->n_groups]);
	if (r == 0)
		b->n_groups++;
	return r;
}

static int open_cores(const struct host *h, struct bundle *b)
{
	char text[512];
	struct cpulist list = { .at = text };
	int cpu, r = rapl_pmu_cpumask(h, b->pmu, text, sizeof(text));

	while (r >= 0 && cpulist_next(&list, &cpu)) {
		struct rapl_place place;

		if (rapl_place_of(h, cpu, &place) && place.package == b->place.package)
			r = open_group(h, b, cpu);
	}
	return r < 0 ? r : b->n_groups > 0 ? 0 : -ENOENT;
}

/* Also while sampling: allocates nothing. */
static int open_bundle(const struct host *h, struct bundle *b)
{
	int r;

	if (b->per_core) {
		r = open_cores(h, b);
	} else {
		const struct rapl_place *now;
		struct rapl_places places;

		/* The CPU that answers for a package may be another one by now. */
		r = rapl_pmu_places(h, b->pmu, &places);
		now = r < 0 ? NULL : rapl_same_place(&places, &b->place);
		if (r == 0)
			r = now ? open_group(h, b, now->cpu) : -ENODEV;
	}
	if (r < 0)
		lose(b);
	b->n_cpu = h->usage.n_cpu;
	b->new_cpus = false;
	b->errors = 0;
	b->moved_ns = host_now_ns(h);
	return r;
}

static int add_bundle(struct sensor *s, const struct rapl_pmu *pmu, const struct rapl_place *place)
{
	struct perf *state = s->state;
	struct bundle *b = &state->bundles[state->n_bundles];
	int r;

	*b = (struct bundle) { .pmu = pmu,
		.place = *place,
		.per_core = pmu == &state->core,
		.groups = &state->groups[state->n_groups],
		.retry_after_ns = RETRY_FIRST_NS };
	b->room = b->per_core ? RAPL_MAX_CORES - state->n_cores : 1;
	for (size_t i = 0; i < PERF_GROUP_MAX; i++)
		b->tallies[i] =
			(struct tally) { .domain = -1, .base = RAW_FIRST, .raw = RAW_FIRST };
	r = open_bundle(s->host, b);
	if (r < 0)
		return r;
	b->room = b->n_groups;
	state->n_groups += b->n_groups;
	if (b->per_core)
		state->n_cores += b->n_groups;
	state->n_bundles++;
	return 0;
}

static void add_domain(struct sensor *s, struct bundle *b, enum rapl_role role)
{
	struct perf *state = s->state;

	for (size_t i = 0; i < b->pmu->n_events; i++) {
		const struct perf_event *event = &b->pmu->events[i];
		struct domain *d;

		/* AMD's power PMU has the package alone; what else it might show is one core's. */
		if (b->pmu->roles[i] != role || b->groups[0].counters[i].fd < 0 ||
			(role != RAPL_PACKAGE && !b->per_core && rapl_is_amd(s->host)))
			continue;
		d = rapl_add_domain(s, &state->places, &b->place, role);
		if (!d)
			continue;
		d->unit_num = event->unit_num;
		d->unit_den = event->unit_den;
		d->step_uj = rapl_step_uj(&s->host->cpu, role);
		if (b->per_core)
			d->update_ns = RAPL_CORES_PERIOD_NS;
		b->tallies[i].domain = (int) (d - s->domains);
	}
}

/* Packages and their parts first, platforms behind them all. */
static void add_domains(struct sensor *s)
{
	struct perf *state = s->state;

	for (size_t p = 0; p < state->places.n; p++)
		for (int role = RAPL_PACKAGE; role < RAPL_PSYS; role++)
			for (size_t i = 0; i < state->n_bundles; i++)
				if (state->bundles[i].place.package ==
						state->places.at[p].package &&
					state->bundles[i].place.die == state->places.at[p].die)
					add_domain(s, &state->bundles[i], (enum rapl_role) role);
	for (size_t i = 0; i < state->n_bundles; i++)
		add_domain(s, &state->bundles[i], RAPL_PSYS);
}

/* ---- the backend ------------------------------------------------------------------------ */

static int perf_probe(struct sensor *s)
{
	struct perf_group group;
	struct rapl_places places;
	struct rapl_pmu pmu;
	int r = rapl_pmu_find(s->host, "power", &pmu);

	if (r < 0)
		return rapl_refuse_undriven(s, r, "rapl", PERF_PMU_DIR "/power is not there");
	r = rapl_pmu_places(s->host, &pmu, &places);
	if (r < 0)
		return sensor_refuse(s, r, NULL,
			"%s/power/cpumask names no CPU whose package is known", PERF_PMU_DIR);
	r = perf_group_open(s->host, &pmu.perf, places.at[0].cpu, pmu.events, pmu.n_events, &group);
	if (r < 0)
		return rapl_pmu_refuse(s, &pmu, r);
	perf_group_close(&group);
	return 0;
}

static int perf_open(struct sensor *s)
{
	struct perf *state = calloc(1, sizeof(*state));
	int r, error = 0;

	if (!state)
		return sensor_refuse(s, -ENOMEM, NULL, "out of memory");
	s->state = state;
	r = rapl_pmu_find(s->host, "power", &state->package);
	if (r == 0)
		r = rapl_pmu_places(s->host, &state->package, &state->places);
	if (r < 0)
		return sensor_refuse(s, r, NULL, "the power PMU is not there any more");
	for (size_t i = 0; i < state->places.n; i++) {
		r = add_bundle(s, &state->package, &state->places.at[i]);
		if (r < 0)
			error = r;
	}
	if (state->n_bundles == 0)
		return rapl_pmu_refuse(s, &state->package, error);
	rapl_pmu_find(s->host, "power_core", &state->core);
	for (size_t i = 0; state->core.found && i < state->places.n; i++) {
		r = add_bundle(s, &state->core, &state->places.at[i]);
		if (r == -E2BIG)
			sensor_refuse(s, r, NULL,
				"power_core is left out: of more than %d cores the reading "
				"would take too long",
				RAPL_MAX_CORES);
	}
	add_domains(s);
	return s->n_domains > 0 ? 0 : rapl_pmu_refuse(s, &state->package, -ENOENT);
}

/* Adds up each event's counts over the bundle's groups. */
static void sum_groups(const struct bundle *b, uint64_t *ret, int *ret_errors)
{
	uint64_t counts[PERF_GROUP_MAX] = { 0 };
	int errors[PERF_GROUP_MAX] = { 0 };

	for (size_t i = 0; i < b->pmu->n_events; i++) {
		ret[i] = 0;
		ret_errors[i] = 0;
	}
	for (size_t g = 0; g < b->n_groups; g++) {
		perf_group_read(&b->groups[g], counts, errors);
		for (size_t i = 0; i < b->pmu->n_events; i++) {
			ret[i] += counts[i];
			if (errors[i])
				ret_errors[i] = errors[i];
		}
	}
}

static void restart(struct bundle *b)
{
	for (size_t i = 0; i < PERF_GROUP_MAX; i++)
		b->tallies[i].restarted = true;
}

/* Opens what was lost, at growing intervals; true if there is something to be read. */
static bool have_groups(const struct host *h, struct bundle *b, uint64_t now_ns)
{
	/* Cores came or went: whose count is left behind nobody tells. */
	if (b->per_core && b->n_groups > 0 && b->n_cpu != h->usage.n_cpu)
		lose(b);
	if (b->n_groups > 0)
		return true;
	/* CPUs that have come may have brought it back. */
	if (now_ns < b->retry_at_ns && b->n_cpu == h->usage.n_cpu)
		return false;
	b->read_ns = 0;
	restart(b);
	if (open_bundle(h, b) == 0)
		return true;
	b->retry_at_ns = now_ns + b->retry_after_ns;
	if (b->retry_after_ns < RETRY_LAST_NS)
		b->retry_after_ns *= 2;
	return false;
}

/* Whether a package's counts were left behind by their CPU: the event of a CPU that is offline still
 * answers, and does not begin to count again when the CPU is back. The kernel moves events to another
 * CPU of the package where there is one. */
static bool is_left_behind(const struct bundle *b, uint64_t now_ns)
{
	uint64_t still_ns = now_ns - b->moved_ns;

	if (b->per_core)
		return false;
	return still_ns > STUCK_NS + b->retry_after_ns ||
		(b->new_cpus && still_ns > STUCK_NEW_CPUS_NS);
}

/* What the bundle's domains have shown decides whether it is to be opened again. Returns whether it
 * can be believed. */
static bool judge(const struct host *h, struct bundle *b, const uint64_t *counts, const int *errors,
	uint64_t now_ns)
{
	bool any = false, moved = false, gone = false;

	for (size_t i = 0; i < b->pmu->n_events; i++) {
		if (b->tallies[i].domain < 0)
			continue;
		gone |= errors[i] == -ENODEV;
		any |= errors[i] == 0;
		moved |= b->read_ns && errors[i] == 0 && counts[i] != b->tallies[i].count;
	}
	b->errors = any ? 0 : b->errors + 1;
	if (moved) {
		b->moved_ns = now_ns;
		b->retry_after_ns = RETRY_FIRST_NS;
	}
	/* What moved until the CPUs changed may have stopped with them. */
	b->new_cpus = b->n_cpu != h->usage.n_cpu || (b->new_cpus && !moved);
	b->n_cpu = h->usage.n_cpu;
	if (gone || b->errors >= ERRORS_BEFORE_REOPEN) {
		lose(b);
		b->retry_at_ns = now_ns + b->retry_after_ns;
	} else if (is_left_behind(b, now_ns)) {
		lose(b);
		b->retry_at_ns = now_ns;
		if (b->retry_after_ns < RETRY_LAST_NS)
			b->retry_after_ns *= 2;
		return false;
	}
	return true;
}

static uint64_t raw_of(struct tally *t, uint64_t count)
{
	if (t->restarted)
		t->base = t->raw - count;
	t->restarted = false;
	t->count = count;
	t->raw = t->base + count;
	return t->raw;
}

static void read_bundle(struct sensor *s, struct bundle *b)
{
	struct perf *state = s->state;
	uint64_t counts[PERF_GROUP_MAX], before_ns = host_now_ns(s->host), after_ns;
	int errors[PERF_GROUP_MAX];
	bool there = have_groups(s->host, b, before_ns);

	if (there && b->read_ns && before_ns - b->read_ns > TRUST_NS)
		restart(b);
	if (there)
		sum_groups(b, counts, errors);
	after_ns = host_now_ns(s->host);
	if (there)
		there = judge(s->host, b, counts, errors, after_ns);
	for (size_t i = 0; i < b->pmu->n_events; i++) {
		struct tally *t = &b->tallies[i];
		struct reading *r;

		if (t->domain < 0)
			continue;
		r = &state->last[t->domain];
		*r = (struct reading) { .flags = FLAG_MEASURED | (t->restarted ? FLAG_RESET : 0),
			.error = there ? errors[i] : -ENODEV,
			.t_ns = before_ns + (after_ns - before_ns) / 2,
			.t_err_ns = (after_ns - before_ns) / 2,
			.stale_ns = RAPL_UPDATE_NS };
		/* An event that its package lacks can be opened all the same, and stays at 0. */
		if (r->error == 0 && counts[i] == 0)
			r->error = -EAGAIN;
		if (r->error == 0)
			r->raw = raw_of(t, counts[i]);
	}
	if (there)
		b->read_ns = after_ns;
}

static bool is_wanted(const struct sensor *s, const struct bundle *b)
{
	for (size_t i = 0; i < b->pmu->n_events; i++)
		if (b->tallies[i].domain >= 0 &&
			(s->kinds & KIND_BIT(s->domains[b->tallies[i].domain].kind)))
			return true;
	return false;
}

static int perf_read(struct sensor *s, struct reading *ret)
{
	struct perf *state = s->state;
	uint64_t now_ns = host_now_ns(s->host);

	for (size_t i = 0; i < state->n_bundles; i++) {
		struct bundle *b = &state->bundles[i];

		/* Reading the cores wakes each of them. */
		if (b->per_core && b->read_ns && now_ns - b->read_ns < RAPL_CORES_PERIOD_NS)
			continue;
		if (is_wanted(s, b))
			read_bundle(s, b);
	}
	for (size_t i = 0; i < s->n_domains; i++) {
		ret[i] = state->last[i];
		sensor_skips(s, i, &ret[i]);
	}
	return 0;
}

static void perf_close(struct sensor *s)
{
	struct perf *state = s->state;

	if (!state)
		return;
	for (size_t i = 0; i < state->n_bundles; i++)
		lose(&state->bundles[i]);
	free(state);
	s->state = NULL;
}

const struct sensor_ops sensor_rapl_perf = {
	.name = "rapl-perf",
	.role = SENSOR_HARDWARE,
	.gives = "CPU packages, exactly; memory and platform where the processor tells",
	.kinds = RAPL_KINDS,
	.sure_kinds = KIND_BIT(KIND_CPU),
	.polled = false,
	.probe = perf_probe,
	.open = perf_open,
	.read = perf_read,
	.close = perf_close,
	.group = RAPL_GROUP,
	.must_move = true,
};
