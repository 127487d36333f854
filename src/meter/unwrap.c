// SPDX-License-Identifier: MIT
#include "meter/unwrap.h"

#include <errno.h>

#include "util/u128.h"

/* Room for a late read and an update that came just before it, where the power limit is tight. */
#define SLACK_NS UINT64_C(20000000)

/* No counter that is known is updated less often than each second; some jitter beside. */
#define STALE_MOST_NS UINT64_C(1500000000)

void unwrap_restart(struct unwrap *u)
{
	uint64_t apart_ns = u->pulse.apart_ns;

	*u = (struct unwrap) { 0 };
	pulse_restart(&u->pulse, apart_ns);
}

static void begin(struct unwrap *u, struct reading *r)
{
	*u = (struct unwrap) { .pulse = u->pulse,
		.started = true,
		.raw = r->raw,
		.t_ns = r->t_ns,
		.t_err_ns = r->t_err_ns,
		.stale_ns = r->stale_ns,
		.since_ns = r->t_ns };
	r->energy_uj = 0;
	r->since_ns = r->t_ns;
}

/* A value and its time. */
struct seen {
	uint64_t raw;
	uint64_t t_ns;
	uint64_t t_err_ns;
	uint64_t stale_ns;
};

/* Energy in counts that cannot be exceeded within a time. */
static u128 most_counts(const struct domain *d, uint64_t ns)
{
	/* 1 mW for 1 ns is 10^-6 uJ */
	u128 most_uj = (u128) d->max_power_mw * ns / 1000000;

	return most_uj * d->unit_den / d->unit_num + 1;
}

/* What the value has risen by since the last one. Returns 0; -ERANGE where more than one wrap fits
 * into the time; -EBADMSG where it cannot follow that one. */
static int rise(const struct seen *last, const struct domain *d, const struct reading *r,
	uint64_t *ret_counts)
{
	uint64_t ns = (r->t_ns > last->t_ns ? r->t_ns - last->t_ns : 0) + last->t_err_ns +
		r->t_err_ns + SLACK_NS;
	/* The last value may have been old already: then the counter had that much to catch up with. */
	uint64_t late_ns = last->stale_ns < STALE_MOST_NS ? last->stale_ns : STALE_MOST_NS;
	uint64_t counts = r->raw - last->raw;

	if (r->raw < last->raw && !d->modulus)
		return -EBADMSG;
	if (r->raw < last->raw)
		counts += d->modulus;
	if (d->max_power_mw && d->modulus && most_counts(d, ns) >= d->modulus)
		return -ERANGE;
	if (d->max_power_mw && counts > most_counts(d, ns + late_ns))
		return -EBADMSG;
	*ret_counts = counts;
	return 0;
}

/* Whether the reading follows what was taken for odd: then that was right, and the counter was reset. */
static bool follows_suspect(const struct unwrap *u, const struct domain *d, const struct reading *r)
{
	const struct seen odd = {
		.raw = u->suspect_raw, .t_ns = u->suspect_t_ns, .t_err_ns = r->t_err_ns
	};
	uint64_t counts;

	return u->suspects && rise(&odd, d, r, &counts) == 0;
}

static void advance(struct unwrap *u, const struct domain *d, struct reading *r, uint64_t counts)
{
	u128 sum = (u128) counts * d->unit_num + u->rest;

	u->energy_uj += (uint64_t) (sum / d->unit_den);
	u->rest = (uint64_t) (sum % d->unit_den);
	u->raw = r->raw;
	u->t_ns = r->t_ns;
	u->t_err_ns = r->t_err_ns;
	u->stale_ns = r->stale_ns;
	u->suspects = false;
	r->energy_uj = u->energy_uj;
	r->since_ns = u->since_ns;
}

void unwrap_step(struct unwrap *u, const struct domain *d, struct reading *r)
{
	const struct seen last = { u->raw, u->t_ns, u->t_err_ns, u->stale_ns };
	uint64_t counts = 0;
	int fit;

	if (r->flags & FLAG_RESET)
		pulse_restart(&u->pulse, u->pulse.apart_ns);
	pulse_step(&u->pulse, d, r);
	if (r->error)
		return;
	if (d->modulus && r->raw >= d->modulus) {
		r->error = -ERANGE;
		return;
	}
	if (!u->started || (r->flags & FLAG_RESET)) {
		begin(u, r);
		return;
	}
	fit = rise(&last, d, r, &counts);
	if (fit == 0 && !follows_suspect(u, d, r)) {
		advance(u, d, r, counts);
	} else if (fit == -EBADMSG && !u->suspects) {
		u->suspects = true;
		u->suspect_raw = r->raw;
		u->suspect_t_ns = r->t_ns;
		r->error = -EBADMSG;
	} else {
		begin(u, r);
	}
}
