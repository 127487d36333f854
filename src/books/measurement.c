// SPDX-License-Identifier: MIT
#include "books/measurement.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "meter/power.h"

/* Power is looked at over so many update periods of the slowest domain of its kind: over less, the
 * counter's steps look like power. */
#define PEAK_PERIODS 10

/* No peak is shown over a time that is not known to this part of it: a slow read and an old value make
 * power of the wrong time. */
#define PEAK_DOUBT_PART 10

struct measurement_base {
	const struct gauge *gauge;
	const struct rig *rig;
	struct account_mark *machine;
	struct account_mark *tool;
	struct account_mark *looks[KIND_COUNT]; /* since when a peak is looked for */
	uint64_t look_ns[KIND_COUNT];           /* how long that takes at least */
	uint64_t peak_uw[KIND_COUNT];
	uint32_t tool_slot;
	uint64_t t_ns;
	uint64_t capacity_ns;
	uint64_t idle_ns;
	size_t n;
	struct {
		uint32_t slot;
		struct account_mark *mark;
	} asked[];
};

void measurement_free(struct measurement_base *b)
{
	if (!b)
		return;
	account_mark_free(b->machine);
	account_mark_free(b->tool);
	for (int k = 0; k < KIND_COUNT; k++)
		account_mark_free(b->looks[k]);
	for (size_t i = 0; i < b->n; i++)
		account_mark_free(b->asked[i].mark);
	free(b);
}

static void note_times(struct measurement_base *b)
{
	b->t_ns = gauge_t_ns(b->gauge);
	b->capacity_ns = gauge_capacity_ns(b->gauge);
	b->idle_ns = gauge_idle_ns(b->gauge);
	memset(b->peak_uw, 0, sizeof(b->peak_uw));
}

int measurement_begin(struct measurement_base **ret, const struct gauge *g, const struct rig *rig,
	const uint32_t *slots, size_t n, uint32_t tool)
{
	const struct account *a = gauge_account(g);
	struct measurement_base *b = calloc(1, sizeof(*b) + n * sizeof(b->asked[0]));
	bool ok;

	if (!b)
		return -ENOMEM;
	b->gauge = g;
	b->rig = rig;
	b->tool_slot = tool;
	b->n = n;
	b->machine = account_mark_new(a, ACCOUNT_NO_SLOT);
	b->tool = account_mark_new(a, tool);
	ok = b->machine && b->tool;
	for (size_t i = 0; i < n; i++) {
		b->asked[i].slot = slots[i];
		b->asked[i].mark = account_mark_new(a, slots[i]);
		ok = ok && b->asked[i].mark;
	}
	for (int k = 0; k < KIND_COUNT; k++) {
		b->looks[k] = account_mark_new(a, ACCOUNT_NO_SLOT);
		ok = ok && b->looks[k];
	}
	for (size_t i = 0; i < rig_n_domains(rig); i++) {
		const struct domain *d = rig_domain(rig, i);

		if (d->counted && d->update_ns * PEAK_PERIODS > b->look_ns[d->kind])
			b->look_ns[d->kind] = d->update_ns * PEAK_PERIODS;
	}
	if (!ok) {
		measurement_free(b);
		return -ENOMEM;
	}
	note_times(b);
	*ret = b;
	return 0;
}

void measurement_renew(struct measurement_base *b)
{
	const struct account *a = gauge_account(b->gauge);

	account_mark_renew(a, b->machine);
	account_mark_renew(a, b->tool);
	for (size_t i = 0; i < b->n; i++)
		account_mark_renew(a, b->asked[i].mark);
	for (int k = 0; k < KIND_COUNT; k++)
		account_mark_renew(a, b->looks[k]);
	note_times(b);
}

void measurement_look(struct measurement_base *b)
{
	const struct account *a = gauge_account(b->gauge);

	for (int k = 0; k < KIND_COUNT; k++) {
		struct span span;

		account_since(a, b->looks[k], ACCOUNT_NO_SLOT, (enum kind) k, &span);
		if (!span.known || span.interval_ns < b->look_ns[k] || span.interval_ns == 0)
			continue;
		if (span.doubt_ns > span.interval_ns / PEAK_DOUBT_PART)
			continue;
		if (span.power_uw > b->peak_uw[k])
			b->peak_uw[k] = span.power_uw;
		account_mark_renew(a, b->looks[k]);
	}
}

static void take_domains(const struct measurement_base *b, struct measurement *ret)
{
	const struct account *a = gauge_account(b->gauge);

	for (size_t i = 0; i < rig_n_domains(b->rig); i++) {
		const struct domain *d = rig_domain(b->rig, i);
		struct kind_figures *k = &ret->kinds[d->kind];
		struct span span;

		if (kind_goes_by_cpu_time(d->kind))
			account_domain_since(a, b->machine, ACCOUNT_NO_SLOT, i, &span);
		else
			account_domain_total_since(a, b->machine, i, &span);
		ret->failing |= d->counted && span.failing;
		if (!span.known)
			continue;
		ret->domains[i] = (struct domain_figures) { .known = true,
			.partial = span.partial,
			.covered_ns = span.covered_ns,
			.energy = span.energy,
			.flags = span.flags };
		if (d->counted) {
			k->known = true;
			k->partial |= span.partial;
			ret->partial |= span.partial;
			k->flags |= span.flags;
			energy_add(&k->whole, span.energy);
		}
	}
}

