// SPDX-License-Identifier: MIT
#include "cli/compare/ratio.h"

#include <math.h>

/* Of a run's bounds at least this part is taken to be the same in all runs. Where power differs
 * between a command's start and its end, a counter that is read between two updates is off by up
 * to half a period's difference each time, and the bounds count a whole one at each end. */
#define LASTING_PART 0.25

/* Pairs have half as many degrees of freedom: they help where runs of one turn are really alike. */
#define PAIRS_LEAST 6
#define PAIRS_CORRELATION 0.7

/* ---- Student's t ------------------------------------------------------------------------- */

double ratio_t95(double df)
{
	static const double table[] = { 12.7062047, 4.3026527, 3.1824463, 2.7764451, 2.5705818,
		2.4469119, 2.3646243, 2.3060041, 2.2621572, 2.2281389, 2.2009852, 2.1788128,
		2.1603687, 2.1447867, 2.1314495, 2.1199053, 2.1098156, 2.1009220, 2.0930241,
		2.0859634 };
	const size_t n = sizeof(table) / sizeof(table[0]);
	const double z = 1.9599640, z3 = z * z * z, z5 = z3 * z * z, z7 = z5 * z * z;
	size_t i;

	if (df <= 1)
		return table[0];
	if (df >= (double) n)
		return z + (z3 + z) / (4 * df) + (5 * z5 + 16 * z3 + 3 * z) / (96 * df * df) +
			(3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * df * df * df);
	/* t is convex in 1/df: a chord lies above it. */
	i = (size_t) df;
	return table[i] +
		(table[i - 1] - table[i]) * (1 / df - 1 / (double) (i + 1)) /
		(1 / (double) i - 1 / (double) (i + 1));
}

/* ---- sums over parts --------------------------------------------------------------------- */

/* A side's parts times a factor each: which end of its scale it is tried at. */
struct view {
	const struct ratio_side *side;
	size_t n_parts;
	double gains[RATIO_MAX_PARTS];
};

static double run_j(const struct view *v, size_t i)
{
	double sum = 0;

	for (size_t p = 0; p < v->n_parts; p++)
		sum += v->gains[p] * v->side->runs[i].parts[p].j;
	return sum;
}

static double mean_j(const struct view *v)
{
	double sum = 0;

	for (size_t i = 0; i < v->side->n; i++)
		sum += run_j(v, i);
	return v->side->n ? sum / (double) v->side->n : 0;
}

double ratio_mean_j(const struct ratio_side *side, size_t n_parts)
{
	struct view v = { .side = side, .n_parts = n_parts };

	for (size_t p = 0; p < n_parts; p++)
		v.gains[p] = 1;
	return mean_j(&v);
}

/* How far the mean may be too high and too low by the runs' own bounds. */
static void mean_doubt(const struct view *v, double *ret_below, double *ret_above)
{
	const struct ratio_side *s = v->side;
	double part = 1 / sqrt((double) s->n);

	*ret_below = *ret_above = 0;
	if (part < LASTING_PART)
		part = LASTING_PART;
	for (size_t p = 0; p < v->n_parts; p++) {
		double gain = v->gains[p] * (s->lasting[p] ? 1 : part) / (double) s->n;

		for (size_t i = 0; i < s->n; i++) {
			const struct ratio_energy *e = &s->runs[i].parts[p];
			double below = e->j - e->low_j / (1 - s->scales[p].low);
			double above = e->high_j / (1 + s->scales[p].high) - e->j;

			*ret_below += gain * fmax(below, 0);
			*ret_above += gain * fmax(above, 0);
		}
	}
}

/* ---- runs differ ------------------------------------------------------------------------- */

struct moments {
	double x, y;       /* means: of the base and of the other */
	double xx, yy, xy; /* variances of these means, and their covariance */
	double df;
};

static double variance_of_mean(const struct view *v, double mean)
{
	double n = (double) v->side->n, sum = 0;

	for (size_t i = 0; i < v->side->n; i++)
		sum += (run_j(v, i) - mean) * (run_j(v, i) - mean);
	return sum / (n * (n - 1));
}

/* As Welch's test: of two variances, neither of which is known. Of two runs that happen to be alike
 * it would take the other side's many for its own: as if both were few is the most. */
static double welch_df(const struct moments *m, double n_x, double n_y)
{
	double ratio = m->y / m->x, a = ratio * ratio * m->xx, b = m->yy;
	double most = 2 * (fmin(n_x, n_y) - 1);

	if (a + b <= 0)
		return most;
	return fmin(most, (a + b) * (a + b) / (a * a / (n_x - 1) + b * b / (n_y - 1)));
}

