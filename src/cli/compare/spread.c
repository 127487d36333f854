// SPDX-License-Identifier: MIT
#include "cli/compare/spread.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	double x = *(const double *) a, y = *(const double *) b;

	return (x > y) - (x < y);
}

void spread_over(double *values, size_t n, struct spread *ret)
{
	double sum = 0, squares = 0;

	qsort(values, n, sizeof(*values), compare);
	for (size_t i = 0; i < n; i++)
		sum += values[i];
	ret->mean = sum / (double) n;
	for (size_t i = 0; i < n; i++)
		squares += (values[i] - ret->mean) * (values[i] - ret->mean);
	ret->sigma = n > 1 ? sqrt(squares / (double) (n - 1)) : 0;
	ret->median = n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
	ret->min = values[0];
	ret->max = values[n - 1];
}

static bool value_of(
	const struct measurement *m, enum spread_what what, enum kind kind, double *ret)
{
	switch (what) {
	case SPREAD_ELAPSED:
		*ret = (double) m->elapsed_ns / 1e9;
		return true;
	case SPREAD_COMMAND:
		*ret = (double) m->kinds[kind].asked.uj / 1e6;
		return m->kinds[kind].shared;
	case SPREAD_WHOLE:
		*ret = (double) m->kinds[kind].whole.uj / 1e6;
		return m->kinds[kind].known;
	case SPREAD_MACHINE:
		*ret = (double) m->machine.uj / 1e6;
		return m->machine_known;
	}
	return false;
}

bool spread_of(
	const struct run_report *r, enum spread_what what, enum kind kind, struct spread *ret)
{
	double *values = calloc(r->n_runs ? r->n_runs : 1, sizeof(*values));
	bool known = values != NULL, all = r->n_counted == r->n_runs;
	size_t n = 0;

	for (size_t i = 0; known && i < r->n_runs; i++)
		if (all || run_counts(&r->runs[i].result))
			known = value_of(&r->runs[i].result.figures, what, kind, &values[n++]);
	known &= n > 0;
	if (known)
		spread_over(values, n, ret);
	free(values);
	return known;
}
