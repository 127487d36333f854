// SPDX-License-Identifier: MIT
/* Which processes a process has made, as /proc tells. */
#ifndef PM_TARGET_PROCTREE_H
#define PM_TARGET_PROCTREE_H

#include <sys/types.h>

/* Calls each() for every child that the process has at present, of all its threads. A result other
 * than 0 ends it and is returned. Children that come and go meanwhile may be missed. Returns 0,
 * -ESRCH where there is no such process, or another -errno. */
int proctree_children(pid_t pid, int (*each)(pid_t child, void *ctx), void *ctx);

#endif
