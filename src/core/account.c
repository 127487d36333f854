// SPDX-License-Identifier: MIT
#include "core/account.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/u128.h"

/* A slice must be this many update periods long before its power counts as a peak: over less, the
 * counter's own steps look like power. */
#define PEAK_PERIODS 10

/* Where a domain's counting stands, and the machine's CPU time then. */
struct point {
	uint64_t t_ns;
	uint64_t t_err_ns;
	uint64_t energy_uj; /* of the epoch since_ns */
	uint64_t since_ns;
	uint64_t power_mw;
	uint64_t capacity_ns;
	uint64_t idle_ns;
};

/* What was taken together from slices too short to settle. */
struct pending {
	struct share_interval interval;
	uint64_t rest_uj;
	uint64_t ns;
};

struct domain_book {
	const struct domain *domain;
	bool have;  /* point is a reading */
	bool early; /* point is a snapshot at which the first reading was still to come */
	bool fresh; /* the last snapshot moved the point */
	struct point point;
	uint64_t total_uj; /* over all epochs */
	uint64_t idle_uj;
	uint64_t other_uj;
	struct pending pending;
	uint64_t peak_mw;
	uint64_t begin_ns; /* when counting began: before the first hole, if there are some */
	uint64_t begin_mw; /* power then; 0: not told */
	uint64_t most_mw;  /* the highest power that was told at all */
	uint32_t resets;
	uint32_t gaps;
	uint64_t failing_since_ns; /* 0: not failing */
	bool lost;
};

/* One target's side of one domain. */
struct target_book {
	uint64_t base_cpu_ns; /* the target's CPU time when the domain's point was made */
	struct share_target share;
	uint64_t total_uj;
};

struct account_target {
	bool begun; /* a snapshot had it */
	uint64_t cpu_ns;
	unsigned flags; /* USAGE_* */
	uint64_t tail_ns;
	struct target_book books[]; /* one a domain */
};

struct account {
	size_t n_domains;
	struct account_options options;
	struct account_listener listener;
	struct domain_book *books;
	struct account_target **targets; /* by slot; NULL: none */
	uint32_t n_slots;
	uint64_t t_ns; /* of the last snapshot */
	uint32_t n_cpu;
	uint64_t missed_ticks;

	/* Scratch for one snapshot, as large as the targets' number. */
	uint32_t *slots;
	struct share_target *shares;
	struct slice_part *parts;
};

struct mark_domain {
	bool have;
	uint64_t t_ns;
	uint64_t t_err_ns;
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

/* ---- making and freeing ----------------------------------------------------------------- */

static int grow(struct account *a, uint32_t slot)
{
	uint32_t n = a->n_slots ? a->n_slots : 8;
	struct account_target **targets;
	void *p;

	while (n <= slot)
		n *= 2;
	targets = realloc(a->targets, n * sizeof(struct account_target *));
	if (!targets)
		return -ENOMEM;
	a->targets = targets;
	if (!(p = realloc(a->slots, n * sizeof(*a->slots))))
		return -ENOMEM;
	a->slots = p;
	if (!(p = realloc(a->shares, n * sizeof(*a->shares))))
		return -ENOMEM;
	a->shares = p;
	/* Each target, and at most two parts for the rest. */
	if (!(p = realloc(a->parts, (n + 2) * sizeof(*a->parts))))
		return -ENOMEM;
	a->parts = p;
	memset(targets + a->n_slots, 0, (n - a->n_slots) * sizeof(struct account_target *));
	a->n_slots = n;
	return 0;
}

int account_create(struct account **ret, const struct domain *const *domains, size_t n_domains,
	const struct account_options *options, const struct account_listener *listener)
{
	struct account *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->books = calloc(n_domains ? n_domains : 1, sizeof(*a->books));
	/* The rest of a domain needs room in the scratch also where there are no targets. */
	if (!a->books || grow(a, 0) < 0) {
		account_destroy(a);
		return -ENOMEM;
	}
	a->n_domains = n_domains;
	a->options = *options;
	if (listener)
		a->listener = *listener;
	for (size_t i = 0; i < n_domains; i++)
		a->books[i].domain = domains[i];
	*ret = a;
	return 0;
}

void account_destroy(struct account *a)
{
	if (!a)
		return;
	for (uint32_t i = 0; i < a->n_slots; i++)
		free(a->targets[i]);
	free(a->targets);
	free(a->books);
	free(a->slots);
	free(a->shares);
	free(a->parts);
	free(a);
}

int account_add_target(struct account *a, uint32_t slot)
{
	int r = slot < a->n_slots ? 0 : grow(a, slot);

	if (r < 0)
		return r;
	account_drop_target(a, slot);
	a->targets[slot] = calloc(
		1, sizeof(struct account_target) + a->n_domains * sizeof(struct target_book));
	return a->targets[slot] ? 0 : -ENOMEM;
}

void account_drop_target(struct account *a, uint32_t slot)
{
	if (slot >= a->n_slots)
		return;
	free(a->targets[slot]);
	a->targets[slot] = NULL;
}

static struct account_target *target_of(const struct account *a, uint32_t slot)
{
	return slot < a->n_slots ? a->targets[slot] : NULL;
}

/* ---- entering a snapshot ---------------------------------------------------------------- */

/* Takes over the targets' CPU times; returns how many there are, their numbers in a->slots. */
static uint32_t enter_usages(struct account *a, const struct snapshot *s)
{
	const struct usage *usages = snapshot_usages(s);
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_targets; i++) {
		struct account_target *t = target_of(a, usages[i].slot);

		if (!t)
			continue;
		t->cpu_ns = usages[i].cpu_ns;
		t->flags = usages[i].flags;
		t->tail_ns = usages[i].tail_ns;
		if (!t->begun) {
			t->begun = true;
			for (size_t d = 0; d < a->n_domains; d++)
				t->books[d].base_cpu_ns = t->cpu_ns;
		}
		a->slots[n++] = usages[i].slot;
	}
	return n;
}