static void take_machine(const struct rig *rig, struct measurement *ret)
{
	bool known[RIG_MAX_DOMAINS];

	for (size_t i = 0; i < rig_n_domains(rig); i++)
		known[i] = ret->domains[i].known;
	for (size_t i = 0; i < rig_n_domains(rig); i++) {
		struct domain_figures *f = &ret->domains[i];

		f->outermost = rig_is_outermost(rig, known, i);
		if (!f->outermost)
			continue;
		ret->machine_known = true;
		energy_add(&ret->machine, f->energy);
	}
}

static void stretch(struct kind_figures *k, uint64_t read_uj)
{
	uint64_t *parts[] = { &k->asked.uj, &k->asked.low_uj, &k->asked.high_uj, &k->asked.sd_uj,
		&k->tool_uj, &k->idle_uj };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		*parts[i] = muldiv_u64(*parts[i], k->whole.uj, read_uj);
}

/* Who got what of a kind: the targets' parts as they were given, idle at most what the books say,
 * and the rest is what nobody was asked about. */
static void take_kind(const struct measurement_base *b, enum kind kind, size_t first, size_t n,
	struct measurement *ret)
{
	const struct account *a = gauge_account(b->gauge);
	struct kind_figures *k = &ret->kinds[kind];
	uint64_t other_uj, given_uj, rest_uj;
	struct span span, read;

	k->peak_uw = b->peak_uw[kind];
	/* The looks leave out what was shorter than one. */
	if (k->peak_uw && power_uw(k->whole.uj, ret->elapsed_ns) > k->peak_uw)
		k->peak_uw = power_uw(k->whole.uj, ret->elapsed_ns);
	k->shared = k->known && account_shares(a, kind) &&
		(kind_goes_by_cpu_time(kind) || ret->elapsed_ns >= ACCOUNT_USE_NS);
	k->idle_known = k->shared &&
		(!kind_goes_by_cpu_time(kind) || rig_host(b->rig)->usage.idle_known);
	if (!k->shared) {
		k->other_uj = k->whole.uj;
		return;
	}
	for (size_t i = first; i < first + n; i++) {
		account_since(a, b->asked[i].mark, b->asked[i].slot, kind, &span);
		if (!span.known)
			continue;
		energy_add(&k->asked, span.energy);
		k->flags |= span.flags;
	}
	account_since(a, b->tool, b->tool_slot, kind, &span);
	if (span.known)
		k->tool_uj = span.energy.uj;
	account_rest_since(a, b->machine, kind, &k->idle_uj, &other_uj);
	/* The whole may reach from snapshot to snapshot, and the parts from reading to reading. */
	account_since(a, b->machine, ACCOUNT_NO_SLOT, kind, &read);
	if (!kind_goes_by_cpu_time(kind) && read.known && read.energy.uj > 0)
		stretch(k, read.energy.uj);
	given_uj = k->asked.uj + k->tool_uj;
	rest_uj = k->whole.uj > given_uj ? k->whole.uj - given_uj : 0;
	if (k->idle_uj > rest_uj)
		k->idle_uj = rest_uj;
	k->other_uj = rest_uj - k->idle_uj;
}

static void take(const struct measurement_base *b, size_t first, size_t n, struct measurement *ret)
{
	const struct account *a = gauge_account(b->gauge);

	*ret = (struct measurement) { .elapsed_ns = gauge_t_ns(b->gauge) - b->t_ns,
		.capacity_ns = gauge_capacity_ns(b->gauge) - b->capacity_ns,
		.idle_ns = gauge_idle_ns(b->gauge) - b->idle_ns,
		.tool_cpu_ns = account_cpu_since(a, b->tool, b->tool_slot) };
	for (size_t i = first; i < first + n; i++)
		ret->asked_cpu_ns += account_cpu_since(a, b->asked[i].mark, b->asked[i].slot);
	take_domains(b, ret);
	take_machine(b->rig, ret);
	for (int k = 0; k < KIND_COUNT; k++)
		take_kind(b, (enum kind) k, first, n, ret);
}

void measurement_take(const struct measurement_base *b, struct measurement *ret)
{
	take(b, 0, b->n, ret);
}

void measurement_take_one(const struct measurement_base *b, size_t i, struct measurement *ret)
{
	take(b, i, 1, ret);
}

void measurement_add(struct measurement *sum, const struct measurement *m)
{
	sum->elapsed_ns += m->elapsed_ns;
	sum->asked_cpu_ns += m->asked_cpu_ns;
	sum->tool_cpu_ns += m->tool_cpu_ns;
	sum->capacity_ns += m->capacity_ns;
	sum->idle_ns += m->idle_ns;
	for (int i = 0; i < KIND_COUNT; i++) {
		struct kind_figures *to = &sum->kinds[i];
		const struct kind_figures *k = &m->kinds[i];

		to->known |= k->known;
		to->shared |= k->shared;
		to->idle_known |= k->idle_known;
		to->partial |= k->partial;
		to->flags |= k->flags;
		energy_add(&to->whole, k->whole);
		energy_add(&to->asked, k->asked);
		to->tool_uj += k->tool_uj;
		to->idle_uj += k->idle_uj;
		to->other_uj += k->other_uj;
		if (k->peak_uw > to->peak_uw)
			to->peak_uw = k->peak_uw;
	}
	for (size_t i = 0; i < RIG_MAX_DOMAINS; i++) {
		sum->domains[i].known |= m->domains[i].known;
		sum->domains[i].partial |= m->domains[i].partial;
		sum->domains[i].covered_ns += m->domains[i].covered_ns;
		sum->domains[i].outermost |= m->domains[i].outermost;
		sum->domains[i].flags |= m->domains[i].flags;
		energy_add(&sum->domains[i].energy, m->domains[i].energy);
	}
	sum->machine_known |= m->machine_known;
	sum->partial |= m->partial;
	energy_add(&sum->machine, m->machine);
}
