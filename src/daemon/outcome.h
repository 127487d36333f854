// SPDX-License-Identifier: MIT
/* A session's outcome in words. */
#ifndef PM_DAEMON_OUTCOME_H
#define PM_DAEMON_OUTCOME_H

#include "session/record.h"

/* "pid 337263 (python): 10.000 s, CPU 83.7 J (83.1 to 84.3), mean 8.37 W; time is up" */
void outcome_text(const struct session_report *report, char *ret, size_t n);

#endif