/* Starts counting a domain's intervals at this point: what targets used before does not count. */
static void begin_at(struct account *a, size_t d, uint32_t n_targets, const struct point *point)
{
	a->books[d].point = *point;
	for (uint32_t i = 0; i < n_targets; i++) {
		struct account_target *t = a->targets[a->slots[i]];

		t->books[d].base_cpu_ns = t->cpu_ns;
		t->books[d].share.surplus_ns = 0;
	}
}

/* The same where there is no reading yet. */
static void begin_at_snapshot(
	struct account *a, const struct snapshot *s, size_t d, uint32_t n_targets)
{
	const struct point point = {
		.t_ns = s->t_ns, .capacity_ns = s->capacity_ns, .idle_ns = s->idle_ns
	};

	begin_at(a, d, n_targets, &point);
}

/* DRAM and CPU energy go by CPU time; of a GPU the CPUs' clocks tell nothing. */
static bool goes_by_cpu_time(const struct domain *d)
{
	return d->kind == KIND_CPU || d->kind == KIND_DRAM;
}

static struct energy domain_range(
	const struct domain_book *b, uint64_t energy_uj, uint64_t interval_ns, uint64_t t_err_ns);

static struct energy target_range(const struct account *a, const struct account_target *t,
	struct energy domain, uint64_t capacity_ns, uint64_t interval_ns, uint64_t used_ns,
	uint64_t energy_uj)
{
	/* Each thread that runs when its clock is read may have used up to a tick more than the
	 * clock tells: as many threads as CPUs were kept busy, and one. */
	uint64_t runs = interval_ns ? used_ns / interval_ns + 1 : 1;
	uint64_t stale_ns = a->options.tick_ns * (runs < a->n_cpu ? runs : a->n_cpu);
	struct share_doubt doubt = { .domain = domain,
		.capacity_ns = capacity_ns,
		.used_ns = used_ns,
		.used_low_ns = used_ns > stale_ns ? used_ns - stale_ns : 0,
		.used_high_ns = used_ns + stale_ns + t->tail_ns };

	return share_range(&doubt, energy_uj);
}

static unsigned target_flags(const struct account_target *t)
{
	return t->flags & USAGE_TAIL ? FLAG_TAIL : 0;
}

/* Moves what short slices left over into idle and other. */
static void settle(struct domain_book *b)
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
		settle(b);
	return ret;
}

static void add_part(struct account *a, struct slice *slice, enum slice_who who, uint32_t slot,
	struct energy energy, unsigned flags)
{
	a->parts[slice->n_parts++] =
		(struct slice_part) { .who = who, .slot = slot, .energy = energy, .flags = flags };
}

/* The range of a rest: the domain's own doubt, in proportion. */
static struct energy part_range(struct energy domain, uint64_t uj)
{
	struct energy ret = { uj, uj, uj };

