// SPDX-License-Identifier: MIT
/*
 * What was used in the stretches of time that a name was on, by intervals between readings.
 */
#include "books/interval.h"
#include "meter/power.h"
#include "phases/phases_state.h"

/* Power is taken over from the neighbouring intervals where the readings are this much better than
 * what lies between them. */
#define STEADY_PART 8

/* ---- intervals between readings --------------------------------------------------------- */

/* How much of the time from a to b the name was on. */
static uint64_t on_between(const struct name *name, uint64_t a_ns, uint64_t b_ns)
{
	size_t low = 0, high = name->n;
	uint64_t sum = 0;

	while (low < high) { /* the first that ends after a */
		size_t middle = (low + high) / 2;

		if (name->stretches[middle].to_ns <= a_ns)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t i = low; i < name->n && name->stretches[i].from_ns < b_ns; i++) {
		uint64_t from_ns = name->stretches[i].from_ns, to_ns = name->stretches[i].to_ns;

		sum += (to_ns < b_ns ? to_ns : b_ns) - (from_ns > a_ns ? from_ns : a_ns);
	}
	return sum;
}

/* An interval between two readings and how much of it a name has. */
struct part {
	uint64_t uj;
	uint64_t doubt_uj;
	uint64_t ns;
	uint64_t on_ns;
	/* The same for as far as the energy may have been used. */
	uint64_t wide_ns;
	uint64_t wide_on_ns;
};

static struct part part_of(const struct track *t, size_t i, const struct name *name)
{
	const struct phase_point *a = &t->points[i], *b = &t->points[i + 1];
	uint64_t from_ns = a->t_ns > a->t_err_ns ? a->t_ns - a->t_err_ns : 0;
	uint64_t to_ns = b->t_ns + b->t_err_ns;

	return (struct part) { .uj = b->uj - a->uj,
		.doubt_uj = a->doubt_uj + b->doubt_uj,
		.ns = b->t_ns - a->t_ns,
		.on_ns = on_between(name, a->t_ns, b->t_ns),
		.wide_ns = to_ns - from_ns,
		.wide_on_ns = on_between(name, from_ns, to_ns) };
}

/* The most that can be used in a time; UINT64_MAX: not known. */
static uint64_t most_uj(const struct track *t, uint64_t ns)
{
	u128 uj = (u128) t->limits.max_power_mw * ns / 1000000 + 1;

	return t->limits.max_power_mw == 0 || uj > UINT64_MAX ? UINT64_MAX : (uint64_t) uj;
}

/* Power, in microjoules a nanosecond, within and without a name's time. */
struct powers {
	double on, off;
	unsigned n_on, n_off;
};

/* From an interval that is wholly the one or the other. */
static void learn(struct powers *powers, const struct part *p)
{
	if (p->ns == 0 || p->doubt_uj > p->uj / STEADY_PART)
		return;
	if (p->wide_on_ns == p->wide_ns) {
		powers->on += (double) p->uj / (double) p->ns;
		powers->n_on++;
	} else if (p->wide_on_ns == 0) {
		powers->off += (double) p->uj / (double) p->ns;
		powers->n_off++;
	}
}

/* A name's likely part of an interval that it has in part. */
static uint64_t guess(
	const struct track *t, size_t i, const struct name *name, const struct part *p)
{
	double uj = (double) p->uj, on_ns = (double) p->on_ns, off_ns = (double) (p->ns - p->on_ns);
	double ret = uj * on_ns / (on_ns + off_ns), on_uj, off_uj;
	struct powers powers = { 0 };

	if (p->doubt_uj <= p->uj / STEADY_PART) {
		if (i > 0)
			learn(&powers, &(struct part[]) { part_of(t, i - 1, name) }[0]);
		if (i + 2 < t->n)
			learn(&powers, &(struct part[]) { part_of(t, i + 1, name) }[0]);
	}
	on_uj = powers.n_on ? on_ns * powers.on / powers.n_on : 0;
	off_uj = powers.n_off ? off_ns * powers.off / powers.n_off : 0;
	if (powers.n_on && powers.n_off && on_uj + off_uj > 0)
		ret = uj * on_uj / (on_uj + off_uj);
	else if (powers.n_off && !powers.n_on)
		ret = uj - off_uj;
	else if (powers.n_on && !powers.n_off)
		ret = on_uj;
	return ret <= 0 ? 0 : ret >= uj ? p->uj : (uint64_t) (ret + 0.5);
}

static uint64_t at_most(uint64_t uj, uint64_t limit_uj)
{
	return uj < limit_uj ? uj : limit_uj;
}

/* A row of intervals that are wholly the name's: what is in doubt about a reading moves energy from one
 * to the next and is no matter but at the row's ends. */
static void end_row(struct sum *sum)
{
	if (sum->in_row)
		sum->low_uj += phases_at_least(sum->row_uj, sum->row_doubt_uj);
	sum->in_row = false;
}

