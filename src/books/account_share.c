// SPDX-License-Identifier: MIT
#include "books/account_share.h"

#include "books/account_range.h"
#include "meter/power.h"

/* A slice must be this many update periods long before its power counts as a peak: over less, the
 * counter's own steps look like power. */
#define PEAK_PERIODS 10

#define ALL_PPM 1000000

void account_settle(struct domain_book *b)
{
	uint64_t idle_uj = share_idle(&b->pending.shared, b->pending.rest_uj);

	b->idle_uj += idle_uj;
	b->other_uj += b->pending.rest_uj - idle_uj;
	b->pending = (struct pending) { 0 };
}

struct rest {
	uint64_t idle_uj;
	uint64_t other_uj;
	bool told_apart;
};

/* An interval of a domain that was shared out between the targets that are present. */
struct split {
	struct interval interval;
	struct share_interval shared;
	size_t n; /* how many of the targets have a part, from the first */
	struct rest rest;
};

static struct rest split_rest(struct domain_book *b, const struct split *split, uint64_t rest_uj)
{
	const struct share_interval *shared = &split->shared;
	struct rest ret = { .other_uj = rest_uj };

	if (split->interval.ns >= ACCOUNT_SETTLE_NS) {
		ret.told_apart = true;
		if (kind_goes_by_cpu_time(b->domain->kind))
			ret.idle_uj = share_idle(shared, rest_uj);
		ret.other_uj -= ret.idle_uj;
		b->idle_uj += ret.idle_uj;
		b->other_uj += ret.other_uj;
		return ret;
	}
	if (!kind_goes_by_cpu_time(b->domain->kind)) {
		ret.told_apart = true;
		b->other_uj += rest_uj;
		return ret;
	}
	b->pending.shared.policy = shared->policy;
	b->pending.shared.energy_uj += shared->energy_uj;
	b->pending.shared.capacity += shared->capacity;
	b->pending.shared.idle += shared->idle;
	b->pending.rest_uj += rest_uj;
	b->pending.ns += split->interval.ns;
	if (b->pending.ns >= ACCOUNT_SETTLE_NS)
		account_settle(b);
	return ret;
}

/* ---- telling of it ---------------------------------------------------------------------- */

static struct slice_part part_of_target(const struct account *a, const struct domain_book *b,
	const struct split *split, struct energy whole, uint32_t i)
{
	const struct account_target *t = a->targets[a->slots[i]];
	struct slice_part ret = {
		.who = SLICE_TARGET, .slot = a->slots[i], .flags = split->interval.flags
	};

	if (b->by_use) {
		ret.energy = account_part_range(whole, a->shares[i].energy_uj);
		return ret;
	}
	ret.flags |= account_target_flags(t);
	ret.energy = account_target_range(a, t,
		&(struct target_part) { .whole = whole,
			.ns = split->interval.ns,
			.capacity_ns = split->shared.capacity,
			.used_ns = a->shares[i].used,
			.energy_uj = a->shares[i].energy_uj });
	return ret;
}

static struct slice_part part_of_rest(
	const struct split *split, struct energy whole, enum slice_who who, uint64_t uj)
{
	return (struct slice_part) { .who = who,
		.slot = ACCOUNT_NO_SLOT,
		.energy = account_part_range(whole, uj),
		.flags = split->interval.flags };
}

static void tell_slice(struct account *a, size_t d, const struct split *split)
{
	const struct domain_book *b = &a->books[d];
	const struct rest *rest = &split->rest;
	struct energy whole;
	struct slice slice = {
		.domain = d, .interval = split->interval, .by_use = b->by_use, .parts = a->parts
	};

	if (!a->watcher.slice)
		return;
	whole = account_domain_range(b, &split->interval);
	for (uint32_t i = 0; i < split->n; i++)
		a->parts[slice.n_parts++] = part_of_target(a, b, split, whole, i);
	if (rest->told_apart && (kind_goes_by_cpu_time(b->domain->kind) || b->by_use))
		a->parts[slice.n_parts++] = part_of_rest(split, whole, SLICE_IDLE, rest->idle_uj);
	a->parts[slice.n_parts++] = part_of_rest(
		split, whole, rest->told_apart ? SLICE_OTHER : SLICE_REST, rest->other_uj);
	a->watcher.slice(a->watcher.ctx, &slice);
}

/* ---- by use --------------------------------------------------------------------------------- */

static struct share_interval held_shared(const struct account *a, const struct domain_book *b)
{
	return (struct share_interval) { .energy_uj = b->held.energy_uj,
		.capacity = ALL_PPM,
		.idle = ALL_PPM - (b->busy_ppm < ALL_PPM ? b->busy_ppm : ALL_PPM),
		.policy = a->options.idle };
}

static void settle_held(struct account *a, size_t d)
{
	struct domain_book *b = &a->books[d];
	struct split split = { .interval = b->held,
		.shared = held_shared(a, b),
		.n = a->n_present,
		.rest.told_apart = true };
	struct rest *rest = &split.rest;

	b->held = (struct interval) { 0 };
	if (split.interval.ns == 0)
		return;
	split.interval.to_ns = b->point.t_ns;
	split.interval.err_ns += b->point.t_err_ns;
	for (uint32_t i = 0; i < split.n; i++) {
		const struct target_book *book = &a->targets[a->slots[i]]->books[d];

		a->shares[i] = (struct share_target) { .used = book->used_ppm,
			.fraction = book->share.fraction };
	}
	rest->other_uj = share_split(&split.shared, a->shares, split.n);
	for (uint32_t i = 0; i < split.n; i++) {
		struct target_book *book = &a->targets[a->slots[i]]->books[d];

		book->share.fraction = a->shares[i].fraction;
		book->total_uj += a->shares[i].energy_uj;
	}
	rest->idle_uj = share_idle(&split.shared, rest->other_uj);
	rest->other_uj -= rest->idle_uj;
	b->idle_uj += rest->idle_uj;
	b->other_uj += rest->other_uj;
	tell_slice(a, d, &split);
}