	if (domain.uj > 0) {
		ret.low_uj = muldiv_u64(uj, domain.low_uj, domain.uj);
		ret.high_uj = muldiv_u64(uj, domain.high_uj, domain.uj);
	} else {
		ret.high_uj = uj + domain.high_uj;
	}
	return ret;
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
	struct energy domain = domain_range(b, interval->energy_uj, interval_ns, t_err_ns);

	for (uint32_t i = 0; i < n_targets; i++) {
		const struct account_target *t = a->targets[a->slots[i]];
		const struct share_target *share = &a->shares[i];

		add_part(a, &slice, SLICE_TARGET, a->slots[i],
			target_range(a, t, domain, interval->capacity_ns, interval_ns,
				share->used_ns, share->energy_uj),
			flags | target_flags(t));
	}
	if (rest->told_apart) {
		if (goes_by_cpu_time(b->domain))
			add_part(a, &slice, SLICE_IDLE, ACCOUNT_NO_SLOT,
				part_range(domain, rest->idle_uj), flags);
		add_part(a, &slice, SLICE_OTHER, ACCOUNT_NO_SLOT,
			part_range(domain, rest->other_uj), flags);
	} else {
		add_part(a, &slice, SLICE_REST, ACCOUNT_NO_SLOT, part_range(domain, rest->other_uj),
			flags);
	}
	a->listener.slice(a->listener.ctx, &slice);
}

static uint64_t power_of(uint64_t energy_uj, uint64_t ns)
{
	/* 1 uJ in 1 ns is 10^6 mW */
	return ns ? muldiv_u64(energy_uj, 1000000, ns) : 0;
}

/* Shares the energy between the domain's point and a new one out. */
static void advance(
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
		uint64_t mw = power_of(interval.energy_uj, interval_ns);

		if (mw > b->peak_mw)
			b->peak_mw = mw;
	}
	if (a->listener.slice)
		tell_slice(a, d, now, &interval, interval_ns, t_err_ns, n_targets, &rest, flags);
	b->point = *now;
}

static void note_failure(struct account *a, size_t d, int error, uint64_t t_ns)
{
	struct domain_book *b = &a->books[d];

	if (b->failing_since_ns == 0) {
		b->failing_since_ns = t_ns;
		if (a->listener.failing)
			a->listener.failing(a->listener.ctx, d, error);
	} else if (!b->lost && t_ns - b->failing_since_ns >= ACCOUNT_LOST_NS) {
		b->lost = true;
		if (a->listener.lost)
			a->listener.lost(a->listener.ctx, d);
	}
}

/* Returns the flag for the interval that ends now. */
static unsigned note_success(struct account *a, size_t d, uint64_t t_ns)
{
	struct domain_book *b = &a->books[d];
	uint64_t since_ns = b->failing_since_ns;

	if (since_ns == 0)
		return 0;
	b->failing_since_ns = 0;
	b->lost = false;
	b->gaps++;
	if (a->listener.recovered)
		a->listener.recovered(a->listener.ctx, d, t_ns - since_ns);
	return FLAG_GAP;
}

static void enter_reading(struct account *a, const struct snapshot *s, size_t d, uint32_t n_targets)
{
	struct domain_book *b = &a->books[d];
	const struct reading *r = &snapshot_readings(s)[d];
	struct point now = { .t_ns = r->t_ns,
		.t_err_ns = r->t_err_ns,
		.energy_uj = r->energy_uj,
		.since_ns = r->since_ns,
		.power_mw = r->power_mw,
		.capacity_ns = s->capacity_ns,
		.idle_ns = s->idle_ns };
	unsigned flags;

	b->fresh = false;
	if ((s->flags & SNAPSHOT_FIRST) || (s->restarted & KIND_BIT(b->domain->kind))) {
		/* Also where the first readings fail, nothing before this snapshot counts. */
		b->have = b->early = false;
		b->failing_since_ns = 0;
		begin_at_snapshot(a, s, d, n_targets);
	}
	if (!(s->kinds & KIND_BIT(b->domain->kind)))
		return;
	if (r->error == -EAGAIN) {
		/* Counting will begin soon: until then, the targets' clocks count from here. */
		b->have = false;
		b->early = true;
		begin_at_snapshot(a, s, d, n_targets);
		return;
	}
	if (r->error) {
		note_failure(a, d, r->error, s->t_ns);
		return;
	}
	if (r->power_mw > b->most_mw)
		b->most_mw = r->power_mw;
	flags = note_success(a, d, s->t_ns) | (s->missed_ticks ? FLAG_LATE : 0) |
		b->domain->quality;
	if (!b->have && b->early && r->t_ns > r->since_ns) {
		/* It began between two snapshots, with energy 0 at since_ns. */
		b->point.t_ns = r->since_ns;
		b->point.t_err_ns = r->t_err_ns;
		b->point.since_ns = r->since_ns;
		b->point.power_mw = r->power_mw;
		b->point.energy_uj = 0;
		b->begin_ns = r->since_ns;
		b->begin_mw = r->power_mw;
	} else if (!b->have) {
		begin_at(a, d, n_targets, &now);
		b->begin_ns = r->t_ns;
		b->begin_mw = r->power_mw;
		b->have = b->fresh = true;
		b->early = false;
		return;
	} else if (r->since_ns != b->point.since_ns) {
		b->resets++;
		if (a->listener.restarted)
			a->listener.restarted(a->listener.ctx, d);
		begin_at(a, d, n_targets, &now);
		b->fresh = true;
		return;
	}
	b->have = true;
	b->early = false;
	if (now.t_ns <= b->point.t_ns) /* the hardware has not updated it since */
		return;
	advance(a, d, n_targets, &now, flags);
	b->fresh = true;
}

