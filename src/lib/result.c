// SPDX-License-Identifier: MIT
/* A result is a copy: it stays when the handle goes on, or is closed. */
#include "lib/handle.h"

#include <errno.h>
#include <stdlib.h>

/* What of a domain decides on the sums that it is in; kinds that nobody asked for are in none. */
struct place {
	int kind;
	bool counted;
	bool outermost;        /* a term of the machine's sum */
	bool outermost_shared; /* a term of a process's sum */
};

struct part {
	int who;
	bool ended;
	uint64_t elapsed_ns;
	uint64_t cpu_ns;
};

struct pm_result {
	size_t n_domains;
	size_t n_parts;
	struct place *places;
	struct part *parts;
	struct pm_energy *energies; /* of parts[0] by domain, of parts[1], ... */
};

/* Processes have no part of the platform: what of it was theirs is in the other kinds. */
static bool is_had_by_processes(enum kind kind)
{
	return kind != KIND_PLATFORM;
}

static void find_places(const struct pm *pm, struct place *ret)
{
	const struct rig *rig = pm->meter->rig;
	bool read[RIG_MAX_DOMAINS], shared[RIG_MAX_DOMAINS];

	for (size_t i = 0; i < rig_n_domains(rig); i++) {
		enum kind kind = rig_domain(rig, i)->kind;

		read[i] = pm->kinds & KIND_BIT(kind);
		shared[i] = read[i] && is_had_by_processes(kind);
	}
	for (size_t i = 0; i < rig_n_domains(rig); i++)
		ret[i] = (struct place) { .kind = (int) rig_domain(rig, i)->kind,
			.counted = read[i] && rig_domain(rig, i)->counted,
			.outermost = rig_is_outermost(rig, read, i),
			.outermost_shared = rig_is_outermost(rig, shared, i) };
}

struct pm_result *pm_result_new(const struct pm *pm, size_t n_edges)
{
	size_t n = rig_n_domains(pm->meter->rig);
	struct pm_result *result = calloc(1, sizeof(*result));

	if (!result)
		return NULL;
	result->n_domains = n;
	result->n_parts = n_edges;
	result->places = calloc(n ? n : 1, sizeof(struct place));
	result->parts = calloc(n_edges ? n_edges : 1, sizeof(struct part));
	result->energies = calloc(n && n_edges ? n * n_edges : 1, sizeof(struct pm_energy));
	if (!result->places || !result->parts || !result->energies) {
		pm_result_free(result);
		return NULL;
	}
	find_places(pm, result->places);
	return result;
}

void pm_result_free(struct pm_result *result)
{
	if (!result)
		return;
	free(result->places);
	free(result->parts);
	free(result->energies);
	free(result);
}

static struct pm_energy to_energy(const struct span *span)
{
	/* Where a counter restarted and nothing was seen since, nothing is known. */
	bool known = span->known && !((span->flags & FLAG_RESET) && span->energy.uj == 0);

	if (!known)
		return (struct pm_energy) { .flags = span->flags & (FLAG_GAP | FLAG_RESET) };
	return (struct pm_energy) { .known = 1,
		.flags = span->flags | (span->partial ? PM_PARTIAL : 0),
		.energy_uj = span->energy.uj,
		.low_uj = span->energy.low_uj,
		.high_uj = span->energy.high_uj,
		.power_uw = span->power_uw,
		.interval_ns = span->interval_ns };
}

/* A GPU's energy goes by who used it, where its sensor reports that and has looked twice. */
static bool is_known_of_processes(const struct account *a, enum kind kind, uint64_t elapsed_ns)
{
	return kind_goes_by_cpu_time(kind) ||
		(is_had_by_processes(kind) && elapsed_ns >= ACCOUNT_USE_NS &&
			account_shares(a, kind));
}

static void fill_part(struct pm_result *result, const struct pm *pm, const struct edge *edge,
	struct part *part, struct pm_energy *energies)
{
	const struct gauge *gauge = pm->meter->gauge;
	const struct account *account = gauge_account(gauge);
	bool machine = edge->slot == ACCOUNT_NO_SLOT;

