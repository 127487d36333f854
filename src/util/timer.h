// SPDX-License-Identifier: MIT
/* A timer on a steady grid. */
#ifndef PM_UTIL_TIMER_H
#define PM_UTIL_TIMER_H

#include <stdint.h>

/* A timerfd that goes off each step_ns after begin_ns, in monotonic time, whenever it is read.
 * Returns it or -errno. */
int timer_open(uint64_t begin_ns, uint64_t step_ns);

/* Sets it to another grid. */
void timer_set(int fd, uint64_t begin_ns, uint64_t step_ns);

#endif