void account_enter(struct account *a, const struct snapshot *s)
{
	uint32_t n_targets;

	if (s->flags & SNAPSHOT_FIRST) {
		for (size_t d = 0; d < a->n_domains; d++) {
			a->books[d].lost = false;
			a->books[d].peak_mw = a->books[d].most_mw = 0;
			settle(&a->books[d]);
		}
	}
	a->t_ns = s->t_ns;
	a->n_cpu = s->n_cpu;
	a->missed_ticks += s->missed_ticks;
	n_targets = enter_usages(a, s);
	for (size_t d = 0; d < a->n_domains; d++)
		enter_reading(a, s, d, n_targets);
}

/* ---- asking ------------------------------------------------------------------------------ */

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
	const struct account_target *t = target_of(a, m->slot);

	m->t_ns = a->t_ns;
	m->cpu_ns = t ? t->cpu_ns : 0;
	m->missed_ticks = a->missed_ticks;
	for (size_t d = 0; d < a->n_domains; d++) {
		const struct domain_book *b = &a->books[d];

		m->domains[d] = (struct mark_domain) {
			.have = b->have,
			.t_ns = b->point.t_ns,
			.t_err_ns = b->point.t_err_ns,
			.power_mw = b->point.power_mw,
			.capacity_ns = b->point.capacity_ns,
			.total_uj = b->total_uj,
			.idle_uj = b->idle_uj,
			.other_uj = b->other_uj,
			.resets = b->resets,
			.gaps = b->gaps,
			.target_cpu_ns = t ? t->books[d].base_cpu_ns : 0,
			.target_uj = t ? t->books[d].total_uj : 0,
		};
	}
}

/* The reading's own uncertainty: the counter stood for up to t_err_ns of the time at either end,
 * at up to the highest power seen; it counts in steps; and its scale may be off. */
static struct energy domain_range(
	const struct domain_book *b, uint64_t energy_uj, uint64_t interval_ns, uint64_t t_err_ns)
{
	const struct domain *d = b->domain;
	uint64_t mw = power_of(energy_uj, interval_ns);
	struct energy ret = { .uj = energy_uj };
	uint64_t doubt_uj, low_uj, high_uj;

	if (b->peak_mw > mw)
		mw = b->peak_mw;
	doubt_uj = muldiv_u64(mw, t_err_ns, 1000000) + 2 * (d->unit_num / d->unit_den + 1);
	low_uj = energy_uj > doubt_uj ? energy_uj - doubt_uj : 0;
	high_uj = energy_uj + doubt_uj;
	ret.low_uj = low_uj - muldiv_u64(low_uj, d->scale_low_ppm, 1000000);
	ret.high_uj = high_uj + muldiv_u64(high_uj, d->scale_high_ppm, 1000000);
	return ret;
}

