// SPDX-License-Identifier: MIT
#include "books/account_range.h"

#include <math.h>

#include "meter/power.h"

/* The most that the domain may have drawn for some milliseconds. Where it has no limits of its own that
 * are known, twice what was seen of it. */
static uint64_t burst_mw(const struct domain_book *b, uint64_t mean_mw)
{
	uint64_t seen_mw = b->peak_mw > mean_mw ? b->peak_mw : mean_mw;

	if (!b->domain->learns_pace)
		return seen_mw;
	return 2 * seen_mw > b->domain->burst_mw ? 2 * seen_mw : b->domain->burst_mw;
}

/* What a time of which nothing is known may have held at most. */
static uint64_t most_in_hole(const struct domain_book *b, uint64_t mw, uint64_t ns)
{
	uint64_t most_mw = b->domain->burst_mw ? b->domain->burst_mw : b->domain->max_power_mw;

	return ns ? power_energy_uj(most_mw > mw ? most_mw : mw, ns) : 0;
}

/* Of what is spread evenly over a time, the standard deviation: its width by the root of 12. */
static double spread(double width)
{
	return width / sqrt(12);
}

/* The random part: where in an update a reading was, and where in a step. */
static uint64_t deviation(const struct domain_book *b, const struct interval *interval, uint64_t mw)
{
	double over_uj = spread((double) power_energy_uj(mw, interval->over_ns));
	double under_uj = spread((double) power_energy_uj(mw, interval->under_ns));
	double err_uj = spread(2 * (double) power_energy_uj(mw, interval->err_ns));
	double step_uj = spread((double) domain_step_uj(b->domain));

	return (uint64_t) ceil(sqrt(
		over_uj * over_uj + under_uj * under_uj + err_uj * err_uj + 2 * step_uj * step_uj));
}

struct energy account_domain_range(const struct domain_book *b, const struct interval *interval)
{
	const struct domain *d = b->domain;
	uint64_t energy_uj = interval->energy_uj;
	uint64_t mean_mw = power_mw(energy_uj, interval->ns), mw = burst_mw(b, mean_mw);
	struct energy ret = { .uj = energy_uj };
	uint64_t over_uj, under_uj, low_uj, high_uj, scale_uj;

	/* Nothing was seen, and nothing could be. */
	if (mw == 0 && interval->ns <= interval->err_ns)
		mw = d->max_power_mw;
	over_uj = power_energy_uj(mw, interval->err_ns + interval->over_ns) + 2 * domain_step_uj(d);
	under_uj = power_energy_uj(mw, interval->err_ns + interval->under_ns) +
		2 * domain_step_uj(d) + most_in_hole(b, mw, interval->hole_ns);
	low_uj = energy_uj > over_uj ? energy_uj - over_uj : 0;
	high_uj = energy_uj + under_uj;
	ret.low_uj = low_uj - muldiv_u64(low_uj, d->scale_low_ppm, 1000000);
	ret.high_uj = high_uj + muldiv_u64(high_uj, d->scale_high_ppm, 1000000);
	scale_uj = muldiv_u64(energy_uj,
		d->scale_low_ppm > d->scale_high_ppm ? d->scale_low_ppm : d->scale_high_ppm,
		1000000);
	ret.sd_uj = deviation(b, interval, b->peak_mw > mean_mw ? b->peak_mw : mean_mw) +
		scale_uj / 2;
	/* Of a hole nothing is known but its bounds, and of a domain that drew nothing neither. */
	if (interval->hole_ns || energy_uj == 0)
		ret.sd_uj = ret.high_uj - ret.low_uj;
	return ret;
}

struct energy account_target_range(
	const struct account *a, const struct account_target *t, const struct target_part *part)
{
	/* Each thread that runs when its clock is read may have used up to a tick more than the
	 * clock tells: as many threads as CPUs were kept busy, and one. */
	uint64_t used_ns = part->used_ns, runs = part->ns ? used_ns / part->ns + 1 : 1;
	uint64_t stale_ns = a->options.tick_ns * (runs < a->n_cpu ? runs : a->n_cpu);
	struct share_doubt doubt = { .domain = part->whole,
		.capacity_ns = part->capacity_ns,
		.used_ns = used_ns,
		.used_low_ns = used_ns > stale_ns ? used_ns - stale_ns : 0,
		.used_high_ns = used_ns + stale_ns + t->tail_ns };

	struct energy ret = share_range(&doubt, part->energy_uj);
	double clock_uj = share_clock_doubt(&doubt, part->energy_uj), whole_uj = 0;

	if (part->whole.uj > 0)
		whole_uj = (double) part->whole.sd_uj * (double) part->energy_uj /
			(double) part->whole.uj;
	ret.sd_uj = (uint64_t) ceil(hypot(spread(clock_uj), whole_uj));
	return ret;
}

struct energy account_part_range(struct energy domain, uint64_t uj)
{
	struct energy ret = { uj, uj, uj, 0 };

	if (domain.uj > 0) {
		ret.sd_uj = muldiv_u64(uj, domain.sd_uj, domain.uj) + 1;
		ret.low_uj = muldiv_u64(uj, domain.low_uj, domain.uj);
		ret.high_uj = muldiv_u64(uj, domain.high_uj, domain.uj);
	} else {
		ret.high_uj = uj + domain.high_uj;
		ret.sd_uj = domain.high_uj;
	}
	return ret;
}