	*part = (struct part) { .who = edge->who, .elapsed_ns = gauge_t_ns(gauge) - edge->t_ns };
	if (machine) {
		uint64_t capacity_ns = gauge_capacity_ns(gauge) - edge->capacity_ns;
		uint64_t idle_ns = gauge_idle_ns(gauge) - edge->idle_ns;

		part->cpu_ns = capacity_ns > idle_ns ? capacity_ns - idle_ns : 0;
	} else {
		part->cpu_ns = account_cpu_since(account, edge->mark, edge->slot);
		part->ended = gauge_has_ended(gauge, edge->slot);
	}
	for (size_t d = 0; d < result->n_domains; d++) {
		struct span span = { 0 };

		if (machine)
			account_domain_total_since(account, edge->mark, d, &span);
		else if (is_known_of_processes(
				 account, (enum kind) result->places[d].kind, part->elapsed_ns))
			account_domain_since(account, edge->mark, edge->slot, d, &span);
		energies[d] = to_energy(&span);
	}
}

void pm_result_fill(
	struct pm_result *result, const struct pm *pm, const struct edge *edges, size_t n_edges)
{
	for (size_t i = 0; i < n_edges; i++)
		fill_part(result, pm, &edges[i], &result->parts[i],
			&result->energies[i * result->n_domains]);
}

/* ---- asking ------------------------------------------------------------------------------- */

static void add(struct pm_energy *sum, const struct pm_energy *one)
{
	sum->flags |= one->flags;
	if (!one->known) {
		sum->flags |= PM_PARTIAL;
		return;
	}
	sum->known = 1;
	sum->energy_uj += one->energy_uj;
	sum->low_uj += one->low_uj;
	sum->high_uj += one->high_uj;
	sum->power_uw += one->power_uw;
	if (one->interval_ns > sum->interval_ns)
		sum->interval_ns = one->interval_ns;
}

/* A sum of nothing that is known lacks nothing. */
static void close_sum(struct pm_energy *sum)
{
	if (!sum->known)
		sum->flags &= ~(uint32_t) PM_PARTIAL;
}

/* The number of the part, or -ENOENT. */
static int find_part(const struct pm_result *result, int who, size_t *ret)
{
	for (size_t i = 0; i < result->n_parts; i++) {
		if (result->parts[i].who == who) {
			*ret = i;
			return 0;
		}
	}
	if (who == PM_SELF)
		return pm_fail(-ENOENT, "the process's own CPU time cannot be read here");
	return pm_fail(
		-ENOENT, "the result has no process number %d: it was added after the begin", who);
}

int pm_result_usage(const struct pm_result *result, int who, struct pm_usage *ret)
{
	struct pm_usage usage = PM_USAGE_INIT;
	struct pm_energy *sums[] = { &usage.cpu, &usage.dram, &usage.gpu, &usage.platform };
	size_t at;
	int r;

	if (!result)
		return pm_fail(-EINVAL, "the result is NULL");
	r = find_part(result, who, &at);
	if (r < 0)
		return r;
	usage.elapsed_ns = result->parts[at].elapsed_ns;
	usage.cpu_ns = result->parts[at].cpu_ns;
	usage.ended = result->parts[at].ended;
	for (size_t d = 0; d < result->n_domains; d++) {
		const struct place *place = &result->places[d];
		const struct pm_energy *one = &result->energies[at * result->n_domains + d];

		if (who != PM_MACHINE && !is_had_by_processes((enum kind) place->kind))
			continue;
		if (place->counted)
			add(sums[place->kind], one);
		if (who == PM_MACHINE ? place->outermost : place->outermost_shared)
			add(&usage.total, one);
	}
	for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
		close_sum(sums[i]);
	close_sum(&usage.total);
	return pm_give(ret, &usage, sizeof(usage));
}

int pm_result_domain(const struct pm_result *result, int who, size_t domain, struct pm_energy *ret)
{
	size_t at;
	int r;

	if (!result || !ret)
		return pm_fail(-EINVAL, "the result, or the place for the answer, is NULL");
	r = find_part(result, who, &at);
	if (r < 0)
		return r;
	if (domain >= result->n_domains)
		return pm_fail(-EINVAL, "there is no domain number %zu", domain);
	*ret = result->energies[at * result->n_domains + domain];
	return 0;
}
