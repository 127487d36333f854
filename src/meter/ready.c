// SPDX-License-Identifier: MIT
#include "meter/ready.h"

#include <errno.h>

#include "util/timer.h"

#define STEP_NS (5 * NS_PER_MS)

bool rig_is_ready(const struct rig *rig, uint32_t kinds, const struct reading *readings)
{
	for (size_t i = 0; i < rig_n_domains(rig); i++)
		if ((kinds & KIND_BIT(rig_domain(rig, i)->kind)) && readings[i].error == -EAGAIN)
			return false;
	return true;
}

void ready_wait(bool (*read)(void *ctx), void *ctx, uint64_t most_ns)
{
	/* Steps are counted, not timed: the host's clock may be one that stands still. */
	for (uint64_t ns = 0; !read(ctx) && ns < most_ns; ns += STEP_NS)
		timer_sleep(STEP_NS);
}