/* The same for intervals that are the name's in part: at most all of them. Where a domain cannot use
 * so much in so little time each of them is limited, and then in doubt by itself. */
static void end_chain(struct sum *sum)
{
	end_row(sum);
	if (sum->in_chain)
		sum->high_uj += at_most(sum->chain_uj + sum->chain_doubt_uj, sum->chain_limited_uj);
	sum->in_chain = false;
}

static void settle_part(struct track *t, size_t i, const struct name *name, struct sum *sum)
{
	const struct part p = part_of(t, i, name);
	uint64_t from_doubt_uj = t->points[i].doubt_uj, to_doubt_uj = t->points[i + 1].doubt_uj;
	uint64_t low_uj, high_uj, uj;

	if (p.wide_on_ns == 0) {
		end_chain(sum);
		return;
	}
	high_uj = at_most(p.uj + p.doubt_uj, most_uj(t, p.wide_on_ns));
	if (!sum->in_chain) {
		sum->in_chain = true;
		sum->chain_uj = sum->chain_limited_uj = 0;
		sum->chain_from_doubt_uj = from_doubt_uj;
	}
	sum->chain_uj += p.uj;
	sum->chain_limited_uj += high_uj;
	sum->chain_doubt_uj = sum->chain_from_doubt_uj + to_doubt_uj;
	if (p.wide_on_ns == p.wide_ns) {
		if (!sum->in_row) {
			sum->in_row = true;
			sum->row_uj = 0;
			sum->row_from_doubt_uj = from_doubt_uj;
		}
		sum->row_uj += p.uj;
		sum->row_doubt_uj = sum->row_from_doubt_uj + to_doubt_uj;
		sum->uj += at_most(p.uj, high_uj);
	} else {
		end_row(sum);
		low_uj = phases_at_least(
			phases_at_least(p.uj, p.doubt_uj), most_uj(t, p.wide_ns - p.wide_on_ns));
		uj = guess(t, i, name, &p);
		sum->low_uj += low_uj;
		sum->uj += uj < low_uj ? low_uj : at_most(uj, high_uj);
	}
	sum->known = true;
	sum->flags |= t->points[i + 1].flags;
}

static uint64_t mean_mw(const struct phase_point *a, const struct phase_point *b)
{
	return power_mw(b->uj - a->uj, b->t_ns - a->t_ns);
}

/* What lies before the first reading or after the last is as in the interval beside it, and at most
 * what was ever seen where more is not known to be impossible. */
static void settle_beyond(struct track *t, const struct name *name, struct sum *sum,
	const struct interval *beyond, uint64_t mw)
{
	uint64_t on_ns = on_between(name, beyond->from_ns, beyond->to_ns);
	uint64_t wide_on_ns = on_between(name, phases_at_least(beyond->from_ns, beyond->err_ns),
		beyond->to_ns + beyond->err_ns);
	uint64_t most_mw = t->limits.max_power_mw ? t->limits.max_power_mw : t->peak_mw;

	if (wide_on_ns == 0)
		return;
	end_chain(sum);
	sum->known = true;
	sum->uj += power_energy_uj(mw, on_ns);
	sum->high_uj += power_energy_uj(most_mw, wide_on_ns) + 1;
}

void phases_settle_interval(struct phases *p, size_t track, size_t i)
{
	struct track *t = &p->tracks[track];
	const struct phase_point *from = &t->points[i];
	const struct interval before = { .to_ns = from->t_ns, .err_ns = from->t_err_ns };
	uint64_t mw = mean_mw(from, from + 1);

	if (mw > t->peak_mw)
		t->peak_mw = mw;
	for (size_t k = 0; k < PHASES_MAX_NAMES; k++) {
		struct name *name = &p->names[k];

		if (name->n > 0 && !t->begun)
			settle_beyond(t, name, &name->sums[track], &before, mw);
		if (name->n > 0 || (name->sums && name->sums[track].in_chain))
			settle_part(t, i, name, &name->sums[track]);
	}
	t->begun = true;
}

void phases_finish_track(struct phases *p, size_t track, uint64_t end_ns)
{
	struct track *t = &p->tracks[track];
	const struct phase_point *last;
	struct interval after;

	if (t->n < 2)
		return;
	while (t->next + 1 < t->n)
		phases_settle_interval(p, track, t->next++);
	last = &t->points[t->n - 1];
	after = (struct interval) {
		.from_ns = last->t_ns, .to_ns = end_ns, .err_ns = last->t_err_ns
	};
	for (size_t k = 0; k < PHASES_MAX_NAMES; k++) {
		struct name *name = &p->names[k];

		if (!name->seen)
			continue;
		settle_beyond(t, name, &name->sums[track], &after, mean_mw(last - 1, last));
		end_chain(&name->sums[track]);
		if (t->incomplete)
			name->sums[track].flags |= FLAG_GAP;
	}
}
