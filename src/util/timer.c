// SPDX-License-Identifier: MIT
#include "util/timer.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>

#define NS_IN_S UINT64_C(1000000000)

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec) { .tv_sec = (time_t) (ns / NS_IN_S),
		.tv_nsec = (long) (ns % NS_IN_S) };
}

void timer_set(int fd, uint64_t begin_ns, uint64_t step_ns)
{
	const struct itimerspec spec = { .it_interval = to_timespec(step_ns),
		.it_value = to_timespec(begin_ns + step_ns) };

	timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

int timer_open(uint64_t begin_ns, uint64_t step_ns)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0)
		return -errno;
	timer_set(fd, begin_ns, step_ns);
	return fd;
}
