// SPDX-License-Identifier: MIT
#include "sensors/nvml/nvml_check.h"

#include <math.h>

#include "machine/clock.h"

/* Over less nothing is said, and after so long the next stretch begins. */
#define STRETCH_MIN_NS (10 * NS_PER_S)
#define STRETCH_MAX_NS (60 * NS_PER_S)

/* Of what happened in a longer pause the samples tell nothing. */
#define PAUSE_MAX_NS NS_PER_S

#define DIFFER_PART 0.05
/* Looked at with each sample, hundreds of times in a stretch: three would be met by chance. */
#define SIGMAS 5.0

/*
 * Load in step with the samples shows them always the same part of its wave, however long one
 * looks. So the two must differ, too, where both stand still from one sample to the next.
 */
#define STEADY_PART 0.1
#define STEADY_MIN_NS NS_PER_S

/* Of less than a watt either may be the hardware's own steps. */
#define LEAST_MW 1000.0

static void begin(struct gpu_check *c, const struct reading *r)
{
	*c = (struct gpu_check) { .begun = true,
		.disputed = c->disputed,
		.from_ns = r->t_ns,
		.from_mj = r->raw,
		.least_mw = r->power_mw,
		.most_mw = r->power_mw };
}

static bool alike(double a, double b)
{
	return fabs(a - b) <= STEADY_PART * fmax(a, b);
}

static void add(struct gpu_check *c, const struct reading *r)
{
	double mw = (double) r->power_mw, ns = (double) (r->t_ns - c->last_ns);
	double mj = (double) (r->raw - c->last_mj), counted_mw = mj * 1e9 / ns;
	/* 1 mW for 1 ns is 1 pJ. */
	double nj = ((double) c->last_mw + mw) / 2 * ns / 1e3;

	if (c->n && alike(mw, (double) c->last_mw) && alike(counted_mw, c->counted_mw)) {
		c->steady_ns += r->t_ns - c->last_ns;
		c->steady_mj += mj;
		c->steady_nj += nj;
	}
	c->counted_mw = counted_mw;
	c->nj += nj;
	c->n++;
	c->sum_mw += mw;
	c->squares += mw * mw;
	if (r->power_mw < c->least_mw)
		c->least_mw = r->power_mw;
	if (r->power_mw > c->most_mw)
		c->most_mw = r->power_mw;
}

/* What the samples alone leave open: they see a part of the time, and a mean comes late. */
static double doubt_mj(const struct gpu_check *c, double s, uint64_t window_ns)
{
	double mean_mw = c->sum_mw / (double) c->n;
	double variance = c->squares / (double) c->n - mean_mw * mean_mw;
	double error_mw = variance > 0 ? sqrt(variance / (double) c->n) : 0;

	return SIGMAS * error_mw * s +
		(double) (c->most_mw - c->least_mw) * (double) window_ns / 1e9;
}

static bool differs(const struct gpu_check *c, uint64_t window_ns)
{
	double counted_mj = (double) (c->last_mj - c->from_mj), added_mj = c->nj / 1e6;
	double larger_mj = fmax(counted_mj, added_mj), difference_mj = counted_mj - added_mj;
	double steady_mj = c->steady_mj - c->steady_nj / 1e6;
	double s = (double) (c->last_ns - c->from_ns) / 1e9;

	return larger_mj > LEAST_MW * s &&
		fabs(difference_mj) > DIFFER_PART * larger_mj + doubt_mj(c, s, window_ns) &&
		c->steady_ns >= STEADY_MIN_NS && difference_mj * steady_mj > 0 &&
		fabs(steady_mj) > DIFFER_PART * fmax(c->steady_mj, c->steady_nj / 1e6);
}

bool gpu_check_step(struct gpu_check *c, const struct reading *r, uint64_t window_ns)
{
	uint64_t ns;

	if (!c->begun || r->t_ns <= c->last_ns || r->t_ns - c->last_ns > PAUSE_MAX_NS ||
		r->raw < c->last_mj)
		begin(c, r);
	else
		add(c, r);
	c->last_ns = r->t_ns;
	c->last_mj = r->raw;
	c->last_mw = r->power_mw;
	ns = r->t_ns - c->from_ns;
	if (ns >= STRETCH_MIN_NS && differs(c, window_ns))
		c->disputed = true;
	if (ns >= STRETCH_MAX_NS)
		begin(c, r);
	return c->disputed;
}