void account_domain_since(const struct account *a, const struct account_mark *m, uint32_t slot,
	size_t domain, struct span *ret)
{
	const struct domain_book *b = &a->books[domain];
	const struct mark_domain *from = &m->domains[domain];
	const struct account_target *t = target_of(a, slot);
	uint64_t from_ns = from->have ? from->t_ns : b->begin_ns;
	uint64_t uj = b->total_uj - from->total_uj;
	struct energy whole;

	*ret = (struct span) { .fresh = b->fresh || b->lost };
	if (!b->have || b->point.t_ns <= from_ns)
		return;
	ret->known = true;
	ret->interval_ns = b->point.t_ns - from_ns;
	whole = domain_range(b, uj, ret->interval_ns, b->point.t_err_ns + from->t_err_ns);
	ret->flags = b->domain->quality |
		(b->gaps != from->gaps || b->failing_since_ns ? FLAG_GAP : 0) |
		(b->resets != from->resets ? FLAG_RESET : 0) |
		(a->missed_ticks != m->missed_ticks ? FLAG_LATE : 0);
	if (t) {
		const struct target_book *book = &t->books[domain];

		uj = book->total_uj - from->target_uj;
		ret->energy = target_range(a, t, whole, b->point.capacity_ns - from->capacity_ns,
			ret->interval_ns, book->base_cpu_ns - from->target_cpu_ns, uj);
		ret->flags |= target_flags(t);
	} else {
		ret->energy = whole;
	}
	ret->power_uw = muldiv_u64(uj, UINT64_C(1000000000), ret->interval_ns);
}

static void add_span(struct span *sum, const struct span *one)
{
	sum->fresh &= one->fresh;
	if (!one->known)
		return;
	sum->known = true;
	if (one->interval_ns > sum->interval_ns)
		sum->interval_ns = one->interval_ns;
	sum->energy.uj += one->energy.uj;
	sum->energy.low_uj += one->energy.low_uj;
	sum->energy.high_uj += one->energy.high_uj;
	sum->power_uw += one->power_uw;
	sum->flags |= one->flags;
}

void account_since(const struct account *a, const struct account_mark *m, uint32_t slot,
	enum kind kind, struct span *ret)
{
	*ret = (struct span) { .fresh = true };
	for (size_t d = 0; d < a->n_domains; d++) {
		struct span one;

		if (a->books[d].domain->kind != kind || !a->books[d].domain->counted)
			continue;
		account_domain_since(a, m, slot, d, &one);
		add_span(ret, &one);
	}
	if (!ret->known)
		ret->fresh = false;
}

/* What was used between a reading and a snapshot near it, in microjoules. */
static uint64_t used_between(uint64_t power_mw, uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? muldiv_u64(power_mw, to_ns - from_ns, 1000000) : 0;
}

void account_domain_total_since(
	const struct account *a, const struct account_mark *m, size_t domain, struct span *ret)
{
	const struct domain_book *b = &a->books[domain];
	const struct mark_domain *from = &m->domains[domain];
	uint64_t from_ns = from->have ? from->t_ns : b->begin_ns;
	uint64_t from_mw = from->have ? from->power_mw : b->begin_mw;
	uint64_t more_uj, less_uj, most_mw, most_uj;

	account_domain_since(a, m, ACCOUNT_NO_SLOT, domain, ret);
	if (!ret->known || b->point.power_mw == 0 || b->failing_since_ns)
		return;
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
	ret->power_uw = ret->interval_ns
		? muldiv_u64(ret->energy.uj, UINT64_C(1000000000), ret->interval_ns)
		: 0;
}

void account_total_since(
	const struct account *a, const struct account_mark *m, enum kind kind, struct span *ret)
{
	*ret = (struct span) { .fresh = true };
	for (size_t d = 0; d < a->n_domains; d++) {
		struct span one;

		if (a->books[d].domain->kind != kind || !a->books[d].domain->counted)
			continue;
		account_domain_total_since(a, m, d, &one);
		add_span(ret, &one);
	}
}

uint64_t account_cpu_since(const struct account *a, const struct account_mark *m, uint32_t slot)
{
	const struct account_target *t = target_of(a, slot);

	return t && t->cpu_ns > m->cpu_ns ? t->cpu_ns - m->cpu_ns : 0;
}

void account_rest_since(const struct account *a, const struct account_mark *m, enum kind kind,
	uint64_t *ret_idle_uj, uint64_t *ret_other_uj)
{
	*ret_idle_uj = *ret_other_uj = 0;
	for (size_t d = 0; d < a->n_domains; d++) {
		const struct domain_book *b = &a->books[d];
		struct domain_book settled = *b;

		if (b->domain->kind != kind || !b->domain->counted)
			continue;
		settle(&settled);
		*ret_idle_uj += settled.idle_uj - m->domains[d].idle_uj;
		*ret_other_uj += settled.other_uj - m->domains[d].other_uj;
	}
}
