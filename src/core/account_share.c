// SPDX-License-Identifier: MIT
#include "core/account_share.h"

#include "core/account_range.h"

/* A slice must be this many update periods long before its power counts as a peak: over less, the
 * counter's own steps look like power. */
#define PEAK_PERIODS 10

/* DRAM and CPU energy go by CPU time; of a GPU the CPUs' clocks tell nothing. */
static bool goes_by_cpu_time(const struct domain *d)
{
	return d->kind == KIND_CPU || d->kind == KIND_DRAM;
}

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
		if (goes_by_cpu_time(b->domain))
			ret.idle_uj = share_idle(interval, rest_uj);
		ret.other_uj -= ret.idle_uj;
		b->idle_uj += ret.idle_uj;
		b->other_uj += ret.other_uj;
		return ret;
	}
	if (!goes_by_cpu_time(b->domain)) {
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
	struct slice slice = { .domain = d,
		.t_ns = now->t_ns,
		.interval_ns = interval_ns,
		.energy_uj = interval->energy_uj,
		.parts = a->parts };
	struct energy domain = account_domain_range(b, interval->energy_uj, interval_ns, t_err_ns);

	for (uint32_t i = 0; i < n_targets; i++) {
		const struct account_target *t = a->targets[a->slots[i]];
		const struct share_target *share = &a->shares[i];

		add_part(a, &slice, SLICE_TARGET, a->slots[i],
			account_target_range(a, t, domain, interval->capacity_ns, interval_ns,
				share->used_ns, share->energy_uj),
			flags | account_target_flags(t));
	}
	if (rest->told_apart) {
		if (goes_by_cpu_time(b->domain))
			add_part(a, &slice, SLICE_IDLE, ACCOUNT_NO_SLOT,
				account_part_range(domain, rest->idle_uj), flags);
		add_part(a, &slice, SLICE_OTHER, ACCOUNT_NO_SLOT,
			account_part_range(domain, rest->other_uj), flags);
	} else {
		add_part(a, &slice, SLICE_REST, ACCOUNT_NO_SLOT,
			account_part_range(domain, rest->other_uj), flags);
	}
	a->listener.slice(a->listener.ctx, &slice);
}

void account_advance(
	struct account *a, size_t d, uint32_t n_targets, const struct point *now, unsigned flags)
{
	struct domain_book *b = &a->books[d];
	bool shared = goes_by_cpu_time(b->domain);
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
	b->total_uj += interval.energy_uj;
	if (interval_ns >= PEAK_PERIODS * b->domain->update_ns && interval_ns > 0) {
		uint64_t mw = average_mw(interval.energy_uj, interval_ns);

		if (mw > b->peak_mw)
			b->peak_mw = mw;
	}
	if (a->listener.slice)
		tell_slice(a, d, now, &interval, interval_ns, t_err_ns, n_targets, &rest, flags);
	b->point = *now;
}
