// SPDX-License-Identifier: MIT
/*
 * Marks, and what was used since: differences of two states of the books.
 */
#include <stdlib.h>

#include "books/account_range.h"
#include "books/account_share.h"
#include "books/account_state.h"
#include "meter/power.h"

/* Readings and snapshots further apart than this part of the time between make a difference. */
#define EXTEND_PART 100

struct mark_domain {
	bool counting;
	uint64_t t_ns;
	uint64_t t_err_ns;
	uint64_t stale_ns;
	uint64_t hole_ns;
	uint64_t power_mw;
	uint64_t capacity_ns;
	uint64_t total_uj;
	uint64_t idle_uj;
	uint64_t other_uj;
	uint32_t resets;
	uint32_t gaps;
	uint64_t target_cpu_ns;
	uint64_t target_uj;
};

struct account_mark {
	uint32_t slot;
	uint64_t t_ns;
	uint64_t cpu_ns;
	uint64_t missed_ticks;
	struct mark_domain domains[];
};

struct account_mark *account_mark_new(const struct account *a, uint32_t slot)
{
	struct account_mark *m = malloc(sizeof(*m) + a->n_domains * sizeof(m->domains[0]));

	if (!m)
		return NULL;
	m->slot = slot;
	account_mark_renew(a, m);
	return m;
}

void account_mark_free(struct account_mark *m)
{
	free(m);
}

void account_mark_renew(const struct account *a, struct account_mark *m)
{
	const struct account_target *t = account_target_of(a, m->slot);

	m->t_ns = a->t_ns;
	m->cpu_ns = t ? t->cpu_ns : 0;
	m->missed_ticks = a->missed_ticks;
	for (size_t d = 0; d < a->n_domains; d++) {
		const struct domain_book *b = &a->books[d];
		struct domain_book settled = *b;

		account_settle(&settled);
		m->domains[d] = (struct mark_domain) {
			.counting = b->state == BOOK_COUNTING,
			.t_ns = b->point.t_ns,
			.t_err_ns = b->point.t_err_ns,
			.stale_ns = b->point.stale_ns,
			.hole_ns = b->hole_ns,
			.power_mw = b->point.power_mw,
			.capacity_ns = b->point.capacity_ns,
			.total_uj = b->total_uj,
			.idle_uj = settled.idle_uj + account_held_idle(a, b),
			.other_uj = settled.other_uj,
			.resets = b->resets,
			.gaps = b->gaps,
			.target_cpu_ns = t ? t->books[d].base_cpu_ns : 0,
			.target_uj = t ? t->books[d].total_uj + account_held_of(b, &t->books[d])
				       : 0,
		};
	}
}

static unsigned flags_since(const struct account *a, const struct account_mark *m,
	const struct domain_book *b, const struct mark_domain *from)
{
	return b->domain->quality | (b->disputed ? FLAG_DISPUTED : 0) |
		(b->gaps != from->gaps || b->health != HEALTH_OK ? FLAG_GAP : 0) |
		(b->resets != from->resets ? FLAG_RESET : 0) |
		(a->missed_ticks != m->missed_ticks ? FLAG_LATE : 0);
}

/* Makes the whole of a domain's span the part that a target got of it. */
static void target_since(const struct account *a, const struct account_target *t,
	const struct mark_domain *from, const struct domain_book *b, struct span *span)
{
	const struct target_book *book = &t->books[b - a->books];
	uint64_t uj = book->total_uj + account_held_of(b, book);
	struct target_part part = { .whole = span->energy,
		.ns = span->interval_ns,
		.capacity_ns = b->point.capacity_ns - from->capacity_ns,
		.used_ns = book->base_cpu_ns - from->target_cpu_ns };

	/* What was held at the mark may have turned out to be less. */
	part.energy_uj = uj > from->target_uj ? uj - from->target_uj : 0;
	if (b->by_use) {
		span->energy = account_part_range(part.whole, part.energy_uj);
		return;
	}
	span->energy = account_target_range(a, t, &part);
	span->flags |= account_target_flags(t);
}

static uint64_t beyond(uint64_t x, uint64_t y)
{
	return x > y ? x - y : 0;
}

/* What was counted since the mark: between which readings, and how much of the asked time is outside of
 * them or in a hole. */
static struct interval interval_since(const struct account *a, const struct account_mark *m,
	const struct domain_book *b, const struct mark_domain *from)
{
	uint64_t from_ns = from->counting ? from->t_ns : b->begin_ns, to_ns = b->point.t_ns;
	struct interval ret = { .from_ns = from_ns,
		.to_ns = to_ns,
		.energy_uj = b->total_uj - from->total_uj,
		.err_ns = b->point.t_err_ns + from->t_err_ns,
		.over_ns = beyond(m->t_ns, from_ns) + beyond(to_ns, a->t_ns),
		.under_ns = beyond(from_ns, m->t_ns),
		.hole_ns = b->hole_ns - from->hole_ns,
		.flags = flags_since(a, m, b, from) };
	uint64_t tail_ns = beyond(a->t_ns, to_ns);

	ret.ns = to_ns - from_ns - ret.hole_ns;
	/* Before its first reading nothing is old: it begins there. */
	ret.over_ns += from->stale_ns;
	ret.under_ns += b->point.stale_ns < ret.ns ? b->point.stale_ns : ret.ns;
	/* A sensor that cannot be read may have missed all of the rest. */
	if (b->health != HEALTH_OK)
		ret.hole_ns += tail_ns;
	else
		ret.under_ns += tail_ns;
	return ret;
}

