// SPDX-License-Identifier: MIT
/* Lists of CPUs as the kernel writes them: "0-3,8,10-11". */
#ifndef PM_MACHINE_CPULIST_H
#define PM_MACHINE_CPULIST_H

#include <stdbool.h>

#define CPULIST_MAX 65536 /* CPUs are below this */

/* A walk through a list; begins as { .at = text }. */
struct cpulist {
	const char *at;
	int next; /* of a range that was begun: next .. last */
	int last;
	bool in_range;
};

/* The next CPU; false at the end of the list, and where it is no list any more. */
bool cpulist_next(struct cpulist *list, int *ret);

#endif
