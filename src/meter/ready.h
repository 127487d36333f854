// SPDX-License-Identifier: MIT
/* Sensors that are read in threads of their own have nothing to show at first. */
#ifndef PM_METER_READY_H
#define PM_METER_READY_H

#include "machine/clock.h"
#include "meter/rig.h"

/* What commands wait at most: a sensor that takes longer is left out of their first figures. */
#define READY_NS (250 * NS_PER_MS)

/* Whether every domain of these kinds has been read, or cannot be. readings[0 .. rig_n_domains). */
bool rig_is_ready(const struct rig *rig, uint32_t kinds, const struct reading *readings);

/* Calls read() every few milliseconds until it returns true, for about most_ns. */
void ready_wait(bool (*read)(void *ctx), void *ctx, uint64_t most_ns);

#endif