void account_domain_since(const struct account *a, const struct account_mark *m, uint32_t slot,
	size_t domain, struct span *ret)
{
	const struct domain_book *b = &a->books[domain];
	const struct mark_domain *from = &m->domains[domain];
	const struct account_target *t = account_target_of(a, slot);
	uint64_t from_ns = from->counting ? from->t_ns : b->begin_ns;
	struct interval interval;

	*ret = (struct span) { .fresh = b->fresh || b->health == HEALTH_LOST,
		.flags = flags_since(a, m, b, from),
		.failing = b->health == HEALTH_FAILING,
		.asked_ns = a->t_ns - m->t_ns };
	if (b->state != BOOK_COUNTING || b->point.t_ns <= from_ns)
		return;
	interval = interval_since(a, m, b, from);
	if (interval.ns == 0)
		return;
	ret->known = true;
	ret->partial = interval.hole_ns > 0;
	ret->doubt_ns = interval.err_ns + interval.over_ns + interval.under_ns;
	ret->interval_ns = interval.ns;
	ret->covered_ns = beyond(ret->asked_ns, interval.hole_ns);
	ret->energy = account_domain_range(b, &interval);
	if (t)
		target_since(a, t, from, b, ret);
	ret->power_uw = power_uw(ret->energy.uj, ret->interval_ns);
}

static void add_span(struct span *sum, const struct span *one)
{
	sum->fresh &= one->fresh;
	sum->failing |= one->failing;
	if (!one->known) {
		sum->lacking = true;
		sum->flags |= one->flags & (FLAG_GAP | FLAG_RESET);
		return;
	}
	sum->known = true;
	if (one->interval_ns > sum->interval_ns)
		sum->interval_ns = one->interval_ns;
	if (one->asked_ns > sum->asked_ns)
		sum->asked_ns = one->asked_ns;
	/* A sum is known for as long as all of its terms are. */
	if (!sum->covered_ns || one->covered_ns < sum->covered_ns)
		sum->covered_ns = one->covered_ns;
	sum->partial |= one->partial;
	if (one->doubt_ns > sum->doubt_ns)
		sum->doubt_ns = one->doubt_ns;
	energy_add(&sum->energy, one->energy);
	sum->power_uw += one->power_uw;
	sum->flags |= one->flags;
}

void account_since(const struct account *a, const struct account_mark *m, uint32_t slot,
	enum kind kind, struct span *ret)
{
	*ret = (struct span) { .fresh = true };
	for (size_t d = 0; d < a->n_domains; d++) {
		struct span one;

		if (!domain_adds_to(a->books[d].domain, kind))
			continue;
		account_domain_since(a, m, slot, d, &one);
		add_span(ret, &one);
	}
	if (!ret->known)
		ret->fresh = false;
}

/* What was used between a reading and a snapshot near it, in microjoules. */
static uint64_t used_between(uint64_t mw, uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? power_energy_uj(mw, to_ns - from_ns) : 0;
}

static uint64_t distance(uint64_t x, uint64_t y)
{
	return x > y ? x - y : y - x;
}

/* Nothing is told of the time between a reading and its snapshot: the mean over the readings stands
 * for it, as long as they cover most of the time; else nothing is known. */
static void extend(const struct account *a, const struct account_mark *m,
	const struct domain_book *b, uint64_t from_ns, struct span *span)
{
	uint64_t want_ns = a->t_ns - m->t_ns, have_ns = span->interval_ns;
	uint64_t off_ns = distance(a->t_ns, b->point.t_ns) + distance(m->t_ns, from_ns);
	uint64_t mw = power_mw(span->energy.uj, have_ns), doubt_uj;

	/* What the counter says is not touched for next to nothing. */
	if (off_ns <= want_ns / EXTEND_PART)
		return;
	if (have_ns == 0 || off_ns > want_ns / 2) {
		span->known = false;
		return;
	}
	doubt_uj = power_energy_uj(b->peak_mw > mw ? b->peak_mw : mw, off_ns);
	span->energy.uj = muldiv_u64(span->energy.uj, want_ns, have_ns);
	if (span->energy.low_uj > span->energy.uj)
		span->energy.low_uj = span->energy.uj;
	span->energy.low_uj -= doubt_uj < span->energy.low_uj ? doubt_uj : span->energy.low_uj;
	if (span->energy.high_uj < span->energy.uj)
		span->energy.high_uj = span->energy.uj;
	span->energy.high_uj += doubt_uj;
	span->interval_ns = want_ns;
	span->power_uw = power_uw(span->energy.uj, want_ns);
}

