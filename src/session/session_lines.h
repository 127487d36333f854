// SPDX-License-Identifier: MIT
/*
 * Lines: each watched process has one of CPU power, each other kind one for all its devices. A line
 * begins with the first session that wants it and goes on until the last one ends.
 */
#ifndef PM_SESSION_SESSION_LINES_H
#define PM_SESSION_SESSION_LINES_H

#include "session/session_state.h"

/* Starts a process's line of CPU power, or (w is NULL) that of a kind's devices, if none is written
 * yet. */
void session_begin_line(struct session_set *ss, struct watched *w, enum kind kind, uint64_t t_ns);

/* Writes the lines that are due with this snapshot, and ends those that nobody wants any longer. The
 * members that end with it are marked already. */
void session_write_lines(struct session_set *ss, const struct snapshot *snapshot);

#endif
