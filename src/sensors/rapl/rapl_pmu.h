// SPDX-License-Identifier: MIT
/* The kernel's PMUs that count RAPL's energy: their events, on which CPUs they are to be opened, and
 * why they cannot be. */
#ifndef PM_SENSORS_RAPL_RAPL_PMU_H
#define PM_SENSORS_RAPL_RAPL_PMU_H

#include "sensors/rapl/perf_group.h"
#include "sensors/rapl/rapl.h"

struct rapl_pmu {
	struct perf_pmu perf;
	bool found;
	size_t n_events;
	struct perf_event events[PERF_GROUP_MAX];
	enum rapl_role roles[PERF_GROUP_MAX];
};

/* Finds the PMU and those of its events that are known; name is borrowed. Returns 0 or -errno. */
int rapl_pmu_find(const struct host *h, const char *name, struct rapl_pmu *ret);

/* The list of the CPUs on which it wants its events opened. Returns its length or -errno. */
int rapl_pmu_cpumask(const struct host *h, const struct rapl_pmu *pmu, char *ret, size_t n);

/* The places of these CPUs, in order. Returns 0, or -errno where there are none. */
int rapl_pmu_places(const struct host *h, const struct rapl_pmu *pmu, struct rapl_places *ret);

/* Says why perf_event_open() failed with this error. Returns the error. */
int rapl_pmu_refuse(struct sensor *s, const struct rapl_pmu *pmu, int error);

#endif
