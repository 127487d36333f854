// SPDX-License-Identifier: MIT
/*
 * Watching GPUs when they are opened: which of their figures move, how often, and whether the
 * driver's stamps tell when.
 */
#ifndef PM_SENSORS_NVML_NVML_WATCH_H
#define PM_SENSORS_NVML_NVML_WATCH_H

#include "sensors/nvml/nvml_gpu.h"

/* Finds out what the GPUs tell: their counters if they move, else their power. Takes a second or
 * two. What cannot be read at all has its g->watch.error. */
void gpus_watch(const struct host *h, const struct nvml_api *api, struct gpu *gpus, size_t n);

/* Makes what was seen the pace that readings begin with. */
void gpu_settle_pace(struct gpu *g);

#endif
