// SPDX-License-Identifier: MIT
#include "machine/clock.h"

#include <time.h>

static int64_t now_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t) ts.tv_sec * (int64_t) NS_PER_S + ts.tv_nsec;
}

static uint64_t system_mono_ns(void *ctx)
{
	(void) ctx;
	return (uint64_t) now_ns(CLOCK_MONOTONIC);
}

static uint64_t system_boot_ns(void *ctx)
{
	(void) ctx;
	return (uint64_t) now_ns(CLOCK_BOOTTIME);
}

static int64_t system_wall_ns(void *ctx)
{
	(void) ctx;
	return now_ns(CLOCK_REALTIME);
}

const struct clock clock_system = {
	.mono_ns = system_mono_ns,
	.boot_ns = system_boot_ns,
	.wall_ns = system_wall_ns,
};
