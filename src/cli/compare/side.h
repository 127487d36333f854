// SPDX-License-Identifier: MIT
/*
 * A command's energy as it is compared: by runs and kinds, wherever it comes from.
 */
#ifndef PM_CLI_COMPARE_SIDE_H
#define PM_CLI_COMPARE_SIDE_H

#include "cli/compare/ratio.h"
#include "cli/report/report.h"

/* KIND_CPU, KIND_DRAM and KIND_GPU, which a command can have a part of. */
#define COMPARED_KINDS 3

struct compared {
	const char *name;
	struct ratio_run *runs; /* a part is a kind */
	size_t n_runs;
	uint32_t kinds;  /* KIND_BITs of what is known of each run ... */
	uint32_t partly; /* ... and of what there is, or is known of some */
	struct ratio_scale scales[COMPARED_KINDS];
	bool lasting[COMPARED_KINDS]; /* the scale is not known: ratio.h */
};

/* Takes the runs of a report. Returns 0 or -ENOMEM. */
int compared_take(struct compared *ret, const struct run_report *r);
void compared_finish(struct compared *c);

/* How far the scale of a kind may be off: that of its counted domains, and the model behind it (empty:
 * none). Returns false where they have several, or where there is none. */
bool compared_scale(
	const struct rig *rig, enum kind kind, struct ratio_scale *ret, const char **ret_model);

/* The kinds that are known of all of them; *ret_left_out: those of some only. */
uint32_t compared_kinds(const struct compared *list, size_t n, uint32_t *ret_left_out);

/* Of the mean run. */
double compared_mean_j(const struct compared *c, uint32_t kinds);

struct compared_how {
	uint32_t kinds;
	bool same_sensors;
	bool in_turn;
};

/* How many times as much energy the other uses. */
void compared_ratio(const struct compared *base, const struct compared *other,
	const struct compared_how *how, struct ratio *ret);

#endif
