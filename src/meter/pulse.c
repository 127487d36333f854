// SPDX-License-Identifier: MIT
#include "meter/pulse.h"

#include <errno.h>

#include "machine/clock.h"
#include "util/u128.h"

/* A value that stays for so many times the distance of two updates, and for no less than this time, is
 * not updated any more: a machine that is stopped for some milliseconds is no stuck counter. */
#define STILL_UPDATES 20
#define STILL_LEAST_NS (50 * NS_PER_MS)

/* What draws less than this for longer than STILL_LEAST_NS may need as long for one step. */
#define LEAST_MW 500

void pulse_restart(struct pulse *p, uint64_t apart_ns)
{
	*p = (struct pulse) { .apart_ns = apart_ns };
}

/* How long a value may stay the same while the counter counts. */
static uint64_t patience_ns(const struct pulse *p, const struct domain *d)
{
	uint64_t step_ns = muldiv_u64(domain_step_uj(d), 1000000, LEAST_MW);
	uint64_t ns = p->apart_ns * STILL_UPDATES;

	if (!p->apart_ns)
		ns = PULSE_NEVER_NS;
	if (ns < STILL_LEAST_NS)
		ns = STILL_LEAST_NS;
	return ns > step_ns ? ns : step_ns;
}

/* Two changes in a row: at most the time from before the first to the second is between two updates,
 * and at least the time for which the value was seen to stay. */
static void note_change(struct pulse *p, uint64_t t_ns)
{
	uint64_t most_ns = t_ns - p->before_ns;
	uint64_t least_ns = p->read_ns - p->changed_ns;

	if (p->changed_ns && (p->apart_ns == 0 || most_ns < p->apart_ns || least_ns > p->apart_ns))
		p->apart_ns = most_ns;
	p->before_ns = p->read_ns;
	p->changed_ns = t_ns;
}

static uint64_t stale_ns(const struct pulse *p, uint64_t t_ns)
{
	uint64_t since_ns = p->changed_ns ? t_ns - p->before_ns : PULSE_UNKNOWN_NS;
	/* The value was not updated for as long as it was seen to stay. */
	uint64_t still_ns = t_ns - (p->changed_ns ? p->changed_ns : p->begin_ns);

	if (p->apart_ns && still_ns <= p->apart_ns)
		return since_ns < p->apart_ns ? since_ns : p->apart_ns;
	return since_ns;
}

void pulse_step(struct pulse *p, const struct domain *d, struct reading *r)
{
	uint64_t still_ns;

	if (r->error || !d->learns_pace)
		return;
	if (!p->started) {
		p->started = true;
		p->begin_ns = r->t_ns;
		if (!p->apart_ns)
			p->apart_ns = d->late_ns;
	} else if (r->raw != p->raw) {
		note_change(p, r->t_ns);
	}
	p->raw = r->raw;
	p->read_ns = r->t_ns;
	r->stale_ns = stale_ns(p, r->t_ns);
	still_ns = r->t_ns - (p->changed_ns ? p->changed_ns : p->begin_ns);
	if (still_ns > patience_ns(p, d))
		r->error = -ESTALE;
}
