// SPDX-License-Identifier: MIT
#include "books/account_range.h"
#include "meter/power.h"

struct energy account_domain_range(const struct domain_book *b, const struct interval *interval)
{
	const struct domain *d = b->domain;
	uint64_t energy_uj = interval->energy_uj;
	uint64_t mw = power_mw(energy_uj, interval->ns);
	struct energy ret = { .uj = energy_uj };
	uint64_t doubt_uj, low_uj, high_uj;

	if (b->peak_mw > mw)
		mw = b->peak_mw;
	/* Nothing was seen, and nothing could be. */
	if (mw == 0 && interval->ns <= interval->err_ns)
		mw = d->max_power_mw;
	doubt_uj = power_energy_uj(mw, interval->err_ns) + 2 * domain_step_uj(d);
	low_uj = energy_uj > doubt_uj ? energy_uj - doubt_uj : 0;
	high_uj = energy_uj + doubt_uj;
	ret.low_uj = low_uj - muldiv_u64(low_uj, d->scale_low_ppm, 1000000);
	ret.high_uj = high_uj + muldiv_u64(high_uj, d->scale_high_ppm, 1000000);
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

	return share_range(&doubt, part->energy_uj);
}

struct energy account_part_range(struct energy domain, uint64_t uj)
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
