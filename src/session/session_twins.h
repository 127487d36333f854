// SPDX-License-Identifier: MIT
#ifndef PM_SESSION_SESSION_TWINS_H
#define PM_SESSION_SESSION_TWINS_H

#include "session/session_state.h"

/* After each snapshot: says once, when both were read for a while, which sensors of the same thing
 * differ. */
void session_compare_twins(struct session_set *ss, uint64_t t_ns);

/* What was seen so far is not gone on with. */
void session_forget_twins(struct session_set *ss);

#endif
