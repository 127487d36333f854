// SPDX-License-Identifier: MIT
/* A clock that stands still until it is set: monotonic and wall time, each on its own. */
#ifndef PM_TEST_FAKECLOCK_H
#define PM_TEST_FAKECLOCK_H

#include "machine/clock.h"

struct fakeclock {
	struct clock clock; /* to hand over */
	uint64_t mono_ns;
	int64_t wall_ns;
};

/* Begins at these times. The struct must not move afterwards. */
void fakeclock_init(struct fakeclock *f, uint64_t mono_ns, int64_t wall_ns);

/* Both go on. */
void fakeclock_advance(struct fakeclock *f, uint64_t ns);

#endif
