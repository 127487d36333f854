// SPDX-License-Identifier: MIT
/* How far the runs of a command differ. */
#ifndef PM_CLI_COMPARE_SPREAD_H
#define PM_CLI_COMPARE_SPREAD_H

#include "cli/report/report.h"

enum spread_what {
	SPREAD_ELAPSED, /* seconds */
	SPREAD_COMMAND, /* the command's joules of a kind */
	SPREAD_WHOLE,   /* all joules of a kind */
	SPREAD_MACHINE, /* the machine's joules */
};

struct spread {
	double mean;
	double sigma; /* of the sample: n - 1; 0 for one run */
	double median;
	double min;
	double max;
};

/* Over all runs; false where it is not known of each of them. */
bool spread_of(
	const struct run_report *r, enum spread_what what, enum kind kind, struct spread *ret);

/* The same over n values, which are put in order. n must not be 0. */
void spread_over(double *values, size_t n, struct spread *ret);

#endif