void account_domain_total_since(
	const struct account *a, const struct account_mark *m, size_t domain, struct span *ret)
{
	const struct domain_book *b = &a->books[domain];
	const struct mark_domain *from = &m->domains[domain];
	uint64_t from_ns = from->counting ? from->t_ns : b->begin_ns;
	uint64_t from_mw = from->counting ? from->power_mw : b->begin_mw;
	uint64_t more_uj, less_uj, most_mw, most_uj;

	account_domain_since(a, m, ACCOUNT_NO_SLOT, domain, ret);
	if (!ret->known || b->health != HEALTH_OK)
		return;
	if (!b->point.power_mw) {
		extend(a, m, b, from_ns, ret);
		return;
	}
	more_uj = used_between(b->point.power_mw, b->point.t_ns, a->t_ns) +
		used_between(from_mw, m->t_ns, from_ns);
	less_uj = used_between(from_mw, from_ns, m->t_ns) +
		used_between(b->point.power_mw, a->t_ns, b->point.t_ns);
	if (less_uj > ret->energy.uj + more_uj)
		less_uj = ret->energy.uj + more_uj;
	ret->energy.uj = ret->energy.uj + more_uj - less_uj;
	/* It may have been nothing, or the most that was ever seen. */
	most_mw = b->most_mw > b->peak_mw ? b->most_mw : b->peak_mw;
	ret->energy.high_uj += used_between(most_mw, b->point.t_ns, a->t_ns) +
		used_between(most_mw, m->t_ns, from_ns);
	most_uj = used_between(most_mw, from_ns, m->t_ns) +
		used_between(most_mw, a->t_ns, b->point.t_ns);
	ret->energy.low_uj -= most_uj < ret->energy.low_uj ? most_uj : ret->energy.low_uj;
	ret->interval_ns = a->t_ns - m->t_ns;
	ret->power_uw = power_uw(ret->energy.uj, ret->interval_ns);
}

void account_total_since(
	const struct account *a, const struct account_mark *m, enum kind kind, struct span *ret)
{
	*ret = (struct span) { .fresh = true };
	for (size_t d = 0; d < a->n_domains; d++) {
		struct span one;

		if (!domain_adds_to(a->books[d].domain, kind))
			continue;
		account_domain_total_since(a, m, d, &one);
		add_span(ret, &one);
	}
}

bool account_stand(const struct account *a, uint32_t slot, size_t domain, struct account_stand *ret)
{
	const struct domain_book *b = &a->books[domain];
	const struct account_target *t = account_target_of(a, slot);
	uint64_t stale_ns = beyond(b->point.t_ns, b->begin_ns);

	/* What it shows became true since counting began, however old it is. */
	if (b->point.stale_ns < stale_ns)
		stale_ns = b->point.stale_ns;
	*ret = (struct account_stand) { .t_ns = b->point.t_ns,
		.t_err_ns = b->point.t_err_ns + stale_ns,
		.whole_uj = b->total_uj,
		.capacity_ns = b->point.capacity_ns,
		.holes = b->resets,
		.gaps = b->gaps };
	if (t) {
		ret->target_uj = t->books[domain].total_uj;
		ret->cpu_ns = t->books[domain].base_cpu_ns;
		/* What waits for a look at who used it is not shared out yet. */
		if (account_shares(a, b->domain->kind))
			ret->shared_ns = b->point.t_ns - b->held.ns;
	}
	return b->state == BOOK_COUNTING;
}

uint64_t account_cpu_since(const struct account *a, const struct account_mark *m, uint32_t slot)
{
	const struct account_target *t = account_target_of(a, slot);

	return t && t->cpu_ns > m->cpu_ns ? t->cpu_ns - m->cpu_ns : 0;
}

void account_rest_since(const struct account *a, const struct account_mark *m, enum kind kind,
	uint64_t *ret_idle_uj, uint64_t *ret_other_uj)
{
	*ret_idle_uj = *ret_other_uj = 0;
	for (size_t d = 0; d < a->n_domains; d++) {
		const struct domain_book *b = &a->books[d];
		struct domain_book settled = *b;

		if (!domain_adds_to(b->domain, kind))
			continue;
		account_settle(&settled);
		settled.idle_uj += account_held_idle(a, b);
		/* What was settled for the mark is settled together with more now: a part may be
		 * less than it seemed then. */
		if (settled.idle_uj > m->domains[d].idle_uj)
			*ret_idle_uj += settled.idle_uj - m->domains[d].idle_uj;
		if (settled.other_uj > m->domains[d].other_uj)
			*ret_other_uj += settled.other_uj - m->domains[d].other_uj;
	}
}
