// SPDX-License-Identifier: MIT
/*
 * How many times as much energy one command uses as another, and between which bounds that is so.
 * Arithmetic alone: it knows neither sensors nor commands.
 *
 * Three things make a ratio of mean energies doubtful:
 *  - runs differ: Fieller's interval for a ratio of means, at 95 %, in pairs of one turn where
 *    these differ alike (what else the machine does, its temperature);
 *  - each run's energy has bounds of its own: its edges lie anywhere between two updates of a
 *    counter. Over n runs these average out, as 1/sqrt(n), but only down to a quarter: what is the
 *    same in each run does not;
 *  - a sensor's scale may be off by a part that is the same in all runs, and so it cancels where
 *    both were measured by the same sensors. Several parts (CPU, memory) have a scale each, and a
 *    command that uses more of one of them cannot have all of them cancel.
 * The first two add as squares; the scales are tried at their ends.
 */
#ifndef PM_CLI_COMPARE_RATIO_H
#define PM_CLI_COMPARE_RATIO_H

#include <stdbool.h>
#include <stddef.h>

#define RATIO_MAX_PARTS 3

/* Energy in joules, as estimate and likely range. */
struct ratio_energy {
	double j;
	double low_j;
	double high_j;
};

/* The energy of one run is the sum of its parts. */
struct ratio_run {
	struct ratio_energy parts[RATIO_MAX_PARTS];
};

/* A part's energy may be too high by `low` of itself or too low by `high`, in all runs alike. The
 * ranges of the runs contain that. */
struct ratio_scale {
	double low;
	double high;
};

struct ratio_side {
	const struct ratio_run *runs;
	size_t n;
	struct ratio_scale scales[RATIO_MAX_PARTS];
	/* It is not known which of a part's range is the same in all runs: all of it may be. */
	bool lasting[RATIO_MAX_PARTS];
};

struct ratio_question {
	struct ratio_side base;
	struct ratio_side other;
	size_t n_parts;
	bool same_scales; /* both were measured by the same sensors */
	bool in_turn; /* run i of the one was made beside run i of the other, if both have as many */
};

struct ratio {
	bool known;         /* there is energy to divide by */
	bool scatter_known; /* there are two runs of each at least: else the bounds are all */
	double ratio;       /* other / base */
	double low;
	double high; /* may be INFINITY */
};

enum ratio_verdict {
	RATIO_SAME, /* cannot be told apart */
	RATIO_MORE, /* the other uses more than the base */
	RATIO_LESS,
};

void ratio_of(const struct ratio_question *q, struct ratio *ret);

/* What can be said: the interval does or does not contain 1. */
enum ratio_verdict ratio_judge(const struct ratio *r);

/* For "+-": the larger of the distances to the two ends. */
double ratio_half_width(const struct ratio *r);

/* The mean energy over all runs, without its doubt; 0 for no run. */
double ratio_mean_j(const struct ratio_side *side, size_t n_parts);

/* Student's t of that many degrees of freedom (1 at least; need not be whole), exceeded either way
 * in 5 % of all cases. Between whole degrees it is a little too large. */
double ratio_t95(double df);

#endif
