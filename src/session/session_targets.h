// SPDX-License-Identifier: MIT
/*
 * The processes that sessions want. Several sessions may want the same one: it is opened once, has
 * one slot in snapshots and books, and goes with the last session that wanted it.
 */
#ifndef PM_SESSION_SESSION_TARGETS_H
#define PM_SESSION_SESSION_TARGETS_H

#include "session/session_state.h"

/* The watched process with that pid, new or known already; it has no member more yet. Returns 0 or
 * -errno, -E2BIG when there are too many. */
int watched_open(struct session_set *ss, pid_t pid, struct watched **ret);

/* One session less wants it: frees it after the last. */
void watched_release(struct session_set *ss, struct watched *w);

/* Takes over the name that the process has now, if it is still there. */
void watched_refresh_name(struct watched *w);

/* Opens the clock that keeps a process's last CPU time, as long as there are few enough of them. */
void watched_keep_last_time(struct session_set *ss, struct watched *w);

#endif
