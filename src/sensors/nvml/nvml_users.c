// SPDX-License-Identifier: MIT
#include "sensors/nvml/nvml_users.h"

#include "util/u128.h"

#define LOOK_EVERY_NS NS_PER_S
#define LOOK_PAUSE_NS (3 * NS_PER_S)

#define PERCENT_PPM 10000
#define ALL_PPM 1000000

bool gpu_tells_users(const struct nvml_api *api, const struct gpu *g)
{
	struct nvml_utilization rates;
	unsigned n = 0;
	int r;

	if (!api->utilization || !api->process_utilization ||
		api->utilization(g->device, &rates) != NVML_SUCCESS)
		return false;
	r = api->process_utilization(g->device, NULL, &n, 0);
	return r == NVML_SUCCESS || r == NVML_ERROR_INSUFFICIENT_SIZE || r == NVML_ERROR_NOT_FOUND;
}

/* A process may have several samples: the mean is what it had. More than all is dirt. */
struct sums {
	size_t n;
	struct {
		unsigned pid;
		uint64_t percent;
		unsigned n;
	} list[DOMAIN_MAX_USERS];
};

static void add_sample(struct sums *sums, const struct nvml_process_sample *sample)
{
	size_t i = 0;

	if (sample->sm_percent > 100)
		return;
	while (i < sums->n && sums->list[i].pid != sample->pid)
		i++;
	if (i == DOMAIN_MAX_USERS)
		return;
	if (i == sums->n) {
		sums->list[i].pid = sample->pid;
		sums->list[i].percent = sums->list[i].n = 0;
		sums->n++;
	}
	sums->list[i].percent += sample->sm_percent;
	sums->list[i].n++;
}

/* All together have no more than there is. */
static void to_users(const struct sums *sums, struct domain_users *ret)
{
	uint64_t all_ppm = 0;

	ret->n = sums->n;
	for (size_t i = 0; i < sums->n; i++) {
		ret->list[i].pid = (int32_t) sums->list[i].pid;
		ret->list[i].ppm = (uint32_t) (sums->list[i].percent * PERCENT_PPM /
			sums->list[i].n);
		all_ppm += ret->list[i].ppm;
	}
	for (size_t i = 0; all_ppm > ALL_PPM && i < ret->n; i++)
		ret->list[i].ppm = (uint32_t) muldiv_u64(ret->list[i].ppm, ALL_PPM, all_ppm);
}

/* Returns whether the driver answered. */
static bool read_users(const struct nvml_api *api, struct gpu *g, struct domain_users *ret)
{
	static _Thread_local struct nvml_process_sample samples[1024];
	unsigned n = sizeof(samples) / sizeof(samples[0]);
	unsigned long long seen_us = g->users_seen_us;
	struct nvml_utilization rates;
	struct sums sums = { .n = 0 };
	int r;

	if (api->utilization(g->device, &rates) != NVML_SUCCESS)
		return false;
	r = api->process_utilization(g->device, samples, &n, seen_us);
	if (r == NVML_ERROR_NOT_FOUND)
		n = 0;
	else if (r != NVML_SUCCESS || n > sizeof(samples) / sizeof(samples[0]))
		return false;
	for (unsigned i = 0; i < n; i++) {
		/* Some drivers tell old ones again. */
		if (samples[i].timestamp_us <= seen_us)
			continue;
		add_sample(&sums, &samples[i]);
		if (samples[i].timestamp_us > g->users_seen_us)
			g->users_seen_us = samples[i].timestamp_us;
	}
	/* More than all is dirt: how busy it was is then what its users were, and nobody loses energy. */
	g->busy_percent = rates.gpu_percent <= 100 ? rates.gpu_percent : 0;
	to_users(&sums, ret);
	return true;
}

void gpu_look_at_users(
	const struct host *h, const struct nvml_api *api, struct gpu *g, struct domain_users *ret)
{
	uint64_t now_ns = host_now_ns(h);
	bool paused = now_ns > g->users_ns + LOOK_PAUSE_NS;

	if (now_ns < g->users_ns + LOOK_EVERY_NS)
		return;
	g->users_ns = now_ns;
	if (!read_users(api, g, ret)) {
		ret->looked_ns = 0;
		ret->n = 0;
		return;
	}
	ret->looked_ns = now_ns;
	/* Who used it before anybody asked is of no interest. */
	if (paused)
		ret->n = 0;
}

uint32_t gpu_busy_ppm(const struct gpu *g, const struct domain_users *users)
{
	uint64_t ppm = 0;

	for (size_t i = 0; i < users->n; i++)
		ppm += users->list[i].ppm;
	if (g->busy_percent * PERCENT_PPM > ppm)
		ppm = g->busy_percent * PERCENT_PPM;
	return ppm < ALL_PPM ? (uint32_t) ppm : ALL_PPM;
}
