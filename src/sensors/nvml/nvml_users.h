// SPDX-License-Identifier: MIT
/*
 * Which processes use a GPU, as the driver tells.
 */
#ifndef PM_SENSORS_NVML_NVML_USERS_H
#define PM_SENSORS_NVML_NVML_USERS_H

#include "sensors/nvml/nvml_gpu.h"

/* Whether the driver tells that of this GPU. */
bool gpu_tells_users(const struct nvml_api *api, const struct gpu *g);

/* Looks, once a second at most, who used the GPU since the last look; the first one after a pause only
 * begins. A look that fails leaves ret->looked_ns 0: nothing is known. */
void gpu_look_at_users(
	const struct host *h, const struct nvml_api *api, struct gpu *g, struct domain_users *ret);

/* How busy the GPU was meanwhile. */
uint32_t gpu_busy_ppm(const struct gpu *g, const struct domain_users *users);

#endif
