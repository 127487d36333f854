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
	uint64_t idle_uj = share_idle(&b->pending.interval, b->pending.rest_uj);

	b->idle_uj += idle_uj;
	b->other_uj += b->pending.rest_uj - idle_uj;
	b->pending = (struct pending) { 0 };
}

struct rest {
	uint64_t idle_uj;
	uint64_t other_uj;
	bool told_apart;
};

static struct rest split_rest(struct domain_book *b, const struct share_interval *interval,
	uint64_t rest_uj, uint64_t interval_ns)
{
	struct rest ret = { .other_uj = rest_uj };

	if (interval_ns >= ACCOUNT_SETTLE_NS) {
		ret.told_apart = true;
		if (kind_goes_by_cpu_time(b->domain->kind))
			ret.idle_uj = share_idle(interval, rest_uj);
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
	b->pending.interval.policy = interval->policy;
	b->pending.interval.energy_uj += interval->energy_uj;
	b->pending.interval.capacity_ns += interval->capacity_ns;
	b->pending.interval.idle_ns += interval->idle_ns;
	b->pending.rest_uj += rest_uj;
	b->pending.ns += interval_ns;
	if (b->pending.ns >= ACCOUNT_SETTLE_NS)
		account_settle(b);
	return ret;
}

static void add_part(struct account *a, struct slice *slice, enum slice_who who, uint32_t slot,
	struct energy energy, unsigned flags)
{
	a->parts[slice->n_parts++] =
		(struct slice_part) { .who = who, .slot = slot, .energy = energy, .flags = flags };
}

static void tell_slice(struct account *a, size_t d, const struct point *now,
	const struct share_interval *interval, uint64_t interval_ns, uint64_t t_err_ns,
	uint32_t n_targets, const struct rest *rest, unsigned flags)
{
	struct domain_book *b = &a->books[d];
	bool has_idle = kind_goes_by_cpu_time(b->domain->kind) || b->by_use;
	struct slice slice = { .domain = d,
		.by_use = b->by_use,
		.t_ns = now->t_ns,
		.interval_ns = interval_ns,
		.energy_uj = interval->energy_uj,
		.parts = a->parts };
	struct energy domain = account_domain_range(b, interval->energy_uj, interval_ns, t_err_ns);

	for (uint32_t i = 0; i < n_targets; i++) {
		const struct account_target *t = a->targets[a->slots[i]];
		const struct share_target *share = &a->shares[i];

		add_part(a, &slice, SLICE_TARGET, a->slots[i],
			b->by_use ? account_part_range(domain, share->energy_uj)
				  : account_target_range(a, t, domain, interval->capacity_ns,
					    interval_ns, share->used_ns, share->energy_uj),
			flags | (b->by_use ? 0 : account_target_flags(t)));
	}
	if (rest->told_apart) {
		if (has_idle)
			add_part(a, &slice, SLICE_IDLE, ACCOUNT_NO_SLOT,
				account_part_range(domain, rest->idle_uj), flags);
		add_part(a, &slice, SLICE_OTHER, ACCOUNT_NO_SLOT,
			account_part_range(domain, rest->other_uj), flags);
	} else {
		add_part(a, &slice, SLICE_REST, ACCOUNT_NO_SLOT,
			account_part_range(domain, rest->other_uj), flags);
	}
	a->watcher.slice(a->watcher.ctx, &slice);
}

/* ---- by use --------------------------------------------------------------------------------- */

static struct share_interval held_interval(const struct account *a, const struct domain_book *b)
{
	return (struct share_interval) { .energy_uj = b->held.energy_uj,
		.capacity_ns = ALL_PPM,
		.idle_ns = ALL_PPM - (b->busy_ppm < ALL_PPM ? b->busy_ppm : ALL_PPM),
		.policy = a->options.idle };
}

/* The targets are those whose slots are in a->slots. */
static void settle_held(struct account *a, size_t d, uint32_t n_targets)
{
	struct domain_book *b = &a->books[d];
	struct share_interval interval = held_interval(a, b);
	struct held held = b->held;
	struct rest rest = { .told_apart = true };

	b->held = (struct held) { 0 };
	if (held.ns == 0)
		return;
	for (uint32_t i = 0; i < n_targets; i++) {
		struct target_book *book = &a->targets[a->slots[i]]->books[d];

		a->shares[i] = (struct share_target) { .used_ns = book->used_ppm,
			.fraction = book->share.fraction };
	}
	rest.other_uj = share_split(&interval, a->shares, n_targets);
	for (uint32_t i = 0; i < n_targets; i++) {
		struct target_book *book = &a->targets[a->slots[i]]->books[d];

		book->share.fraction = a->shares[i].fraction;
		book->total_uj += a->shares[i].energy_uj;
	}
	rest.idle_uj = share_idle(&interval, rest.other_uj);
	rest.other_uj -= rest.idle_uj;
	b->idle_uj += rest.idle_uj;
	b->other_uj += rest.other_uj;
	if (a->watcher.slice)
		tell_slice(a, d, &b->point, &interval, held.ns, held.t_err_ns + b->point.t_err_ns,
			n_targets, &rest, held.flags);
}

void account_drop_held(struct domain_book *b)
{
	b->other_uj += b->held.energy_uj;
	b->held = (struct held) { 0 };
}

uint64_t account_held_of(const struct domain_book *b, const struct target_book *t)
{
	return muldiv_u64(
		b->held.energy_uj, t->used_ppm < ALL_PPM ? t->used_ppm : ALL_PPM, ALL_PPM);
}

uint64_t account_held_idle(const struct account *a, const struct domain_book *b)
{
	struct share_interval interval = held_interval(a, b);

	return interval.policy == IDLE_PROPORTIONAL ? 0 : share_idle(&interval, interval.energy_uj);
}

void account_settle_uses(struct account *a)
{
	uint32_t n = 0;

	for (uint32_t slot = 0; slot < a->n_slots; slot++)
		if (a->targets[slot] && a->targets[slot]->begun)
			a->slots[n++] = slot;
	for (size_t d = 0; d < a->n_domains; d++)
		settle_held(a, d, n);
}

/* Energy waits for the next look, and is then shared out by that. */
static void hold(
	struct account *a, size_t d, uint32_t n_targets, const struct point *now, unsigned flags)
{
	struct domain_book *b = &a->books[d];

	if (b->held.ns == 0)
		b->held.t_err_ns = b->point.t_err_ns; /* at its begin */
	b->held.ns += now->t_ns - b->point.t_ns;
	b->held.energy_uj += now->energy_uj - b->point.energy_uj;
	b->held.flags |= flags;
	b->point = *now;
	if (now->looked_ns == b->looked_ns)
		return;
	b->looked_ns = now->looked_ns;
	b->busy_ppm = now->busy_ppm;
	settle_held(a, d, n_targets);
}

bool account_shares(const struct account *a, enum kind kind)
{
	bool any = false;

	for (size_t d = 0; d < a->n_domains; d++) {
		const struct domain_book *b = &a->books[d];

		if (b->domain->kind != kind || !b->domain->counted)
			continue;
		if (!kind_goes_by_cpu_time(b->domain->kind) && !b->by_use)
			return false;
		any = true;
	}
	return any;
}

/* ---- a reading ------------------------------------------------------------------------------ */

void account_advance(
	struct account *a, size_t d, uint32_t n_targets, const struct point *now, unsigned flags)
{
	struct domain_book *b = &a->books[d];
	bool shared = kind_goes_by_cpu_time(b->domain->kind);
	uint64_t interval_ns = now->t_ns - b->point.t_ns;
	uint64_t t_err_ns = now->t_err_ns + b->point.t_err_ns;
	struct share_interval interval = {
		.energy_uj = now->energy_uj - b->point.energy_uj,
		.capacity_ns = now->capacity_ns - b->point.capacity_ns,
		.idle_ns = now->idle_ns - b->point.idle_ns,
		.policy = a->options.idle,
	};
	uint64_t rest_uj = interval.energy_uj;
	struct rest rest;

	if (interval_ns >= PEAK_PERIODS * b->domain->update_ns && interval_ns > 0) {
		uint64_t mw = power_mw(interval.energy_uj, interval_ns);

		if (mw > b->peak_mw)
			b->peak_mw = mw;
	}
	b->total_uj += interval.energy_uj;
	/* It is not known any more: what waits goes by what was known last. */
	if (b->by_use && !now->looked_ns)
		settle_held(a, d, n_targets);
	b->by_use = now->looked_ns && b->domain->tells_users;
	if (b->by_use) {
		hold(a, d, n_targets, now, flags);
		return;
	}
	if (!shared)
		n_targets = 0;
	for (uint32_t i = 0; i < n_targets; i++) {
		struct account_target *t = a->targets[a->slots[i]];

		a->shares[i] = t->books[d].share;
		a->shares[i].used_ns = t->cpu_ns - t->books[d].base_cpu_ns;
	}
	rest_uj = share_split(&interval, a->shares, n_targets);
	for (uint32_t i = 0; i < n_targets; i++) {
		struct target_book *book = &a->targets[a->slots[i]]->books[d];

		book->share = a->shares[i];
		book->total_uj += a->shares[i].energy_uj;
		book->base_cpu_ns = a->targets[a->slots[i]]->cpu_ns;
	}
	rest = split_rest(b, &interval, rest_uj, interval_ns);
	if (a->watcher.slice)
		tell_slice(a, d, now, &interval, interval_ns, t_err_ns, n_targets, &rest, flags);
	b->point = *now;
}
