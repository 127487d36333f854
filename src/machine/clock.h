// SPDX-License-Identifier: MIT
/*
 * Time. Differences are taken on the monotonic clock alone; wall time is asked for only when a
 * record is written. Both come through a table, so that tests can run on a clock of their own.
 */
#ifndef PM_MACHINE_CLOCK_H
#define PM_MACHINE_CLOCK_H

#include <stdint.h>

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_US UINT64_C(1000)

struct clock {
	uint64_t (*mono_ns)(void *ctx); /* CLOCK_MONOTONIC */
	uint64_t (*boot_ns)(
		void *ctx); /* CLOCK_BOOTTIME: as mono_ns, plus the time spent suspended */
	int64_t (*wall_ns)(void *ctx); /* CLOCK_REALTIME */
	void *ctx;
};

/* The machine's own clocks. */
extern const struct clock clock_system;

static inline uint64_t clock_mono_ns(const struct clock *c)
{
	return c->mono_ns(c->ctx);
}

static inline uint64_t clock_boot_ns(const struct clock *c)
{
	return c->boot_ns(c->ctx);
}

static inline int64_t clock_wall_ns(const struct clock *c)
{
	return c->wall_ns(c->ctx);
}

#endif
