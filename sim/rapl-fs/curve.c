// SPDX-License-Identifier: MIT
#include "curve.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* A year and a megawatt: far from where products leave 128 bits. */
#define MAX_SECONDS 3.2e7
#define MAX_WATTS 1e6

static bool load_segment(const json_t *json, double *ret_s, double *ret_w)
{
	const json_t *s = json_array_get(json, 0), *w = json_array_get(json, 1);

	if (json_array_size(json) != 2 || !json_is_number(s) || !json_is_number(w))
		return false;
	*ret_s = json_number_value(s);
	*ret_w = json_number_value(w);
	return *ret_s >= 1e-9 && *ret_s <= MAX_SECONDS && *ret_w >= 0 && *ret_w <= MAX_WATTS;
}

static void add_segment(struct curve *c, double seconds, double watts)
{
	uint64_t ns = (uint64_t) llround(seconds * 1e9), mw = (uint64_t) llround(watts * 1e3);

	c->segments[c->n++] =
		(struct segment) { .from_ns = c->period_ns, .mw = mw, .before_pj = c->period_pj };
	c->period_ns += ns;
	c->period_pj += (u128) ns * mw;
}

int curve_load(const json_t *json, struct curve *ret)
{
	struct curve c = { 0 };
	const json_t *segment;
	size_t i;

	if (json_array_size(json) == 0)
		return -EINVAL;
	c.segments = calloc(json_array_size(json), sizeof(*c.segments));
	if (!c.segments)
		return -ENOMEM;
	json_array_foreach(json, i, segment)
	{
		double seconds, watts;

		if (!load_segment(segment, &seconds, &watts)) {
			curve_finish(&c);
			return -EINVAL;
		}
		add_segment(&c, seconds, watts);
	}
	*ret = c;
	return 0;
}

void curve_finish(struct curve *c)
{
	free(c->segments);
	*c = (struct curve) { 0 };
}

u128 curve_energy_pj(const struct curve *c, uint64_t t_ns)
{
	uint64_t rest;
	size_t low = 0, high = c->n;

	if (c->n == 0)
		return 0;
	rest = t_ns % c->period_ns;
	/* The last segment that begins at or before the rest. */
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (c->segments[middle].from_ns <= rest)
			low = middle;
		else
			high = middle;
	}
	return c->period_pj * (t_ns / c->period_ns) + c->segments[low].before_pj +
		(u128) (rest - c->segments[low].from_ns) * c->segments[low].mw;
}

uint64_t curve_max_mw(const struct curve *c)
{
	uint64_t most = 0;

	for (size_t i = 0; i < c->n; i++)
		if (c->segments[i].mw > most)
			most = c->segments[i].mw;
	return most;
}
