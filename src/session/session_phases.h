// SPDX-License-Identifier: MIT
/* Phases that the measured processes mark. */
#ifndef PM_SESSION_SESSION_PHASES_H
#define PM_SESSION_SESSION_PHASES_H

#include "session/session_state.h"

/* A process's session begins with the snapshot that was entered. */
void session_begin_phases(struct session_set *ss, struct member *m, uint64_t t_ns);

/* After each snapshot: takes the markers that came. */
void session_look_at_phases(struct session_set *ss, uint64_t t_ns);

/* The session ends with the last snapshot; writes what is to be told. */
void session_end_phases(
	struct session_set *ss, const struct session *s, struct member *m, uint64_t t_ns);

#endif
