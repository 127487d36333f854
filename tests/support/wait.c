// SPDX-License-Identifier: MIT
#include "wait.h"

#include <stdlib.h>
#include <time.h>

#include "machine/clock.h"

uint64_t wait_now_ns(void)
{
	return clock_mono_ns(&clock_system);
}

/* However busy the machine is with other things. */
#define GIVE_UP_S 120

uint64_t wait_deadline_ns(void)
{
	const char *given = getenv("PM_PATIENCE");
	double patience = given ? strtod(given, NULL) : 1;

	return wait_now_ns() + (uint64_t) (GIVE_UP_S * (patience > 1 ? patience : 1) * 1e9);
}

void wait_a_little(void)
{
	struct timespec ts = { .tv_nsec = 1000000 };

	nanosleep(&ts, NULL);
}

bool wait_until(bool (*is_so)(void *ctx), void *ctx)
{
	uint64_t deadline_ns = wait_deadline_ns();

	while (!is_so(ctx)) {
		if (wait_now_ns() > deadline_ns)
			return false;
		wait_a_little();
	}
	return true;
}
