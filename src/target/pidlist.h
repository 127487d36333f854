// SPDX-License-Identifier: MIT
/* Pids in a list that grows. All zero: empty. */
#ifndef PM_TARGET_PIDLIST_H
#define PM_TARGET_PIDLIST_H

#include <stddef.h>
#include <sys/types.h>

struct pid_list {
	pid_t *list; /* of the owner, to be freed */
	size_t n;
	size_t cap;
};

/* Returns 0 or -ENOMEM. */
int pid_list_add(struct pid_list *pids, pid_t pid);

#endif