void account_drop_held(struct domain_book *b)
{
	b->other_uj += b->held.energy_uj;
	b->held = (struct interval) { 0 };
}

uint64_t account_held_of(const struct domain_book *b, const struct target_book *t)
{
	return muldiv_u64(
		b->held.energy_uj, t->used_ppm < ALL_PPM ? t->used_ppm : ALL_PPM, ALL_PPM);
}

uint64_t account_held_idle(const struct account *a, const struct domain_book *b)
{
	struct share_interval shared = held_shared(a, b);

	return shared.policy == IDLE_PROPORTIONAL ? 0 : share_idle(&shared, shared.energy_uj);
}

void account_settle_uses(struct account *a)
{
	a->n_present = 0;
	for (uint32_t slot = 0; slot < a->n_slots; slot++)
		if (a->targets[slot] && a->targets[slot]->begun)
			a->slots[a->n_present++] = slot;
	for (size_t d = 0; d < a->n_domains; d++)
		settle_held(a, d);
}

/* Energy waits for the next look, and is then shared out by that. */
static void hold(
	struct account *a, size_t d, const struct interval *interval, const struct point *now)
{
	struct domain_book *b = &a->books[d];

	if (b->held.ns == 0) {
		b->held.from_ns = interval->from_ns;
		b->held.err_ns = b->point.t_err_ns; /* at its begin */
	}
	b->held.ns += interval->ns;
	b->held.energy_uj += interval->energy_uj;
	b->held.flags |= interval->flags;
	b->point = *now;
	if (now->looked_ns == b->looked_ns)
		return;
	b->looked_ns = now->looked_ns;
	b->busy_ppm = now->busy_ppm;
	settle_held(a, d);
}

bool account_shares(const struct account *a, enum kind kind)
{
	bool any = false;

	for (size_t d = 0; d < a->n_domains; d++) {
		const struct domain_book *b = &a->books[d];

		if (!domain_adds_to(b->domain, kind))
			continue;
		if (!kind_goes_by_cpu_time(b->domain->kind) && !b->by_use)
			return false;
		any = true;
	}
	return any;
}

/* ---- by CPU time ---------------------------------------------------------------------------- */

static void share_by_cpu_time(
	struct account *a, size_t d, const struct interval *interval, const struct point *now)
{
	struct domain_book *b = &a->books[d];
	struct split split = { .interval = *interval,
		.shared = { .energy_uj = interval->energy_uj,
			.capacity = now->capacity_ns - b->point.capacity_ns,
			.idle = now->idle_ns - b->point.idle_ns,
			.policy = a->options.idle },
		/* Of what does not go by CPU time nobody has a part. */
		.n = kind_goes_by_cpu_time(b->domain->kind) ? a->n_present : 0 };
	uint64_t rest_uj;

	for (uint32_t i = 0; i < split.n; i++) {
		const struct account_target *t = a->targets[a->slots[i]];

		a->shares[i] = t->books[d].share;
		a->shares[i].used = t->cpu_ns - t->books[d].base_cpu_ns;
	}
	rest_uj = share_split(&split.shared, a->shares, split.n);
	for (uint32_t i = 0; i < split.n; i++) {
		struct target_book *book = &a->targets[a->slots[i]]->books[d];

		book->share = a->shares[i];
		book->total_uj += a->shares[i].energy_uj;
		book->base_cpu_ns = a->targets[a->slots[i]]->cpu_ns;
	}
	split.rest = split_rest(b, &split, rest_uj);
	tell_slice(a, d, &split);
	b->point = *now;
}

/* ---- a reading ------------------------------------------------------------------------------ */

static void note_peak(struct domain_book *b, const struct interval *interval)
{
	uint64_t mw = power_mw(interval->energy_uj, interval->ns);

	if (interval->ns >= PEAK_PERIODS * b->domain->update_ns && mw > b->peak_mw)
		b->peak_mw = mw;
}

void account_advance(struct account *a, size_t d, const struct point *now, unsigned flags)
{
	struct domain_book *b = &a->books[d];
	const struct interval interval = { .from_ns = b->point.t_ns,
		.to_ns = now->t_ns,
		.energy_uj = now->energy_uj - b->point.energy_uj,
		.ns = now->t_ns - b->point.t_ns,
		.err_ns = now->t_err_ns + b->point.t_err_ns,
		.over_ns = b->point.stale_ns,
		.under_ns = now->stale_ns,
		.flags = flags };

	note_peak(b, &interval);
	b->total_uj += interval.energy_uj;
	/* It is not known any more: what waits goes by what was known last. */
	if (b->by_use && !now->looked_ns)
		settle_held(a, d);
	b->by_use = now->looked_ns && b->domain->tells_users;
	if (b->by_use)
		hold(a, d, &interval, now);
	else
		share_by_cpu_time(a, d, &interval, now);
}
