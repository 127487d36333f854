// SPDX-License-Identifier: MIT
/*
 * Which processes `top` shows, and in which order.
 */
#ifndef PM_CLI_TOP_TOP_ROWS_H
#define PM_CLI_TOP_TOP_ROWS_H

#include "cli/top/top_model.h"

enum top_sort {
	TOP_BY_WATTS,
	TOP_BY_CPU,
	TOP_BY_JOULES,
	TOP_BY_PID,
	TOP_BY_USER,
	TOP_BY_NAME,
	TOP_SORTS
};

/* "watts", "cpu", "joules", "pid", "user", "name", NULL. */
extern const char *const top_sort_names[TOP_SORTS + 1];

struct top_order {
	enum top_sort sort;
	bool inverted;
	pid_t pid;       /* this one alone; 0: all */
	char filter[64]; /* those whose name has this in it; empty: all */
	char user[64];   /* those of users whose name begins so; empty: all */
};

struct top_rows {
	uint32_t *slots;
	size_t n;
	size_t cap;
};

/* Makes the list anew. The tool itself is not in it. Returns 0 or -ENOMEM. */
int top_rows_make(struct top_rows *r, const struct top_model *m, const struct top_order *order);
void top_rows_finish(struct top_rows *r);

/* Whether a text is in another one, upper and lower case being the same. */
bool top_has_text(const char *text, const char *part);

/* A user's name, or the number where there is none. Valid until 255 other users were asked for. */
const char *top_user(uid_t uid);

#endif