static struct moments moments_of(const struct view *base, const struct view *other, bool in_turn)
{
	size_t n = base->side->n;
	struct moments m = { .x = mean_j(base), .y = mean_j(other) };
	double sum = 0;

	m.xx = variance_of_mean(base, m.x);
	m.yy = variance_of_mean(other, m.y);
	m.df = welch_df(&m, (double) n, (double) other->side->n);
	if (!in_turn || other->side->n != n || n < PAIRS_LEAST)
		return m;
	for (size_t i = 0; i < n; i++)
		sum += (run_j(base, i) - m.x) * (run_j(other, i) - m.y);
	sum /= (double) n * (double) (n - 1);
	if (sum <= PAIRS_CORRELATION * sqrt(m.xx * m.yy))
		return m;
	m.xy = sum;
	m.df = (double) (n - 1);
	return m;
}

/* Fieller: all r for which y - r x cannot be told from 0. */
static void scatter_interval(const struct moments *m, double *ret_low, double *ret_high)
{
	double t = ratio_t95(m->df), t2 = t * t;
	double a = m->x * m->x - t2 * m->xx, b = m->x * m->y - t2 * m->xy;
	double c = m->y * m->y - t2 * m->yy;
	double root = sqrt(fmax(b * b - a * c, 0));

	if (a > 0) {
		*ret_low = fmax((b - root) / a, 0);
		*ret_high = (b + root) / a;
		return;
	}
	/* The base's mean cannot be told from 0: there is no highest ratio. */
	*ret_low = c > 0 && a < 0 ? fmax((b - root) / a, 0) : 0;
	*ret_high = INFINITY;
}

/* ---- the ratio --------------------------------------------------------------------------- */

/* At one end of each scale. */
static void try_gains(const struct ratio_question *q, const struct view *base,
	const struct view *other, struct ratio *ret)
{
	double x = mean_j(base), y = mean_j(other), ratio = y / x, low = ratio, high = ratio;
	double x_below, x_above, y_below, y_above, edge, scatter;

	if (ret->scatter_known) {
		struct moments m = moments_of(base, other, q->in_turn);

		scatter_interval(&m, &low, &high);
	}
	mean_doubt(base, &x_below, &x_above);
	mean_doubt(other, &y_below, &y_above);
	/* Distances are those of the logarithms, so that it does not matter which is the base. */
	if (low > 0 && y > y_below) {
		edge = log(y / (y - y_below)) + log((x + x_above) / x);
		scatter = log(ratio / low);
		ret->low = fmin(ret->low, ratio * exp(-sqrt(edge * edge + scatter * scatter)));
	} else {
		ret->low = 0;
	}
	if (isfinite(high) && x > x_below) {
		edge = log((y + y_above) / y) + log(x / (x - x_below));
		scatter = log(high / ratio);
		ret->high = fmax(ret->high, ratio * exp(sqrt(edge * edge + scatter * scatter)));
	} else {
		ret->high = INFINITY;
	}
}

static void set_gains(struct view *v, unsigned ends)
{
	for (size_t p = 0; p < v->n_parts; p++)
		v->gains[p] = ends >> p & 1 ? 1 + v->side->scales[p].high
					    : 1 - v->side->scales[p].low;
}

void ratio_of(const struct ratio_question *q, struct ratio *ret)
{
	struct view base = { .side = &q->base, .n_parts = q->n_parts };
	struct view other = { .side = &q->other, .n_parts = q->n_parts };
	unsigned n_ends = 1u << q->n_parts;
	double x = ratio_mean_j(&q->base, q->n_parts), y = ratio_mean_j(&q->other, q->n_parts);

	*ret = (struct ratio) { .known = x > 0 && y > 0,
		.scatter_known = q->base.n > 1 && q->other.n > 1,
		.high = INFINITY };
	if (!ret->known)
		return;
	ret->ratio = ret->low = ret->high = y / x;
	for (unsigned i = 0; i < n_ends; i++) {
		set_gains(&base, i);
		for (unsigned k = 0; k < n_ends; k++) {
			if (q->same_scales && k != i)
				continue;
			set_gains(&other, k);
			try_gains(q, &base, &other, ret);
		}
	}
}

enum ratio_verdict ratio_judge(const struct ratio *r)
{
	if (!r->known || (r->low <= 1 && r->high >= 1))
		return RATIO_SAME;
	return r->low > 1 ? RATIO_MORE : RATIO_LESS;
}

double ratio_half_width(const struct ratio *r)
{
	return fmax(r->high - r->ratio, r->ratio - r->low);
}
