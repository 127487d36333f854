// SPDX-License-Identifier: MIT
#include "fakeclock.h"

static uint64_t fake_mono_ns(void *ctx)
{
	const struct fakeclock *f = ctx;

	return f->mono_ns;
}

static int64_t fake_wall_ns(void *ctx)
{
	const struct fakeclock *f = ctx;

	return f->wall_ns;
}

void fakeclock_init(struct fakeclock *f, uint64_t mono_ns, int64_t wall_ns)
{
	*f = (struct fakeclock) { .mono_ns = mono_ns, .wall_ns = wall_ns };
	f->clock = (struct clock) {
		.mono_ns = fake_mono_ns, .boot_ns = fake_mono_ns, .wall_ns = fake_wall_ns, .ctx = f
	};
}

void fakeclock_advance(struct fakeclock *f, uint64_t ns)
{
	f->mono_ns += ns;
	f->wall_ns += (int64_t) ns;
}
