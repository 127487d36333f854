// SPDX-License-Identifier: MIT
/* Times in nanoseconds as the kernel wants them, and a timer on a steady grid. */
#ifndef PM_UTIL_TIMER_H
#define PM_UTIL_TIMER_H

#include <stdint.h>
#include <time.h>

static inline struct timespec ns_to_timespec(uint64_t ns)
{
	return (struct timespec) { .tv_sec = (time_t) (ns / UINT64_C(1000000000)),
		.tv_nsec = (long) (ns % UINT64_C(1000000000)) };
}

/* ts is not negative. */
static inline uint64_t timespec_to_ns(const struct timespec *ts)
{
	return (uint64_t) ts->tv_sec * UINT64_C(1000000000) + (uint64_t) ts->tv_nsec;
}

/* What is left from now_ns to end_ns, for ppoll() and nanosleep(); nothing where that is over. */
static inline struct timespec timespec_until(uint64_t end_ns, uint64_t now_ns)
{
	return ns_to_timespec(end_ns > now_ns ? end_ns - now_ns : 0);
}

/* Sleeps for that long, through signals that are handled meanwhile. */
void timer_sleep(uint64_t ns);

/* A timerfd that goes off each step_ns after begin_ns, in monotonic time, whenever it is read.
 * Returns it or -errno. */
int timer_open(uint64_t begin_ns, uint64_t step_ns);

/* Sets it to another grid. */
void timer_set(int fd, uint64_t begin_ns, uint64_t step_ns);

#endif
