// SPDX-License-Identifier: MIT
/*
 * The live view of `top` in a terminal.
 */
#ifndef PM_CLI_TOP_TOP_VIEW_H
#define PM_CLI_TOP_TOP_VIEW_H

#include "cli/top/top_rows.h"

struct top_view_options {
	struct top_order order;
	uint64_t delay_ns;
	uint64_t refreshes; /* and then it ends; 0: never by itself */
	size_t limit;       /* rows at most */
};

/* Shortest and longest time between two refreshes. */
#define TOP_DELAY_MIN_NS (250 * NS_PER_MS)
#define TOP_DELAY_MAX_NS (3600 * NS_PER_S)

/* Shows it until somebody ends it. Returns a cli_ status, said if not done; the terminal is as it was
 * before. */
int top_view_run(struct top_model *m, const struct top_view_options *options);

#endif
