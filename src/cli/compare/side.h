// SPDX-License-Identifier: MIT
/*
 * A command's energy as it is compared: by runs and kinds, wherever it comes from.
 */
#ifndef PM_CLI_COMPARE_SIDE_H
#define PM_CLI_COMPARE_SIDE_H

#include "cli/compare/ratio.h"
#include "cli/report/report.h"

/* KIND_CPU, KIND_DRAM and KIND_GPU, which a command can have a part of. */
#define SIDE_KINDS 3

struct side {
	const char *name;
	struct ratio_run *runs; /* a part is a kind */
	size_t n_runs;
	uint32_t kinds;  /* KIND_BITs of what is known of each run ... */
	uint32_t partly; /* ... and of what there is, or is known of some */
	struct ratio_scale scales[SIDE_KINDS];
	bool lasting[SIDE_KINDS]; /* the scale is not known: ratio.h */
};

/* Takes the runs of a report. Returns 0 or -ENOMEM. */
int side_take(struct side *ret, const struct run_report *r);
void side_finish(struct side *c);

/* How far the scale of a kind may be off: that of its counted domains, and the model behind it (empty:
 * none). Returns false where they have several, or where there is none. */
bool side_scale(
	const struct rig *rig, enum kind kind, struct ratio_scale *ret, const char **ret_model);

/* The kinds that are known of all of them; *ret_left_out: those of some only. */
uint32_t side_kinds(const struct side *list, size_t n, uint32_t *ret_left_out);

/* Of the mean run. */
double side_mean_j(const struct side *c, uint32_t kinds);

struct side_how {
	uint32_t kinds;
	bool same_sensors;
	bool in_turn;
};

/* How many times as much energy the other uses. */
void side_ratio(const struct side *base, const struct side *other, const struct side_how *how,
	struct ratio *ret);

#endif
