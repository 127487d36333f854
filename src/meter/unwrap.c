// SPDX-License-Identifier: MIT
#include "meter/unwrap.h"

#include <errno.h>

#include "util/u128.h"

/* Room for a late read and an update that came just before it, where the power limit is tight. */
#define SLACK_NS UINT64_C(20000000)

void unwrap_restart(struct unwrap *u)
{
	*u = (struct unwrap) { 0 };
}

static void begin(struct unwrap *u, struct reading *r)
{
	*u = (struct unwrap) { .started = true,
		.raw = r->raw,
		.t_ns = r->t_ns,
		.t_err_ns = r->t_err_ns,
		.since_ns = r->t_ns };
	r->energy_uj = 0;
	r->since_ns = r->t_ns;
}

/* Energy in counts that cannot be exceeded between the two times; 0: there is no limit. */
static u128 most_counts(const struct unwrap *u, const struct domain *d, const struct reading *r)
{
	uint64_t ns = r->t_ns > u->t_ns ? r->t_ns - u->t_ns : 0;
	u128 most_uj;

	if (d->max_power_mw == 0)
		return 0;
	/* 1 mW for 1 ns is 10^-6 uJ */
	most_uj = (u128) d->max_power_mw * (ns + u->t_err_ns + r->t_err_ns + SLACK_NS) / 1000000;
	return most_uj * d->unit_den / d->unit_num + 1;
}

void unwrap_step(struct unwrap *u, const struct domain *d, struct reading *r)
{
	uint64_t delta;
	u128 most, sum;

	if (r->error)
		return;
	if (d->modulus && r->raw >= d->modulus) {
		r->error = -ERANGE;
		return;
	}
	if (!u->started) {
		begin(u, r);
		return;
	}
	most = most_counts(u, d, r);
	if (r->raw >= u->raw)
		delta = r->raw - u->raw;
	else if (d->modulus)
		delta = d->modulus - u->raw + r->raw;
	else
		goto reset;
	if (most > 0 && (delta > most || (d->modulus && most >= d->modulus)))
		goto reset;

	sum = (u128) delta * d->unit_num + u->rest;
	u->energy_uj += (uint64_t) (sum / d->unit_den);
	u->rest = (uint64_t) (sum % d->unit_den);
	u->raw = r->raw;
	u->t_ns = r->t_ns;
	u->t_err_ns = r->t_err_ns;
	r->energy_uj = u->energy_uj;
	r->since_ns = u->since_ns;
	return;
reset:
	begin(u, r);
}
