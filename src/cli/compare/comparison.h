// SPDX-License-Identifier: MIT
/*
 * Several commands that were run in turn, each against the one that used the least energy.
 */
#ifndef PM_CLI_COMPARE_COMPARISON_H
#define PM_CLI_COMPARE_COMPARISON_H

#include "cli/compare/side.h"

struct comparison {
	struct side *commands; /* as in the set */
	size_t n;
	size_t base;          /* the command of the least energy ... */
	bool known;           /* ... if any could be compared */
	uint32_t kinds;       /* whose energy is compared */
	struct ratio *ratios; /* to the base; the base's own is not known */
};

/* Compares; notes go to the set's warnings. Returns 0 or -ENOMEM. */
int comparison_make(struct comparison *ret, struct run_set *set);
void comparison_finish(struct comparison *c);

void comparison_text(const struct comparison *c, FILE *out);

/* As a member of an open object. */
void comparison_json(struct jw *j, const struct comparison *c);

/* A ratio with its half width: "1.83 +- 0.05", and with a sign for it of one's own. */
void comparison_format(const struct ratio *r, const char *sign, char *ret, size_t n);

/* "CPU + DRAM". */
void comparison_kinds(uint32_t kinds, char *ret, size_t n);

/* As members: "ratio", "low", "high", and "scatter_known". */
void comparison_json_ratio(struct jw *j, const struct ratio *r);

/* As a member "kinds". */
void comparison_json_kinds(struct jw *j, uint32_t kinds);

#endif
