// SPDX-License-Identifier: MIT
#include "util/timer.h"

#include <errno.h>
#include <sys/timerfd.h>

void timer_sleep(uint64_t ns)
{
	struct timespec left = ns_to_timespec(ns);

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

void timer_set(int fd, uint64_t begin_ns, uint64_t step_ns)
{
	const struct itimerspec spec = { .it_interval = ns_to_timespec(step_ns),
		.it_value = ns_to_timespec(begin_ns + step_ns) };

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
